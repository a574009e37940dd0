"""``manifest.json``: every size, setting and figure of an output, layer by layer, under stable keys."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from dcgen import __version__
from dcgen.compress.shrink import removed_channels
from dcgen.inputs.samples import InputForm
from dcgen.ir.graph import macs
from dcgen.pictures import Preprocess, digest, digests
from dcgen.plan.engine.plan import summary
from dcgen.quant.qgraph import QConv
from dcgen.quant.scales import clip_owners
from dcgen.result import Compiled


def manifest(compiled: Compiled) -> dict[str, Any]:
    """The manifest as plain data. A layer's parameters are its weights and its biases. Parameters, densities and
    dense multiply-accumulates are those of the float network, with the channels that were removed."""
    job, source, calibration, made = compiled.job, compiled.job.source, compiled.calibration, compiled.integers
    layers = list(_layers(compiled))
    clips = {owner: clip for clip, owner in clip_owners(made.compressed).items()}
    ranges = {n.name: made.ranges[clips.get(n.name, n.name)] for n in made.compressed.nodes}
    measured, held_out = digests(calibration.measure), digests(calibration.held_out)
    c, h, w = made.qgraph.input.shape
    return {
        "dcgen": __version__,
        "name": made.qgraph.name,
        "model": source.model,
        "weights": None if source.weights is None else source.weights.name,
        "target": job.target.name,
        "head": compiled.model.head,
        "blob_bytes": len(made.blob.data),
        "parameters": sum(a["parameters"] for a in layers),
        "nonzeros": sum(a["nonzeros"] for a in layers),
        "macs": sum(a["macs"] for a in layers),
        "nonzero_macs": sum(a["nonzero_macs"] for a in layers),
        "removed_channels": sum(a["removed_channels"] for a in layers),
        "input": {
            "height": h,
            "width": w,
            "channels": c,
            "layout": "HWC",
            "bytes": c * h * w,
            **_input_facts(compiled.preprocess),
        },
        "preprocess": form.to_json() if isinstance(form := compiled.preprocess, Preprocess) else None,
        "outputs": list(_outputs(compiled)),
        "scores": {"count": made.qgraph.n_scores, "scale": made.qgraph.score_scale},
        "settings": job.recipe.settings(),
        "calibration": {
            "measured": len(calibration.measure),
            "held_out": len(calibration.held_out),
            "measured_sha256": digest(calibration.measure),
            "held_out_sha256": digest(calibration.held_out),
            "measured_pictures": list(measured),
            "held_out_pictures": list(held_out),
            "in_both": len(set(measured) & set(held_out)),
        },
        "held_out": compiled.held_out.to_json(),
        **_goal(compiled),
        **compiled.said,
        "arena_bytes": compiled.plan.arena_bytes,
        **_schedule(compiled),
        **_needs(compiled),
        **_engine(compiled),
        "blob_sections": {
            "header": made.blob.header,
            "topology": made.blob.topology,
            "tensors": made.blob.tensors,
            "layers": sum(layer.size.total for layer in made.blob.layers),
        },
        "layers": layers,
        "tensors": [
            {
                "name": t.name,
                "shape": list(t.shape),
                "scale": t.scale,
                "zero_point": t.zero_point,
                # Share of the tensor's calibration values outside of its own range. Its scale may be shared with
                # other tensors, which makes the range wider and the share no larger.
                "saturated_at_most": found.saturated if (found := ranges.get(t.name)) else 0.0,
            }
            for t in made.qgraph.tensors.values()
        ],
        "nodes": [n.name for n in made.qgraph.nodes],
    }


def manifest_json(data: Mapping[str, Any]) -> bytes:
    """A manifest as the bytes of its file."""
    return (json.dumps(data, indent=1) + "\n").encode()


def _input_facts(form: InputForm) -> dict[str, Any]:
    """What the bytes of the input are: a picture's, in the camera's order of channels, or of a tensor's values."""
    if isinstance(form, Preprocess):
        return {"type": "picture", "camera_order": form.camera_order, "scale": None, "zero_point": None}
    return {"camera_order": None, **form.to_json()}


