"""Runs networks on the simulated engine with the C driver, and compares the results with the golden model's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dcgen.emit.engine_data import trace_description
from dcgen.emit.fileset import below
from dcgen.emit.firmware import runtime_files
from dcgen.emit.hdl import emit_driver, engine_verilog
from dcgen.emit.names import ModelNames
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.sim import tensors
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QConcat
from tests.hw.nets import Net
from tests.rtl.bench import run_cocotb
from tests.rtl.driver import build_library


@dataclass(frozen=True, eq=False)
class Ran:
    """One run of a network.

    status : what the driver returned, 0 for success
    scores : int32 [n_scores]
    writes : writes to the activation memory, of the type that ``playback.trace_type`` gives
    counters : the cycle counters, in the order of ``regmap.COUNTERS``
    """

    status: int
    scores: NDArray[np.int32]
    writes: NDArray[np.void]
    counters: NDArray[np.int64]


@cache
def verilog_of(parameters: EngineParameters) -> str:
    """The engine's Verilog, made once in a process."""
    return engine_verilog(parameters)


def drive(
    net: Net,
    runs: Sequence[tuple[bytes, NDArray[np.uint8]]],
    folder: Path,
    sim: str = "verilator",
    pauses: bool = True,
) -> list[Ran]:
    """Runs ``net``'s plan through the C driver, in one simulation, on each pair of a blob and a picture.

    pauses : every channel of the engine's AXI pauses at random
    """
    name = ModelNames.of(net.graph.name).name
    folder.mkdir(parents=True, exist_ok=True)
    sources = below("engine", emit_driver(net.graph, net.plan)) | below("runtime", runtime_files())
    for path, data in sources.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    p = net.plan.parameters
    cases = []
    for i, (blob, picture) in enumerate(runs):
        (folder / f"blob_{i}.dcb").write_bytes(blob)
        np.save(folder / f"picture_{i}.npy", picture)
        cases.append({"blob": f"blob_{i}.dcb", "picture": f"picture_{i}.npy"})
    case = {
        "name": name,
        "library": str(build_library(folder, name, folder / "driver.so")),
        "lanes": p.lanes,
        "picture_bytes": p.picture_bytes,
        "scores": net.graph.n_scores,
        "pauses": pauses,
        "runs": cases,
    }
    (folder / "case.json").write_text(json.dumps(case))
    run_cocotb(
        verilog_of(p),
        "tests/hw/bench_driver.py",
        folder=folder,
        top="dcgen_engine",
        sim=sim,
        environment={"CASE": str(folder)},
    )
    found = [np.load(folder / f"run_{i}.npz") for i in range(len(runs))]
    return [Ran(int(f["status"]), f["scores"], f["writes"], f["counters"]) for f in found]


def assert_equal(net: Net, picture: NDArray[np.uint8], ran: Ran) -> None:
    """Asserts success, and that every byte of every layer and every score equals the golden model's."""
    assert ran.status == 0
    golden: dict[str, NDArray[np.uint8]] = {}
    scores = execute(net.graph, picture[None], golden)
    found = tensors.rebuild(trace_description(net.graph, net.plan), ran.writes)
    for node in net.graph.nodes[:-1]:
        if not isinstance(node.op, QConcat):
            assert np.array_equal(found[node.name], golden[node.name][0]), node.name
    assert np.array_equal(ran.scores, scores[0])
