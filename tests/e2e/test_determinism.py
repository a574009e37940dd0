"""The same seed gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process import dcgen, tree


@pytest.mark.parametrize("recipe", ["second-order", "deep-compression"])
def test_two_compilations_write_equal_bytes(recipe: str, tmp_path: Path, digits_pictures: Path) -> None:
    outs = []
    for name in ("first", "second"):
        # The folders differ, the names do not: a path that got into an output would make the two differ.
        out = tmp_path / name / "out"
        arguments = ("digits", "--calibration", digits_pictures / "calibration", "--recipe", recipe, "-o", out)
        dcgen("compile", *arguments).check_returncode()
        outs.append(tree(out))
    assert outs[0].keys() == outs[1].keys()
    assert [name for name, data in outs[0].items() if outs[1][name] != data] == []
