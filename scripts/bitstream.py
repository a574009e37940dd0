"""Builds the reference engine's bitstream: bitstream.py OUT [--seeds N ...] [--jobs N] [--nextpnr PROGRAM] ...

The folder OUT gets <board>.bit, and the report as <board>.json and <board>.md; that in ``docs/hardware`` was made
in this way. The engine is that of the target ulx3s-85f, with the parameters that its simulation has. No network is
part of it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dcgen.errors import DcgenError
from dcgen.hw.boards.board import BOARDS, ULX3S_85F
from dcgen.synth.bitstream import SEEDS, build
from dcgen.targets.engines import ULX3S_85F as TARGET


def show(stage: str, done: int, total: int) -> None:
    print(f"{done}/{total} {stage}", file=sys.stderr, flush=True)


def main() -> None:
    boards = {board.name: board for board in BOARDS}
    parser = argparse.ArgumentParser(description="Builds the reference engine's bitstream.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--board", choices=sorted(boards), default=ULX3S_85F.name)
    parser.add_argument("--megahertz", type=float, help="the board's if not given")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at once, each of which takes about 3 GB")
    parser.add_argument("--nextpnr", type=Path, help="a nextpnr built for this machine, faster")
    chosen = parser.parse_args()
    try:
        build(
            TARGET.parameters,
            chosen.out,
            board=boards[chosen.board],
            seeds=chosen.seeds,
            megahertz=chosen.megahertz,
            jobs=chosen.jobs,
            program=chosen.nextpnr,
            progress=show,
        )
    except DcgenError as e:
        sys.exit(str(e))
    print((chosen.out / f"{chosen.board}.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
