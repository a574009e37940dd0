"""Trains the networks of the zoo and writes each to a folder of its own: ``python -m benchmarks.zoo OUT``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.zoo.members import HIDDEN, MEMBERS
from benchmarks.zoo.network import open_network


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write")
    parser.add_argument("--hidden", action="store_true", help="the ten networks that only judge")
    parser.add_argument("--only", metavar="NAME", action="append", help="this network alone; repeats")
    arguments = parser.parse_args()
    for member in HIDDEN if arguments.hidden else MEMBERS:
        if arguments.only is None or member.name in arguments.only:
            started = time.process_time()
            network = open_network(member, arguments.out / member.name)
            found = ", ".join(f"{name} {value:.4f}" for name, value in network.meta["float"].items())
            print(f"{member.name}: {found}, {time.process_time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
