"""Trains and measures all cases: ``python -m benchmarks.deep_compression OUT --data mnist.npz``.

It can be stopped at any time; the same command goes on. OUT then holds ``deep_compression.csv``,
``deep_compression.png`` and, for each case, the folder of its run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.deep_compression.cases import LONG, SHORT, cases
from benchmarks.deep_compression.measure import measured
from benchmarks.deep_compression.table import csv_text, drawing


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deep_compression", description=__doc__)
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write")
    parser.add_argument("--data", type=Path, required=True, help=".npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--short", action="store_true", help="one network, few cases, an epoch a stage")
    arguments = parser.parse_args()
    rows = []
    for case in cases(SHORT if arguments.short else LONG):
        row = measured(case, arguments.data, arguments.out, lambda *_: None)
        rows.append(row)
        print(f"{row['case']}: error {100 * row['error']:.2f} %, {row['fixed_bytes']:,.0f} bytes", flush=True)
        (arguments.out / "deep_compression.csv").write_text(csv_text(rows))
    (arguments.out / "deep_compression.png").write_bytes(drawing(rows))


if __name__ == "__main__":
    main()
