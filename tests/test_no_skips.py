"""DCGEN_NO_SKIPS, which CI sets, makes a skipped test a failed one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process import ROOT

SKIPPED_TEST = "import pytest\ndef test_a():\n    pytest.skip('no tool')\n"
SKIPPED_FILE = "import pytest\npytest.importorskip('no_such_module')\ndef test_a():\n    pass\n"


@pytest.mark.parametrize("source", [SKIPPED_TEST, SKIPPED_FILE], ids=["test", "file"])
@pytest.mark.parametrize(("no_skips", "fails"), [("", False), ("1", True)])
def test_a_skip_fails_where_it_must(source: str, no_skips: str, fails: bool, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(source + "def test_b():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--rootdir", tmp_path, "-n", "0", tmp_path]
    environment = {**os.environ, "DCGEN_NO_SKIPS": no_skips, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode not in (0, 5)) is fails, done.stdout
    assert ("DCGEN_NO_SKIPS is set" in done.stdout) is fails
