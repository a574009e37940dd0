"""What a convolution makes the runtime do: how often each of its loops runs.

The counts follow ``firmware/runtime``: ``dcg_conv_packed.c`` and the kernels it chooses among, or ``dcg_conv.c``.
A count's name says what is counted, as ``tap.levels``: a non-zero weight times a pass of that kernel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.sections import BlobLayer
from dcgen.plan.conv_kernels import step_packings
from dcgen.plan.firmware import NodePlan
from dcgen.plan.limits import (
    CHUNK,
    DENSE_ENTRY,
    DENSE_FILTER,
    DENSE_WEIGHT,
    MAX_CLASSES,
    MAX_RUNS,
    MOST_ADDED,
    MOST_BESIDE,
    TAPS_A_CLASS,
)
from dcgen.plan.packing import PASS, Packing
from dcgen.quant.qgraph import QConv, QTensor
from dcgen.targets import Extension

I64 = NDArray[np.int64]

FAR_WORDS = 1 << 16
"""Words of planes and complements that a distance of the kernel by levels reaches."""
PAIR_LIMIT = 1 << 22
"""Sums below share an accumulator with another's."""
SHORT_SUM = 128
"""Of weights above zero, and of those below, whose products a signed halfword holds the sum of."""
LONG_PASS = 56
"""Positions of Helium's usual pass, of sums."""
DENSE_PASS = 3
"""Positions of a pass of dot products, for two filters."""


@dataclass(frozen=True, eq=False)
class Filters:
    """What the lists of one convolution's filters hold.

    weights : int64 [O, taps of a dense filter], in the order of decoding
    taps, classes : int64 [O], non-zero weights, and different magnitudes among them
    fit : bool [O], whether sums stay within ``PAIR_LIMIT`` for every input
    """

    weights: I64
    taps: I64
    classes: I64
    fit: NDArray[np.bool_]

    @classmethod
    def of(cls, op: QConv) -> Filters:
        outputs = len(op.bias)
        weights = op.weights.astype(np.int64).transpose(0, 2, 3, 1).reshape(outputs, -1)
        magnitudes = np.abs(weights)
        new = np.diff(np.sort(magnitudes, axis=1), axis=1, prepend=0) != 0
        bound = np.abs(op.bias.astype(np.int64)) + 255 * magnitudes.sum(1)
        return cls(weights, np.count_nonzero(magnitudes, axis=1), new.sum(1), bound < PAIR_LIMIT)


def conv_work(
    node: NodePlan,
    op: QConv,
    source: QTensor,
    layer: BlobLayer,
    steps: Mapping[int, int],
    extension: Extension,
    tap_capacity: int,
) -> Mapping[str, int]:
    """Counts of one run of the convolution ``op``.

    node : its plan
    source : its input
    layer : its section of the blob
    steps : how many steps compute so many rows
    extension : of the core, that kernels are chosen by
    tap_capacity : of the plan's scratch memory
    """
    assert node.conv is not None and layer.stream is not None
    filters = Filters.of(op)
    if (packing := node.conv.packing) is None:
        return _opening(op, layer, sum(steps.values())) | _plain(node, filters)
    dense = extension == "helium" and _is_dense(op, layer.stream.n_entries, tap_capacity)
    found: Counter[str] = Counter()
    for one, times in step_packings(op, source.shape, node.out_shape, packing, steps):
        choice = op, filters, one, packing.words, layer.stream.n_entries, extension
        kernel = "dense" if dense else _kernel(*choice)
        work = _opening(op, layer, one.strips) | _around(node, op, source, one, kernel)
        match kernel:
            case "levels":
                work |= _levels(filters, one)
            case "direct":
                work |= _direct(filters, one)
            case "dense":
                work |= _dense(op, filters, one)
            case _ if extension == "helium":
                work |= _helium(filters, one)
            case _:
                work |= _bytes(filters, one)
        for name, count in work.items():
            found[name] += count * times
    return found


