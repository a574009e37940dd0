"""The engine's part of an output: Verilog, command list, tables for the driver, and test benches."""

from __future__ import annotations

import json
from pathlib import Path

from dcgen.emit.engine_data import describe, play_files
from dcgen.emit.fileset import below, merged
from dcgen.emit.golden import Golden
from dcgen.emit.names import ModelNames
from dcgen.emit.render import banner, c_rows, comment_text, render
from dcgen.errors import ToolError
from dcgen.files import FileSet
from dcgen.hw.contract import regmap
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.sim import playback, tensors
from dcgen.plan.engine.cycles import Prediction
from dcgen.plan.engine.plan import TENSORS, EnginePlan, summary
from dcgen.quant.qgraph import QConcat, QGraph
from dcgen.resources import resource_dir

BENCHES = ("simulator.py", "playback.py", "tensors.py", "play.py", "network.py", "bench.v")
"""Files of ``hw/sim`` that are written beside a design; they run without dcgen."""


def engine_verilog(parameters: EngineParameters) -> str:
    """The engine's Verilog. Raises ToolError where Amaranth or Yosys is missing or fails."""
    try:
        from dcgen.hw.axi_engine import verilog
    except ModuleNotFoundError as e:
        raise ToolError(e.name or "amaranth", "is needed for gateware", "pip install dcgen[fpga]") from e
    try:
        return verilog(parameters)
    except ModuleNotFoundError as e:
        raise ToolError(e.name or "yosys", "is needed for gateware", "pip install dcgen[fpga]") from e
    except Exception as e:
        if type(e).__name__ in ("YosysError", "ToolNotFound"):
            raise ToolError("yosys", f"cannot write Verilog: {e}", "pip install dcgen[fpga]") from e
        raise


def emit_hdl(graph: QGraph, data: bytes, plan: EnginePlan, prediction: Prediction, golden: Golden) -> FileSet:
    """The folder ``rtl``: the engine and a test of it on this network, which runs without dcgen.

    data : the blob
    golden : the test runs its first picture
    """
    names = ModelNames.of(graph.name)
    described = describe(graph, plan, prediction)
    picture = golden.pictures[0]
    checked = [n.name for n in graph.nodes if n.name in golden.trace and not isinstance(n.op, QConcat)]
    described["golden"] = {
        "scores": golden.scores[0].tolist(),
        "tensors": {name: tensors.check_value(golden.trace[name]) for name in checked},
    }
    sim = Path(playback.__file__).parent
    benches = {name: (sim / name).read_bytes() for name in BENCHES}
    inputs = zip(playback.FILES, play_files(data, plan.program, plan.commands, described, picture), strict=True)
    figures = {**summary(plan), "expected cycles": prediction.total}
    values: dict[str, object] = {
        "title": graph.name,
        "lanes": plan.parameters.lanes,
        "figures": list(figures.items()),
        "picture_bytes": picture.size,
        "names": names,
        "make_banner": banner(),
    }
    return merged(
        {
            "engine.v": engine_verilog(plan.parameters).encode(),
            "commands.hex": "".join(f"{word:08x}\n" for word in plan.commands).encode(),
            "plan.json": (json.dumps(described) + "\n").encode(),
            "registers.md": regmap.markdown().encode(),
            "Makefile": render("hdl/Makefile.j2", **values).encode(),
            "README.md": render("hdl/README.md.j2", **values).encode(),
            "tests/__init__.py": b"",
        },
        below("tests", benches),
        below("golden", dict(inputs)),
    )


def emit_driver(graph: QGraph, plan: EnginePlan) -> FileSet:
    """The folder ``firmware/engine``: the engine's driver, its registers, and this network's plan."""
    names = ModelNames.of(graph.name)
    folder = resource_dir("firmware") / "engine"
    sources = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.suffix in (".c", ".h")}
    c, h, w = graph.input.shape
    sections = [node for node in plan.program if node != TENSORS]
    values: dict[str, object] = {
        "names": names,
        "title": comment_text(graph.name),
        "parameters": list(regmap.parameter_values(plan.parameters).items()),
        "commands": c_rows(plan.commands, 8, "u"),
        "n_commands": len(plan.commands),
        "sections": c_rows(sections, 16),
        "n_sections": len(sections),
        "topology_hash": f"0x{plan.topology_hash:016X}",
        "n_scores": graph.n_scores,
        "picture_bytes": c * h * w,
        "n_tensors": len(graph.nodes),
        "n_nodes": len(graph.nodes),
        "input_channels": c,
    }
    return {
        **sources,
        "dcg_engine_regs.h": regmap.c_header().encode(),
        f"{names.symbol}_engine.h": render("c/engine_plan.h.j2", **values).encode(),
        f"{names.symbol}_engine.c": render("c/engine_plan.c.j2", **values).encode(),
    }
