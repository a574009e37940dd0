"""Measures what the firmware of a network takes: instructions of each layer, flash, RAM and stack.

    python -m benchmarks.firmware OUT [--on MACHINE...] [--size N] [--cmsis-nn CHECKOUT] [--host] [--json FILE]

OUT is a folder that ``dcgen compile`` wrote. Its network runs on the runtime of this checkout, one picture on each
emulated machine; the scores must equal the golden model's. docs/benchmarks.md says what is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.firmware import cmsis_nn
from benchmarks.firmware.float_network import float_seconds
from benchmarks.firmware.measure import host_seconds, measure
from benchmarks.firmware.network import Network
from benchmarks.firmware.table import Report
from dcgen.command.console import stderr
from dcgen.errors import ConfigError, DcgenError
from dcgen.quant.qgraph import QConv
from dcgen.targets import TARGETS, find_check


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.firmware", description=__doc__.split("\n\n")[0])
    parser.add_argument("output", metavar="OUT", type=Path, help="folder that dcgen compile wrote")
    emulated = [t.check_name for t in TARGETS if t.emulator]
    parser.add_argument("--on", nargs="+", default=emulated, metavar="MACHINE", help=f"of {', '.join(emulated)}")
    parser.add_argument("--size", type=int, help="height and width of another input than the network's own")
    parser.add_argument("--cmsis-nn", type=Path, metavar="CHECKOUT", help="measure its dense convolutions, too")
    parser.add_argument("--host", action="store_true", help="time C and float network on a core of this computer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE as well")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    targets = [find_check(name) for name in arguments.on]
    for target in targets:
        if target.emulator is None:
            raise ConfigError(target.check_name, "counts no instructions", "--host times this computer")
    network = Network.from_output(arguments.output, arguments.size)
    machines, peers = [], {}
    for target in targets:
        stderr.print(f"measuring on {target.check_name}", highlight=False)
        machines.append(measure(network, target))
        if arguments.cmsis_nn and target.name in cmsis_nn.WITNESSES:
            peers[target.name] = cmsis_nn.measure(network, target, arguments.cmsis_nn)
    convs = [n.op for n in network.graph.nodes if isinstance(n.op, QConv)]
    report = Report(
        network.graph.name,
        network.graph.input.shape[1:],
        len(network.blob.data),
        sum(int(np.count_nonzero(c.indices)) for c in convs) / sum(c.indices.size for c in convs),
        network.dense_macs(),
        machines,
        peers,
        host_seconds(network) if arguments.host else None,
        float_seconds(arguments.output / "float.onnx") if arguments.host else None,
    )
    print(report.markdown())
    if arguments.json:
        arguments.json.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except DcgenError as e:
        sys.exit(f"benchmarks.firmware: error: {e}")