def _opening(op: QConv, layer: BlobLayer, times: int) -> dict[str, int]:
    """Building tables and decoding all filters."""
    assert layer.stream is not None
    return {
        "conv": times,
        "table_byte": layer.size.tables * times,
        "entry": layer.stream.n_entries * times,
        "escape": layer.stream.n_escapes * times,
        "longest": layer.stream.n_longest * times,
        "symbol": layer.stream.n_symbols * times,
        "place": len(op.bias) * op.kernel[0] * op.kernel[1] * times,
    }


def _plain(node: NodePlan, filters: Filters) -> dict[str, int]:
    """``dcg_conv`` and ``dcg_conv_scores``: the output plane row by row."""
    outputs, height, width = node.out_shape
    taps = int(filters.taps.sum())
    return {
        "row.plain": outputs * height,
        "output.plain": outputs * height * width,
        "tap_row.plain": taps * height,
        "tap.plain": taps * height * width,
    }


def _kernel(op: QConv, filters: Filters, packing: Packing, room: int, entries: int, extension: Extension) -> str:
    """Which one ``run_strip`` takes. ``room`` : words that the packed planes may take."""
    if extension == "helium":
        return "bytes"
    words = 2 * packing.planes * (packing.strip // 4 + packing.halo)
    sizes = np.unique(np.abs(op.levels[op.levels != 0].astype(np.int64)))
    most = int(filters.taps.max())
    by_levels = (
        words <= room
        and sizes.max(initial=0) < 1 << 15
        and words <= FAR_WORDS
        and len(sizes) <= MAX_CLASSES
        and len(sizes) < most
        and len(sizes) + most // MOST_ADDED + 1 <= MAX_RUNS
        and entries // len(op.bias) > TAPS_A_CLASS * len(sizes)
    )
    if by_levels:
        return "levels"
    return "direct" if extension == "dsp" else "bytes"


def _is_dense(op: QConv, entries: int, tap_capacity: int) -> bool:
    """As ``dcg_dense_suits`` has it."""
    outputs, row = len(op.bias), op.indices[0].size
    return (
        op.groups == 1
        and op.stride == (1, 1)
        and op.indices.shape[1] % CHUNK == 0
        and op.indices.shape[1] <= MOST_BESIDE
        and np.abs(op.levels.astype(np.int64)).max() <= 127
        and row <= 2 * tap_capacity
        and DENSE_ENTRY * entries > (DENSE_WEIGHT * row + DENSE_FILTER) * outputs
    )


def _around(node: NodePlan, op: QConv, source: QTensor, packing: Packing, kernel: str) -> dict[str, int]:
    """What is the same for all kernels: packing the input, storing the output."""
    outputs, _, width = node.out_shape
    strips, line = packing.strips, packing.strip + packing.halo
    rows = (packing.positions - width) // packing.pitch + 1
    plain = op.kernel == op.stride == (1, 1) and not any(op.pads)
    as_it_lies = kernel == "bytes" and plain and packing.positions == packing.strip
    packed = 0 if as_it_lies else packing.planes * line * strips
    strided = op.stride[1] * (source.shape[0] if node.inputs[0] == 0 else 1) > 1
    requant = op.requant
    assert requant is not None
    clipped = (requant.lo, requant.hi) != (0, 255)
    return {
        f"pack.{kernel}": packed,
        "pack_line": 0 if plain else packed,
        "pack_plane": 0 if as_it_lies else packing.planes * strips,
        "pack_row": 0 if plain else packing.planes * -(-line // packing.pitch) * strips,
        "pack_strided": packed if strided else 0,
        f"filter.{kernel}": outputs * strips,
        "store_row": 0 if plain else outputs * (rows + strips),
        "store_byte": outputs * packing.strip * strips,
        "clip_byte": outputs * packing.strip * strips if clipped else 0,
    }


def _levels(filters: Filters, packing: Packing) -> dict[str, int]:
    runs = filters.classes + np.maximum(filters.taps - 1, 0) // MOST_ADDED
    runs = np.maximum(runs + runs % 2, 2)  # two at a time
    passes = packing.strip // PASS * packing.strips
    taps, total = int(filters.taps.sum()), int(runs.sum())
    return {
        "list_tap.levels": taps * packing.strips,
        "list_run.levels": total * packing.strips,
        "tap.levels": taps * passes,
        "run.levels": total * passes,
        "pass.levels": len(runs) * passes,
    }


def _direct(filters: Filters, packing: Packing) -> dict[str, int]:
    passes = packing.strip // (PASS // 2) * packing.strips
    counts = {"list_tap.direct": int(filters.taps.sum()) * packing.strips}
    for name, chosen in (("direct", filters.fit), ("direct_portable", ~filters.fit)):
        counts[f"tap.{name}"] = int(filters.taps[chosen].sum()) * passes
        counts[f"pass.{name}"] = int(chosen.sum()) * passes
    return counts


def _dense(op: QConv, filters: Filters, packing: Packing) -> dict[str, int]:
    outputs, (kernel_rows, _), row = len(filters.taps), op.kernel, op.indices[0].size
    passes = -(-outputs // 2) * sum(-(-positions // DENSE_PASS) for positions in _strips(packing))
    return {
        "list_tap.dense": int(filters.taps.sum()) * packing.strips,
        "list_chunk.dense": row // CHUNK * outputs * packing.strips,
        "chunk.dense": row // CHUNK * passes,
        "kernel_row.dense": (kernel_rows - 1) * passes,
        "pass.dense": passes,
    }


def _strips(packing: Packing) -> Iterator[int]:
    """Positions of each strip that are an output's."""
    for first in range(0, packing.positions, packing.strip):
        yield min(packing.strip, packing.positions - first)


def _bytes(filters: Filters, packing: Packing) -> dict[str, int]:
    passes = sum(-(-positions // PASS) for positions in _strips(packing))
    return {"tap.bytes": int(filters.taps.sum()) * passes, "pass.bytes": len(filters.taps) * passes}


def _helium(filters: Filters, packing: Packing) -> dict[str, int]:
    taps, outputs = int(filters.taps.sum()), len(filters.taps)
    if np.abs(filters.weights).max(initial=0) > SHORT_SUM:
        passes = sum(-(-positions // PASS) for positions in _strips(packing))
        return {"tap.wide": taps * passes, "pass.wide": outputs * passes}
    segments, counts = _segments(filters), {"list_tap.bytes": taps * packing.strips}
    long = short = 0
    for positions in _strips(packing):
        full, rest = positions // LONG_PASS, -(-(positions % LONG_PASS) // PASS)
        one_more = full > 0 and rest > 2
        long += full + one_more
        short += 0 if one_more else rest
    for name, passes in (("long", long), ("short", short)):
        counts[f"tap.bytes_{name}"] = taps * passes
        counts[f"segment.bytes_{name}"] = (segments - outputs) * passes  # behind the first one
        counts[f"pass.bytes_{name}"] = outputs * passes
    return counts


def _segments(filters: Filters) -> int:
    """Parts of all filters' lists, each cut before the weights of one sign sum to more than ``SHORT_SUM``."""
    found = 0
    for weights in filters.weights:
        taps = weights[weights != 0]
        above, below = np.cumsum(np.maximum(taps, 0)), np.cumsum(np.maximum(-taps, 0))
        end, found = _cut(above, below, 0, 0), found + 1
        while end < len(taps):
            end, found = _cut(above, below, above[end - 1], below[end - 1]), found + 1
    return found


def _cut(above: I64, below: I64, above_before: int, below_before: int) -> int:
    """Where the part ends before whose begin the weights of either sign sum to that."""
    ends = (np.searchsorted(s, b + SHORT_SUM, "right") for s, b in ((above, above_before), (below, below_before)))
    return int(min(ends))
