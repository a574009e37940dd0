"""How often each loop of the C runtime runs for a convolution.

The counts follow ``dcg_conv_packed.c`` and the kernels it chooses among, or ``dcg_conv_plain.c``. A count's name
is what one round of the loop works on, and behind a dot the kernel: ``tap.levels`` counts each tap, a weight that
is not zero, once for each pass of the kernel by levels. ``instruction_costs`` has what a round costs, by the same
names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.sections import BlobLayer
from dcgen.plan.firmware.constants import RUNTIME
from dcgen.plan.firmware.kernels import is_point, list_words, step_packings
from dcgen.plan.firmware.packing import PASS, WORD_BYTES, Packing, Padded
from dcgen.plan.firmware.plan import NodePlan, Scratch
from dcgen.plan.firmware.tables import table_words
from dcgen.plan.work import is_plain
from dcgen.quant.qgraph import QConv, QTensor
from dcgen.targets import Extension

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]
Kernel = Literal["levels", "direct", "dense", "bytes"]
"""A kernel on packed planes."""


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters of one convolution, as the runtime's lists hold them.

    weights : int64 [O, KH * KW * I/groups], each filter in the order of decoding, zeros included
    taps : int64 [O], how many weights of each filter are not zero
    classes : int64 [O], how many different magnitudes those have
    """

    weights: I64
    taps: I64
    classes: I64

    @classmethod
    def of(cls, op: QConv) -> Filters:
        outputs = len(op.bias)
        weights = op.weights.astype(np.int64).transpose(0, 2, 3, 1).reshape(outputs, -1)
        magnitudes = np.abs(weights)
        new = np.diff(np.sort(magnitudes, axis=1), axis=1, prepend=0) != 0
        return cls(weights, np.count_nonzero(magnitudes, axis=1), new.sum(1))

    @property
    def largest(self) -> int:
        """The largest magnitude of a weight."""
        return int(np.abs(self.weights).max(initial=0))

    @cached_property
    def segments(self) -> tuple[tuple[int, ...], ...]:
        """For each filter, how many taps each segment of its list has.

        A segment ends before its weights above zero, or those below, sum to more than ``SHORT_SUM``; no weight may
        be larger than that.
        """
        return tuple(map(_segments, self.weights))


def conv_work(
    node: NodePlan,
    op: QConv,
    source: QTensor,
    layer: BlobLayer,
    steps: Mapping[int, int],
    extension: Extension,
    scratch: Scratch,
    active: F64 | None = None,
) -> Mapping[str, float]:
    """How often each loop runs for the convolution ``op`` of one picture, over all its steps.

    node : the convolution in the plan
    source : its input tensor
    layer : its section of the blob
    steps : output rows of a step -> how many steps compute so many
    extension : of the core's instructions; the runtime chooses kernels by it
    scratch : the plan's scratch areas, whose sizes some kernels depend on
    active : float64 [C], how many bytes of each channel of the input are not zero; None where all may be
    """
    assert node.conv is not None and layer.stream is not None
    filters = Filters.of(op)
    if (packing := node.conv.packing) is None:
        point = is_point(op, source.shape, node.out_shape)
        opening = _opening(op, layer, scratch.table_bits, sum(steps.values()))
        return opening | (_point(op, filters) if point else _plain(node, filters))
    if isinstance(packing, Padded):
        return _depthwise(node, op, source, layer, steps, scratch.table_bits)
    dense = extension == "helium" and _is_dense(op, layer.stream.n_entries, scratch.tap_capacity)
    found: dict[str, float] = defaultdict(float)
    for one, times in step_packings(op, source.shape, node.out_shape, packing, steps):
        share = one.positions / prod(source.shape[1:])
        events = _events(op, filters, one, packing.words, extension, None if active is None else active * share)
        if "tap.events" in events:
            for name, count in (_opening(op, layer, scratch.table_bits, 1) | events).items():
                found[name] += count * times
            continue
        choice = op, filters, one, packing.words, layer.stream.n_entries, extension
        kernel: Kernel = "dense" if dense else _kernel(*choice)
        work = (
            _opening(op, layer, scratch.table_bits, one.strips) | _around(node, op, source, one, kernel) | events
        )
        match kernel:
            case "levels":
                work |= _levels(filters, one)
            case "direct":
                work |= _direct(filters, one, scratch.tap_capacity)
            case "dense":
                work |= _dense(op, filters, one)
            case "bytes":
                work |= _helium(filters, one) if extension == "helium" else _bytes(filters, one)
            case _:
                assert_never(kernel)
        for name, count in work.items():
            found[name] += count * times
    return found


