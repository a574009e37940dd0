"""The replay lists that the engine's front end must publish for a plan when it has decoded the blob."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dcgen.hw.contract.commands import Fill, Op
from dcgen.hw.contract.lists import I64, ReplayList
from dcgen.plan.engine.plan import EnginePlan
from dcgen.plan.engine.steps import Step
from dcgen.quant.qgraph import QAdd, QAvgPool, QConv, QGraph, QPad, QTensor, Requant


def replay_lists(graph: QGraph, plan: EnginePlan) -> Iterator[ReplayList]:
    """Every list of one picture, in the order of publication."""
    for step in plan.steps:
        yield from step_lists(graph, step)


def step_lists(graph: QGraph, step: Step) -> tuple[ReplayList, ...]:
    """The lists of one step: one for each output channel of a CONV, one for a POOL or SCORES, else none."""
    tensors = (graph.input, *(graph.tensors[n.name] for n in graph.byte_nodes))
    source = tensors[step.fields.get("tensor_in", 0)]
    match step.op:
        case Op.CONV:
            return _convolution(graph, step, source, tensors)
        case Op.POOL:
            return (ReplayList(fill=_fill(graph, step, source)),)
        case Op.SCORES:
            return (ReplayList(zero_in=source.zero_point),)
        case Op.TENSORS | Op.LOAD | Op.SECTION | Op.END:
            return ()


def _fill(graph: QGraph, step: Step, source: QTensor) -> int:
    """The byte that a POOL step reads outside its source."""
    match step.fields["fill"]:
        case Fill.SECTION:
            op = graph.nodes[step.node].op
            assert isinstance(op, QPad)
            return op.value
        case Fill.ZERO_POINT:
            return source.zero_point
        case Fill.INPUT_PAD:
            return graph.input.pad[step.fields["fill_index"]]
        case _:
            return 0


def _convolution(
    graph: QGraph, step: Step, source: QTensor, tensors: tuple[QTensor, ...]
) -> tuple[ReplayList, ...]:
    f, op = step.fields, graph.nodes[step.node].op
    zero_out = tensors[f["tensor_out"]].zero_point
    taps = np.arange(f["taps"])
    found = []
    for channel in range(f["outputs"]):
        requant: Requant | None = None
        plane = channel * f["in_words"]
        match op:
            case QConv():
                weights, at, planes = _filter(op, channel, f["group_outputs"], f["group_words"], f["in_words"])
                bias, requant = int(op.bias[channel]), op.requant
            case QAdd():
                weights, at, planes = np.array(op.factors, np.int64), taps, np.full(len(taps), plane)
                zeros = [tensors[f[name]].zero_point for name in ("tensor_in", "tensor_in2")]
                bias, requant = -sum(z * k for z, k in zip(zeros, op.factors, strict=False)), op.requant
            case QAvgPool():
                n = len(taps)
                weight = (op.unit + n // 2) // n
                weights, at, planes = np.full(n, weight), taps, np.full(n, plane)
                bias, requant = -source.zero_point * n * weight, op.requant
            case _:  # ``lower`` makes convolutions of no others
                raise TypeError(f"{type(op).__name__} has no lists of weights")
        if requant is None:
            found.append(ReplayList(weights, at, planes, bias, zero_in=source.zero_point))
            continue
        k = channel if len(requant.mult) > 1 else 0
        constants = int(requant.mult[k]), int(requant.shift[k]), requant.lo, requant.hi
        found.append(ReplayList(weights, at, planes, bias, *constants, zero_out, source.zero_point))
    return tuple(found)


def _filter(op: QConv, channel: int, group_outputs: int, group_words: int, in_words: int) -> tuple[I64, I64, I64]:
    """Non-zero weights of one filter, their taps, and the words from the input's first channel to theirs.

    A filter without any has one weight of zero, as a list cannot be empty.
    """
    levels = op.weights[channel].transpose(1, 2, 0)
    kept = op.indices[channel].transpose(1, 2, 0) > 0
    ky, kx, ic = np.nonzero(kept)
    if not len(ic):
        zero = np.zeros(1, np.int64)
        return zero, zero, zero
    tap = ky * op.kernel[1] + kx
    return levels[kept].astype(np.int64), tap, channel // group_outputs * group_words + ic * in_words
