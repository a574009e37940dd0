"""The C runtime's plan: places of tensors in the arena, geometry and kernels of nodes, scratch memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dcgen.encode.blob import Blob
from dcgen.encode.operators import node_fields
from dcgen.encode.schema import MAX_LEVELS, PADS, WINDOW, Kind, TopologyFlag
from dcgen.errors import PlanError
from dcgen.ir.graph import Pads, Pair, Shape
from dcgen.plan.firmware.arena import ALIGNMENT, Buffer, align, assign, extent, largest_gap, live_bytes
from dcgen.plan.firmware.kernels import ConvPlan, list_words, run_halfwords
from dcgen.plan.firmware.limits import MAX_ARENA_BYTES, check_limits
from dcgen.plan.firmware.segments import Schedule, whole_layers
from dcgen.plan.firmware.tables import capacity, fastest_bits
from dcgen.plan.places import place
from dcgen.quant.qgraph import QConv, QGraph, QMaxPool, QNode

SPARE_TAPS = 1024
"""A plan has room for this many non-zero weights in a filter, or all if the filter has fewer, so that denser
weights of the same network need no new plan."""

SMALL_WORKSPACE = 4096
"""Bytes that a packed input may take in any case where the memory is not limited."""


@dataclass(frozen=True)
class Layout:
    """Where element (c, y, x) is: offset + c * channel_stride + (y % rows) * row_stride + x * pixel_stride.

    Offset and strides are in bytes.

    shape : (C, H, W)
    offset : from the arena's start. For a picture that is not streamed, from the start of the caller's picture
    rows : how many rows of each channel are held; a ring if fewer than H
    """

    shape: Shape
    offset: int
    channel_stride: int
    row_stride: int
    pixel_stride: int
    rows: int

    @classmethod
    def planes(cls, shape: Shape, offset: int, rows: int) -> Layout:
        """Planes one after the other: bytes [C, rows, W]."""
        _, _, w = shape
        return cls(shape, offset, rows * w, w, 1, rows)

    @classmethod
    def pixels(cls, shape: Shape, offset: int, rows: int) -> Layout:
        """A camera picture: bytes [rows, W, C]."""
        c, _, w = shape
        return cls(shape, offset, 1, w * c, c, rows)


@dataclass(frozen=True)
class TensorPlan:
    """A uint8 tensor and its place."""

    name: str
    layout: Layout


@dataclass(frozen=True)
class NodePlan:
    """One node as C sees it.

    kernel : name of the C function; None for a Concat, which placement does
    kind, flags : as the blob's topology states them
    inputs : indices of two input tensors, the same twice where the node has one, 0 twice for a Concat
    output : index of the output tensor, 0 for scores
    out_shape : (C, H, W) of the output, or of the scores before flattening
    kernel_size, stride, pads, groups : as the operator has them; zeros where it has none
    conv : a convolution's kernel and why it was chosen
    workspace : where there is a packed input, its offset from the arena's start in bytes
    """

    name: str
    kernel: str | None
    kind: Kind
    flags: TopologyFlag
    inputs: Pair
    output: int
    out_shape: Shape
    kernel_size: Pair = (0, 0)
    stride: Pair = (0, 0)
    pads: Pads = (0, 0, 0, 0)
    groups: int = 0
    conv: ConvPlan | None = None
    workspace: int = 0


@dataclass(frozen=True)
class Scratch:
    """The scratch areas with which the arena begins.

    ``checks`` to ``row`` are the areas' offsets in bytes:

    checks : uint32 [nodes], check sums of the self-test
    tables : uint32 [n_tables, table_words], decoding tables that are entered with ``table_bits`` bits of a code
    levels : int16 [256], the codebook of the layer at work
    list : uint32 [list_words(tap_capacity)], the non-zero weights of the filter at work
    runs : uint16 [run_halfwords(tap_capacity)], the same weights sorted by level
    row : int32 [row_capacity], accumulators of a row, or the maxima of a pool's columns as bytes

    tap_capacity : most non-zero weights of a filter
    size : bytes of all areas, aligned
    """

    checks: int
    tables: int
    levels: int
    list: int
    runs: int
    row: int
    n_tables: int
    table_bits: int
    table_words: int
    tap_capacity: int
    row_capacity: int
    size: int


@dataclass(frozen=True)
class FirmwarePlan:
    """Everything that C needs beside the blob.

    topology_hash : of the network; C refuses a blob that has another
    tensors : the input, then each node's output, as the blob numbers them
    nodes : in execution order, as the blob numbers them
    schedule : the order of all work
    arena_bytes : bytes of scratch areas, tensors and packed inputs, but not of scores and the caller's picture
    activation_bytes : the part of ``arena_bytes`` that is for tensors and packed inputs
    live_bytes : most bytes of tensors and packed inputs that are alive at once: no assignment can do with less
    input_bytes : bytes of a whole picture
    """

    topology_hash: int
    tensors: tuple[TensorPlan, ...]
    nodes: tuple[NodePlan, ...]
    schedule: Schedule
    scratch: Scratch
    n_scores: int
    arena_bytes: int
    activation_bytes: int
    live_bytes: int
    input_bytes: int

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Offset and size in bytes of each tensor and packed input in the arena."""
        layouts = [t.layout for t in self.tensors[0 if self.schedule.streamed else 1 :]]
        return (
            *((a.offset, a.shape[0] * a.rows * a.shape[2]) for a in layouts),
            *((n.workspace, n.conv.packing.size) for n in self.nodes if n.conv and n.conv.packing),
        )

    @property
    def picture_bytes(self) -> int:
        """Bytes of the picture that the caller must hold: one row where it is streamed."""
        return self.input_bytes // (self.tensors[0].layout.shape[1] if self.schedule.streamed else 1)