def _outputs(compiled: Compiled) -> Iterator[dict[str, Any]]:
    """What each output is. Where there are several, also which of all scores are its own, and its own head."""
    outputs, first = compiled.held_out.outputs, 0
    for output, head, kind in zip(outputs, compiled.model.heads, compiled.kinds, strict=True):
        last = first + math.prod(output.shape)
        yield {
            "name": output.name,
            "shape": list(output.shape),
            "kind": kind,
            **({} if len(outputs) == 1 else {"head": head, "first_score": first}),
            # Real values of the integer network's outputs of 1, where not all are 1.
            **({} if compiled.units is None else {"units": compiled.units[first:last].tolist()}),
            # Real value of a unit of each score, as the firmware's header has it; of the only output, if it is
            # classes, it stands with the scores.
            **({} if compiled.scales is None else {"scales": compiled.scales[first:last]}),
        }
        first = last


def _goal(compiled: Compiled) -> dict[str, Any]:
    """The recipe's goal, if it has one, and the figure that was reached; fidelity is that on held-out pictures."""
    if (goal := compiled.job.recipe.goal()) is None:
        return {}
    trial = compiled.integers.trial
    parts = [{"name": p.name, "limit": p.limit, "reached": p.value} for p in goal.parts(trial)]
    limits = {"limits": parts} if goal.name == "fidelity" else {}
    return {"goal": {"name": goal.name, "limit": goal.limit, "reached": goal.figure(trial), **limits}}


def _schedule(compiled: Compiled) -> dict[str, Any]:
    """What depends on the limit of RAM.

    That is the limit, the bits that index decoding tables, whether the picture is taken row by row, and if so, the
    segments of the network, each by its first node, its last node and its number of strips.
    """
    schedule, nodes, ram = compiled.plan.schedule, compiled.integers.qgraph.nodes, compiled.job.limits.ram
    segments = [
        {"first": nodes[s.first].name, "last": nodes[s.last - 1].name, "strips": len(s.ends)}
        for s in schedule.segments
    ]
    return {
        **({} if ram is None else {"ram_limit": ram}),
        "table_bits": compiled.plan.scratch.table_bits,
        "streamed": schedule.streamed,
        "segments": segments if schedule.streamed else [],
    }


def _needs(compiled: Compiled) -> dict[str, Any]:
    """Predicted flash and instructions of the firmware, if the target is a microcontroller."""
    if (needs := compiled.needs) is None:
        return {}
    found, nodes = needs.instructions, compiled.integers.qgraph.nodes
    return {
        "predicted": {
            "flash_bytes": needs.flash_bytes,
            "instructions": found.total,
            "most_instructions": needs.most_instructions.total,
            "init_instructions": found.init,
            "node_instructions": {nodes[i].name: count for i, count in found.nodes.items()},
        }
    }


def _engine(compiled: Compiled) -> dict[str, Any]:
    """The engine's figures, if the target is one."""
    if (engine := compiled.engine) is None:
        return {}
    plan, prediction = engine.plan, engine.prediction
    return {
        "engine": {
            "parameters": asdict(plan.parameters),
            **summary(plan),
            "predicted_cycles": prediction.total,
            "utilisation": round(prediction.utilisation, 4),
            "cycles_by_cause": dict(prediction.causes),
            **({"pace": asdict(engine.pace)} if engine.pace else {}),
            "buffers": [asdict(b) for b in plan.buffers],
        }
    }


def _layers(compiled: Compiled) -> Iterator[dict[str, Any]]:
    """The figures of each convolution."""
    made = compiled.integers
    dense, removed = macs(compiled.graph), removed_channels(compiled.graph, made.compressed)
    sizes = {layer.name: layer.size for layer in made.blob.layers}
    convs = {n.name: n.op for n in made.qgraph.nodes if isinstance(n.op, QConv)}
    kernels = {n.name: n.conv for n in compiled.plan.nodes if n.conv is not None}
    names = [n.name for n in made.qgraph.nodes]
    loops = {names[i]: kind for i, kind in compiled.needs.instructions.loops.items()} if compiled.needs else {}
    for node, conv in compiled.graph.convs():
        _, h, w = compiled.graph.shapes[node.name]
        weights, nonzeros = conv.weight.values.size, int(np.count_nonzero(convs[node.name].weights))
        size = sizes[node.name]
        yield {
            "name": node.name,
            "parameters": weights + len(conv.bias),
            "weights": weights,
            "nonzeros": nonzeros,
            "density": nonzeros / weights,
            "removed_channels": removed[node.name],
            "levels": len(convs[node.name].levels),
            "bits_per_weight": 8 * size.total / weights,
            "bytes": size.total,
            "bytes_by_part": asdict(size),
            "macs": dense[node.name],
            "nonzero_macs": nonzeros * h * w,
            "kernel": kernels[node.name].kernel,
            "kernel_reason": kernels[node.name].reason,
            **({"inner_loops": loops[node.name]} if loops else {}),
        }