def _opening(op: QConv, layer: BlobLayer, table_bits: int, times: int) -> dict[str, int]:
    """The work of opening the layer, which builds its decoding tables, and decoding all filters, ``times``
    times."""
    stream = layer.stream
    assert stream is not None
    apart = len(stream.n_symbols) > 1  # gaps and levels have codes of their own, for which there is no fast loop
    return {
        "conv": times,
        "table_byte": layer.size.tables * times,
        "table_word": sum(table_words(n, table_bits) for n in stream.n_symbols) * times,
        "entry.gaps" if apart else "entry": stream.n_entries * times,
        "escape": stream.n_escapes * times,
        "second": sum(stream.n_codes[table_bits + 1 :]) * times,
        "symbol": sum(map(sum, stream.n_symbols)) * times,
        "place": len(op.bias) * op.kernel[0] * op.kernel[1] * times,
    }


def _plain(node: NodePlan, filters: Filters) -> dict[str, int]:
    """The work of ``dcg_conv`` and ``dcg_conv_scores``, which compute each output plane row by row."""
    outputs, height, width = node.out_shape
    taps = int(filters.taps.sum())
    return {
        "row.plain": outputs * height,
        "output.plain": outputs * height * width,
        "tap_row.plain": taps * height,
        "tap.plain": taps * height * width,
    }


def _point(op: QConv, filters: Filters) -> dict[str, int]:
    """The same where there is a single output position."""
    places = int((op.weights != 0).any(axis=1).sum())
    return {"output.point": len(filters.taps), "place.point": places, "tap.point": int(filters.taps.sum())}