def plan_firmware(
    graph: QGraph,
    blob: Blob,
    schedule: Schedule | None = None,
    memory: int | None = None,
    table_bits: int | None = None,
) -> FirmwarePlan:
    """Plan memory and kernels for ``blob``, which encodes ``graph``.

    schedule : the order of work; by default layer after layer
    memory : bytes for tensors and packed inputs; by default what the tensors need and about an eighth more
    table_bits : how many bits of a code decoding tables are entered with, 4..12; by default the fastest number

    Raises PlanError, with the name of the node or the network, for what the C runtime cannot address, and where
    the tensors do not fit ``memory``.
    """
    schedule = schedule or whole_layers(graph)
    check_limits(graph, len(blob.data))
    placed = _roomy_map(schedule) if memory is None else _tight_map(schedule, memory)
    scratch = _scratch(graph, blob, fastest_bits(blob) if table_bits is None else table_bits)
    places = {
        name: (buffer, scratch.size + offset, channel)
        for buffer, offset in zip(schedule.buffers, placed.tensors, strict=True)
        for name, channel in buffer.members.items()
    }
    names = [graph.input.name, *(n.name for n in graph.nodes if n.name in graph.tensors)]
    tensors = [TensorPlan(name, _layout(graph, name, places)) for name in names]
    index = {name: i for i, name in enumerate(names)}
    arena_bytes = scratch.size + placed.size
    if arena_bytes > MAX_ARENA_BYTES:
        raise PlanError(
            graph.name, f"needs an arena of {arena_bytes} bytes, at most {MAX_ARENA_BYTES} are addressed"
        )
    c, h, w = graph.input.shape
    return FirmwarePlan(
        topology_hash=blob.topology_hash,
        tensors=tuple(tensors),
        nodes=tuple(
            _node(graph, node, index, placed.convs.get(i), scratch.size + placed.workspaces.get(i, 0))
            for i, node in enumerate(graph.nodes)
        ),
        schedule=schedule,
        scratch=scratch,
        n_scores=graph.n_scores,
        arena_bytes=arena_bytes,
        activation_bytes=arena_bytes - scratch.size,
        live_bytes=placed.live_bytes,
        input_bytes=c * h * w,
    )


@dataclass(frozen=True)
class _Map:
    """Where tensors and packed inputs lie: offsets in bytes from the end of the scratch areas.

    tensors : offset of each of the schedule's buffers
    convs : the kernel of each convolution by node index
    workspaces : the offset of each packed input by node index
    """

    schedule: Schedule
    tensors: tuple[int, ...]
    convs: Mapping[int, ConvPlan]
    workspaces: Mapping[int, int]

    @property
    def _packed(self) -> tuple[Buffer, ...]:
        return _packed(self.convs)

    @property
    def size(self) -> int:
        """Bytes of all, aligned."""
        return extent((*self.schedule.buffers, *self._packed), (*self.tensors, *self.workspaces.values()))

    @property
    def live_bytes(self) -> int:
        """Most bytes that are alive at once."""
        return live_bytes((*self.schedule.buffers, *self._packed))


def _packed(convs: Mapping[int, ConvPlan]) -> tuple[Buffer, ...]:
    """The packed inputs as buffers that are alive during their node."""
    return tuple(Buffer({}, p.size, 1, i, i) for i, c in convs.items() if (p := c.packing))


