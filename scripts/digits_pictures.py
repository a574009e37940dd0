"""Writes the calibration digits and the test digits as PNG files: digits_pictures.py OUT

OUT/calibration/ holds pictures alone, OUT/test/ pictures and ``labels.txt`` (lines of ``file index``).
"""

from __future__ import annotations

import sys
from pathlib import Path

from digits_data import split
from PIL import Image


def write(folder: Path, name: str, with_labels: bool) -> None:
    """Writes the digits of a split as ``folder/digit-NNNN.png``, NNNN being their index in scikit-learn's set."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = split(name)
    lines = []
    for picture, label, number in zip(digits.pictures, digits.labels, digits.numbers, strict=True):
        file = f"digit-{number:04d}.png"
        Image.fromarray(picture).save(folder / file)
        lines.append(f"{file} {label}\n")
    if with_labels:
        (folder / "labels.txt").write_text("".join(sorted(lines)), encoding="utf-8")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: digits_pictures.py OUT")
    out = Path(sys.argv[1])
    write(out / "calibration", "calibration", with_labels=False)
    write(out / "test", "test", with_labels=True)


if __name__ == "__main__":
    main()
