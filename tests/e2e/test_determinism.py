"""The same seed gives the same bytes."""

from __future__ import annotations

from pathlib import Path

from tests.process import dcgen, tree


def assert_equal(one: Path, other: Path) -> None:
    """Both folders hold the same files. They have the same name, so that their own path in a file would differ."""
    assert one.name == other.name and one.parent != other.parent
    first, second = tree(one), tree(other)
    assert first.keys() == second.keys()
    assert [name for name, data in first.items() if second[name] != data] == []


def test_a_second_search_writes_the_bytes_of_the_first(
    tmp_path: Path, digits_out: Path, digits_pictures: Path
) -> None:
    out = tmp_path / digits_out.name
    calibration = digits_pictures / "calibration"
    dcgen("compile", "digits", "--calibration", calibration, "--max-kl", "0.04", "-o", out).check_returncode()
    assert_equal(digits_out, out)


def test_a_second_scan_writes_the_bytes_of_the_first(tmp_path: Path, digits_pictures: Path) -> None:
    outs = [tmp_path / name / "out" for name in ("first", "second")]
    for out in outs:
        arguments = ("--calibration", digits_pictures / "calibration", "--recipe", "deep-compression", "-o", out)
        dcgen("compile", "digits", *arguments).check_returncode()
    assert_equal(*outs)