def _roomy_map(schedule: Schedule) -> _Map:
    """The map where nothing limits the memory.

    A packed input may take what the tensors of its time leave of the tensors' peak, but at least an eighth of
    that.
    """
    buffers = schedule.buffers
    peak = live_bytes(buffers)
    convs = {}
    for i in schedule.convs:
        live = sum(align(b.size) for b in buffers if b.meets_nodes(i, i + 1))
        convs[i] = schedule.kernel(i, max(peak - live, peak // 8, SMALL_WORKSPACE), frugal=False)
    packed = _packed(convs)
    offsets = assign((*buffers, *packed))
    n = len(buffers)
    return _Map(schedule, offsets[:n], convs, dict(zip((b.first for b in packed), offsets[n:], strict=True)))


def tensor_places(schedule: Schedule, memory: int) -> tuple[int, ...] | None:
    """The offset of each of the schedule's buffers in ``memory`` bytes, None if no way to place them is found."""
    return place([b.block for b in schedule.buffers], memory // ALIGNMENT * ALIGNMENT)


def _tight_map(schedule: Schedule, memory: int) -> _Map:
    """The map within ``memory`` bytes: a packed input takes the largest gap between the tensors of its time."""
    buffers, offsets = schedule.buffers, tensor_places(schedule, memory)
    if offsets is None:
        raise PlanError(schedule.graph.name, f"its tensors fit {memory} bytes in no arrangement that was tried")
    convs, workspaces = {}, {}
    for i in schedule.convs:
        alive = ((o, o + align(b.size)) for b, o in zip(buffers, offsets, strict=True) if b.meets_nodes(i, i + 1))
        at, room = largest_gap(alive, memory // ALIGNMENT * ALIGNMENT)
        convs[i] = schedule.kernel(i, room, frugal=True)
        if convs[i].packing:
            workspaces[i] = at
    return _Map(schedule, offsets, convs, workspaces)


def _layout(graph: QGraph, name: str, places: Mapping[str, tuple[Buffer, int, int]]) -> Layout:
    """The layout of tensor ``name``.

    places : by tensor, the buffer, its offset in the arena, and the tensor's first channel in it; a picture that
        is not streamed has none
    """
    shape = graph.tensors[name].shape
    if name not in places:
        return Layout.pixels(shape, 0, shape[1])
    buffer, offset, channel = places[name]
    if name == graph.input.name:
        return Layout.pixels(shape, offset, buffer.rows)
    return Layout.planes(shape, offset + channel * buffer.rows * shape[2], buffer.rows)


def _node(graph: QGraph, node: QNode, index: dict[str, int], conv: ConvPlan | None, workspace: int) -> NodePlan:
    fields = node_fields(node.name, node.op)
    top, left, bottom, right, *window = (fields.topology.get(name, 0) for name in (*PADS, *WINDOW, "groups"))
    placed = fields.kind is Kind.CONCAT  # its inputs lie side by side already: no kernel, nothing to read
    output = index.get(node.name, 0)
    return NodePlan(
        name=node.name,
        kernel=conv.kernel if conv else None if placed else f"dcg_{fields.kind.name.lower()}",
        kind=fields.kind,
        flags=fields.flags,
        inputs=(0, 0) if placed else (index[node.inputs[0]], index[node.inputs[-1]]),
        output=output,
        out_shape=graph.shape_of(node),
        kernel_size=(window[0], window[1]),
        stride=(window[2], window[3]),
        pads=(top, left, bottom, right),
        groups=window[4],
        conv=conv,
        workspace=workspace,
    )


def _scratch(graph: QGraph, blob: Blob, table_bits: int) -> Scratch:
    convs = [(n, n.op) for n in graph.nodes if isinstance(n.op, QConv)]
    outputs = [graph.shape_of(n)[2] for n, _ in convs]
    pooled = [graph.tensors[n.inputs[0]] for n in graph.nodes if isinstance(n.op, QMaxPool)]
    # Maxima of a pool's columns: a picture has all channels' bytes in a row; a pool reads up to three bytes
    # further.
    columns = [t.shape[2] * (t.shape[0] if t is graph.input else 1) + 3 for t in pooled]
    row_capacity = max((*outputs, *(-(-n // 4) for n in columns)), default=0)
    n_tables = max((len(layer.stream.n_symbols) for layer in blob.layers if layer.stream), default=1)
    table_words = capacity(blob, table_bits)
    filters = [op.indices[0].size for _, op in convs]
    tap_capacity = max(blob.max_filter_entries, min(max(filters, default=0), SPARE_TAPS))
    sizes = (
        len(graph.nodes) * 4,
        n_tables * table_words * 4 if convs else 0,
        MAX_LEVELS * 2 if convs else 0,
        list_words(tap_capacity) * 4 if convs else 0,
        run_halfwords(tap_capacity) * 2 if convs else 0,
        row_capacity * 4,
    )
    checks, tables, levels, taps, runs, row, size = (sum(map(align, sizes[:i])) for i in range(len(sizes) + 1))
    return Scratch(
        checks,
        tables,
        levels,
        taps,
        runs,
        row,
        n_tables,
        table_bits,
        table_words,
        tap_capacity,
        row_capacity,
        size,
    )