def _depthwise(
    node: NodePlan, op: QConv, source: QTensor, layer: BlobLayer, steps: Mapping[int, int], table_bits: int
) -> dict[str, int]:
    """The work of ``dcg_conv_depthwise_3x3`` or ``_5x5``, which pad each channel of a step and walk over its rows.

    Kernels of 3x3 with a stride of one take squares of four outputs; those of 5x5 take pairs, the last one of an
    odd number with another that is dropped.
    """
    outputs, _, width = node.out_shape
    channels, _, columns = source.shape
    times = sum(steps.values())
    rows = sum(n * height for height, n in steps.items())
    read = sum(n * ((height - 1) * op.stride[0] + op.kernel[0]) for height, n in steps.items())
    words = read * (columns if node.inputs[0] == 0 else -(-columns // WORD_BYTES))
    kernel = "{}x{}_step_{}".format(*op.kernel, op.stride[1])
    wide, paired = op.kernel == (5, 5), op.kernel == (3, 3) and op.stride == (1, 1)
    pairs = outputs * sum(n * (height // 2) for height, n in steps.items()) if paired else 0
    singles = outputs * rows - 2 * pairs
    opening = _opening(op, layer, table_bits, times)
    return opening | {
        "place": 0,  # the filter's places are decoded as one
        "filter.depthwise": outputs * times,
        "channel.depthwise": channels * times,
        "pad_row.depthwise": channels * read,
        "pad_word.depthwise": channels * words,
        "filter.depthwise_5x5": outputs * times if wide else 0,
        "row.depthwise": pairs + singles,
        "square.depthwise": pairs * (width // 2),
        "column.depthwise": pairs * (width % 2),
        f"pair.depthwise_{kernel}": singles * (-(-width // 2) if wide else width // 2),
        "single.depthwise": 0 if wide else singles * (width % 2),
        "clip_byte": outputs * rows * width if _is_clipped(op) else 0,
    }


def _kernel(
    op: QConv, filters: Filters, packing: Packing, room: int, entries: int, extension: Extension
) -> Kernel:
    """The kernel that the runtime chooses where the dense one does not suit; see ``dcg_conv_levels_suit``.

    room : 32-bit words that the packed planes may take
    entries : how many entries the layer's coded stream has
    """
    if extension == "helium":
        return "bytes"
    words = 2 * packing.planes * (packing.strip // 4 + packing.halo)
    sizes = np.unique(np.abs(op.levels[op.levels != 0].astype(np.int64)))
    most = int(filters.taps.max())
    by_levels = (
        words <= room
        and sizes.max(initial=0) < 1 << 15
        and words <= RUNTIME.FAR_WORDS
        and len(sizes) <= RUNTIME.MAX_CLASSES
        and len(sizes) < most
        and len(sizes) + most // RUNTIME.MOST_ADDED + 1 <= RUNTIME.MAX_RUNS
        and entries // len(op.bias) > RUNTIME.TAPS_A_CLASS * len(sizes)
    )
    if by_levels:
        return "levels"
    return "direct" if extension == "dsp" else "bytes"


def _is_dense(op: QConv, entries: int, tap_capacity: int) -> bool:
    """Whether the runtime chooses the dense kernel on a core with Helium; see ``dcg_conv_dense_suits``."""
    outputs, row = len(op.bias), op.indices[0].size
    return (
        op.groups == 1
        and op.stride == (1, 1)
        and op.indices.shape[1] % RUNTIME.CHUNK == 0
        and op.indices.shape[1] <= RUNTIME.MOST_BESIDE
        and np.abs(op.levels.astype(np.int64)).max() <= 127
        and row <= 2 * tap_capacity
        and RUNTIME.DENSE_ENTRY * entries > (RUNTIME.DENSE_WEIGHT * row + RUNTIME.DENSE_FILTER) * outputs
    )


def _around(node: NodePlan, op: QConv, source: QTensor, packing: Packing, kernel: Kernel) -> dict[str, int]:
    """The work of packing the input and storing the output of one step, around any kernel on packed planes."""
    outputs, _, width = node.out_shape
    strips, line = packing.strips, packing.strip + packing.halo
    rows = (packing.positions - width) // packing.pitch + 1
    plain = is_plain(op)
    as_it_lies = kernel == "bytes" and plain and packing.positions == packing.strip
    packed = 0 if as_it_lies else packing.planes * line * strips
    strided = op.stride[1] * (source.shape[0] if node.inputs[0] == 0 else 1) > 1
    return {
        f"pack.{kernel}": packed,
        "pack_line": 0 if plain else packed,
        "pack_plane": 0 if as_it_lies else packing.planes * strips,
        "pack_row": 0 if plain else packing.planes * -(-line // packing.pitch) * strips,
        "pack_strided": packed if strided else 0,
        f"filter.{kernel}": outputs * strips,
        "store_row": 0 if plain else outputs * (rows + strips),
        "store_byte": outputs * packing.strip * strips,
        "clip_byte": outputs * packing.strip * strips if _is_clipped(op) else 0,
    }


def _is_clipped(op: QConv) -> bool:
    """Whether its outputs have narrower bounds than those that kernels clip to."""
    assert op.requant is not None
    return (op.requant.lo, op.requant.hi) != (0, 255)


def _events(
    op: QConv, filters: Filters, packing: Packing, room: int, extension: Extension, active: F64 | None
) -> dict[str, float]:
    """The work of one step by events, or where the runtime takes another kernel, of the sample that tells it so.

    room : 32-bit words that the packed planes may take
    active : float64 [C], how many bytes of each channel of the step's input are not zero; None where all may be
    """
    if not is_plain(op) or op.groups != 1:
        return {}
    channels, positions, outputs = op.indices.shape[1], packing.positions, len(filters.taps)
    sampled = {"sample.events": channels * positions / RUNTIME.SAMPLED}
    if active is None:
        return sampled
    sums, full = -(-positions // 8) * 8, 2 * RUNTIME.EVENT_GROUP + 3  # sums are written eight at a time
    beside = RUNTIME.VECTOR_EVENTS if extension == "helium" else 1
    listed = np.ceil(active / beside) * beside
    words = (2 * listed + np.ceil(active / RUNTIME.EVENT_GROUP) + 1).sum()
    words += full  # the runtime asks for room for a full group before it begins one
    if words > min(channels * positions / RUNTIME.bytes_a_word(extension) + channels, room - sums - channels - 2):
        return sampled
    taps = np.count_nonzero(filters.weights, axis=0)
    return sampled | {
        "scan.events": channels * positions,
        "filter.events": outputs,
        "store_byte": outputs * positions,
        "position.events": outputs * sums,
        "tap.events": taps.sum(),
        "event.events": taps @ listed,
    }


def _levels(filters: Filters, packing: Packing) -> dict[str, int]:
    """The work of the kernel by levels in one step."""
    runs = filters.classes + np.maximum(filters.taps - 1, 0) // RUNTIME.MOST_ADDED
    runs = np.maximum(runs + runs % 2, 2)  # the kernel multiplies two runs at a time
    passes = packing.strip // PASS * packing.strips
    taps, total = int(filters.taps.sum()), int(runs.sum())
    return {
        "list_tap.levels": taps * packing.strips,
        "list_run.levels": total * packing.strips,
        "tap.levels": taps * passes,
        "run.levels": total * passes,
        "pass.levels": len(runs) * passes,
    }


def _direct(filters: Filters, packing: Packing, tap_capacity: int) -> dict[str, int]:
    """The work of the direct kernel in one step; filters that it cannot compute go to its portable twin."""
    passes, outputs = packing.strip // PASS * packing.strips, len(filters.taps)
    if filters.largest > RUNTIME.SHORT_SUM:
        return {"tap.direct_portable": int(filters.taps.sum()) * passes, "pass.direct_portable": outputs * passes}
    room = list_words(tap_capacity) - 2 * tap_capacity
    entries = np.array([sum(-(-n // RUNTIME.GROUP) + 1 for n in segments) for segments in filters.segments])
    counts: Counter[str] = Counter()
    for name, chosen in (("direct", entries <= room), ("direct_portable", entries > room)):
        counts[f"tap.{name}"] = int(filters.taps[chosen].sum()) * passes
        counts[f"pass.{name}"] = int(chosen.sum()) * passes
    segments = sum(map(len, filters.segments))
    counts["list_tap.direct"] = int(filters.taps.sum()) * packing.strips
    counts["list_segment.direct"] = segments * packing.strips
    counts["segment.direct"] = (segments - outputs) * passes  # all but each filter's first one
    return counts


def _dense(op: QConv, filters: Filters, packing: Packing) -> dict[str, int]:
    """The work of the dense kernel in one step; it computes two filters at a time."""
    outputs, (kernel_rows, _), row = len(filters.taps), op.kernel, op.indices[0].size
    passes = -(-outputs // 2) * sum(-(-positions // RUNTIME.DENSE_AT_ONCE) for positions in _strips(packing))
    return {
        "list_tap.dense": int(filters.taps.sum()) * packing.strips,
        "list_chunk.dense": row // RUNTIME.CHUNK * outputs * packing.strips,
        "chunk.dense": row // RUNTIME.CHUNK * passes,
        "kernel_row.dense": (kernel_rows - 1) * passes,
        "pass.dense": passes,
    }


def _strips(packing: Packing) -> Iterator[int]:
    """How many positions up to the last output each strip has; the last strip may be longer than that."""
    for first in range(0, packing.positions, packing.strip):
        yield min(packing.strip, packing.positions - first)


def _bytes(filters: Filters, packing: Packing) -> dict[str, int]:
    """The work of the portable kernel on bytes in one step."""
    passes = sum(-(-positions // PASS) for positions in _strips(packing))
    return {"tap.bytes": int(filters.taps.sum()) * passes, "pass.bytes": len(filters.taps) * passes}


def _helium(filters: Filters, packing: Packing) -> dict[str, int]:
    """The work of Helium's kernel on bytes in one step: long passes, and short ones for the positions that are
    left."""
    taps, outputs = int(filters.taps.sum()), len(filters.taps)
    if filters.largest > RUNTIME.SHORT_SUM:
        passes = sum(-(-positions // PASS) for positions in _strips(packing))
        return {"tap.wide": taps * passes, "pass.wide": outputs * passes}
    segments, counts = sum(map(len, filters.segments)), {"list_tap.bytes": taps * packing.strips}
    long = short = 0
    for positions in _strips(packing):
        full, rest = positions // RUNTIME.LONG_PASS, -(-(positions % RUNTIME.LONG_PASS) // PASS)
        one_more = full > 0 and rest > 2
        long += full + one_more
        short += 0 if one_more else rest
    for name, passes in (("long", long), ("short", short)):
        counts[f"tap.bytes_{name}"] = taps * passes
        counts[f"segment.bytes_{name}"] = (segments - outputs) * passes  # all but each filter's first one
        counts[f"pass.bytes_{name}"] = outputs * passes
    return counts


def _segments(weights: I64) -> tuple[int, ...]:
    """How many taps each segment of one filter has; see ``Filters.segments``."""
    taps = weights[weights != 0]
    above, below = np.cumsum(np.maximum(taps, 0)), np.cumsum(np.maximum(-taps, 0))
    ends = [_cut(above, below, 0, 0)]
    while ends[-1] < len(taps):
        ends.append(_cut(above, below, above[ends[-1] - 1], below[ends[-1] - 1]))
    return tuple(np.diff(ends, prepend=0).tolist())


def _cut(above: I64, below: I64, above_before: int, below_before: int) -> int:
    """The index behind the last tap of a segment.

    above, below : sums of the magnitudes of the weights above and below zero, up to and including each tap
    above_before, below_before : the same sums ahead of the segment
    """
    sums = ((above, above_before + RUNTIME.SHORT_SUM), (below, below_before + RUNTIME.SHORT_SUM))
    return int(min(np.searchsorted(found, most, "right") for found, most in sums))
