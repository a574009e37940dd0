"""A network for the engine as plain data: what is needed to run it and to check what it wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dcgen.encode.layout import take_apart
from dcgen.encode.schema import Status
from dcgen.hw.contract import regmap
from dcgen.hw.sim import playback
from dcgen.plan.engine.cycles import Prediction
from dcgen.plan.engine.plan import TENSORS, EnginePlan
from dcgen.quant.qgraph import U8, QGraph


def describe(graph: QGraph, plan: EnginePlan, prediction: Prediction) -> dict[str, Any]:
    """The content of ``plan.json``: all that is needed to run a network and to check what it wrote."""
    state = regmap.register("status")
    return {
        "name": graph.name,
        "parameters": asdict(plan.parameters),
        "topology_hash": f"{plan.topology_hash:016x}",
        "n_scores": graph.n_scores,
        "nodes": [n.name for n in graph.nodes],
        "commands": list(plan.commands),
        "program": list(plan.program),
        "registers": {
            "status": state.offset,
            "status_fields": {f.name: [f.low, f.mask] for f in state.fields},
            "counters": regmap.COUNTER_BASE,
        },
        "causes": {str(int(status)): status.name for status in Status},
        "counters": [name for name, _ in regmap.COUNTERS],
        "predicted": {
            "total": prediction.total,
            "steps": list(prediction.steps),
            "causes": dict(prediction.causes),
            "nonzero_macs": prediction.nonzero_macs,
            "utilisation": prediction.utilisation,
        },
        "step_nodes": [step.node for step in plan.steps],
        "trace": trace_description(graph, plan),
    }


def play_files(
    data: bytes, program: Sequence[int], commands: Sequence[int], described: Mapping[str, Any], picture: U8
) -> tuple[bytes, bytes, bytes]:
    """The bench's input files for one picture, in the order of ``playback.FILES``.

    data : the blob
    program, commands : of the plan
    described : what ``describe`` returned
    picture : uint8 [H, W, C]
    """
    control = regmap.register("control")
    topology = int(described["topology_hash"], 16)
    setup = [
        (regmap.register("topology_low").offset, topology & 0xFFFFFFFF),
        (regmap.register("topology_high").offset, topology >> 32),
        (regmap.register("scores").offset, described["n_scores"]),
        *playback.words(commands, regmap.COMMANDS),
        (control.offset, control.bits("start").mask | control.bits("irq").mask),
    ]
    return (
        playback.setup_file(setup),
        playback.blob_file(packets(data, program)),
        playback.picture_file(picture, described["parameters"]["picture_bytes"]),
    )


def packets(data: bytes, program: Sequence[int]) -> list[bytes]:
    """The blob's sections as packets, in the order of ``program``. Raises BlobError for a damaged blob."""
    layout = take_apart(data)
    header = layout.header
    start = header["tensors_offset"]
    table = data[start : start + header["tensors_bytes"]]
    sections = [data[s.offset : s.offset + s.fields["section_bytes"]] for s in layout.sections]
    return [table if node == TENSORS else sections[node] for node in program]


def trace_description(graph: QGraph, plan: EnginePlan) -> dict[str, Any]:
    """What ``dcgen.hw.sim.tensors`` needs to put the engine's writes back into tensors."""
    placed = plan.schedule.placement
    numbers = {n: i for i, n in enumerate(plan.work.planes)}
    steps = []
    for number, step in enumerate(plan.steps):
        if (made := step.made) is None:
            continue
        planes = made.view.planes
        steps.append(
            {
                "step": number,
                "base": step.fields["out_base"],
                "ring": placed.words[planes],
                "at": placed.base[planes],
                "made": {
                    "planes": numbers[planes],
                    "channel": made.view.channel,
                    "channels": made.channels,
                    "start": made.start,
                    "end": made.end,
                },
            }
        )
    return {
        "lanes": plan.parameters.lanes,
        "words": plan.parameters.words,
        "planes": [{"channels": k.channels, "rows": k.rows, "pitch": k.pitch} for k in plan.work.planes.values()],
        "tensors": [
            {
                "name": name,
                "planes": numbers[view.planes],
                "channel": view.channel,
                "shape": list(graph.tensors[name].shape),
            }
            for name, view in plan.work.tensors.items()
        ],
        "steps": steps,
    }
