"""What docs/keras.md shows does what it says: a Keras model from training to firmware."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_documentation import shell_lines
from tests.process import ROOT, dcgen_json

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs" / "keras.md"


def test_the_page_goes_from_training_to_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.chdir(tmp_path)
    found = {line.split()[1]: dcgen_json(*line.split()[1:]) for line in shell_lines(PAGE)}
    assert list(found) == ["compile", "eval", "verify"]
    evaluated = found["eval"]
    assert evaluated["n"] == 497 and evaluated["float"]["top1"] >= 0.9
    assert evaluated["compressed"]["top1"] >= evaluated["float"]["top1"] - 0.01 and evaluated["agreement"] >= 0.97
    assert len(found["verify"]["checks"]) >= 5
    assert all(check["mismatches"] == 0 < check["bytes_compared"] for check in found["verify"]["checks"])
