"""The C runtime's plan: tensors' places in the arena, nodes' geometry and kernels, scratch memory."""

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
from dcgen.plan.places import Block, place
from dcgen.quant.qgraph import QConv, QGraph, QMaxPool, QNode

SPARE_TAPS = 1024
"""Non-zero weights of one filter that later weights of the same network may have without a new plan."""

SMALL_WORKSPACE = 4096
"""Bytes that a packed input may take where nobody limits the memory."""


@dataclass(frozen=True)
class Layout:
    """Where element (c, y, x) is: offset + c * channel_stride + (y % rows) * row_stride + x * pixel_stride.

    offset : from the arena's start, or for the network's input from the picture's unless it is streamed;
        in bytes, as the strides
    rows : that are held
    """

    shape: Shape
    offset: int
    channel_stride: int
    row_stride: int
    pixel_stride: int
    rows: int

    @classmethod
    def planes(cls, shape: Shape, offset: int, rows: int) -> Layout:
        """Planes one after the other, C x rows x W."""
        _, _, w = shape
        return cls(shape, offset, rows * w, w, 1, rows)

    @classmethod
    def pixels(cls, shape: Shape, offset: int, rows: int) -> Layout:
        """A camera picture, rows x W x C."""
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

    kernel : C function, None where placement does the work
    inputs : indices of the two input tensors, the same twice where there is one
    output : index of the output tensor, 0 for the scores
    out_shape : (C, H, W), of the scores before flattening
    conv : a convolution's kernel and why it was chosen
    workspace : offset of the packed input from the arena's start, where there is one
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
    """Scratch areas of the arena: offsets in bytes, capacities in elements.

    checks : uint32 [nodes], sums of the self-test
    tables : uint32 [n_tables, table_words] decoding tables, entered with table_bits bits
    levels : int16 [256]
    list : uint32 [list_words(tap_capacity)], one filter's non-zero weights
    runs : uint16 [run_halfwords(tap_capacity)], the same sorted by level
    row : int32 [row_capacity] accumulators, or the bytes of a max-pool's columns
    size : bytes of all areas, aligned; they start the arena
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
    """Everything C needs beside the blob.

    topology_hash : of the network; C refuses a blob with another one
    tensors : the input, then each node's output, as the blob numbers them
    schedule : segments and steps
    arena_bytes : scratch and activations, scores and the caller's picture not counted
    activation_bytes : the arena's part for tensors and packed inputs
    live_bytes : most bytes of tensors and packed inputs alive at once, which no assignment can undercut
    input_bytes : of the caller's picture
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
        """Offset and size of everything that lies behind the scratch areas, in bytes."""
        layouts = [t.layout for t in self.tensors[0 if self.schedule.streamed else 1 :]]
        return (
            *((a.offset, a.shape[0] * a.rows * a.shape[2]) for a in layouts),
            *((n.workspace, n.conv.packing.size) for n in self.nodes if n.conv and n.conv.packing),
        )

    @property
    def picture_bytes(self) -> int:
        """Of the picture that the caller must hold: a row where rows are pushed."""
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
    memory : bytes for tensors and packed inputs; by default what tensors need and an eighth more
    table_bits : that decoding tables are entered with, 4..12; by default the fastest

    Raises PlanError, with the node's name, for what the C runtime cannot address, and where tensors do not
    fit the memory.
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
    """Where everything is, in bytes behind the scratch areas.

    tensors : offset of each of the schedule's buffers
    convs : each convolution's kernel, by node index
    workspaces : offset of packed inputs, likewise
    """

    schedule: Schedule
    tensors: tuple[int, ...]
    convs: Mapping[int, ConvPlan]
    workspaces: Mapping[int, int]

    @property
    def _packed(self) -> tuple[Buffer, ...]:
        return tuple(Buffer({}, p.size, 1, i, i) for i, c in self.convs.items() if (p := c.packing))

    @property
    def size(self) -> int:
        """Bytes, aligned."""
        return extent((*self.schedule.buffers, *self._packed), (*self.tensors, *self.workspaces.values()))

    @property
    def live_bytes(self) -> int:
        """Most bytes alive at once."""
        return live_bytes((*self.schedule.buffers, *self._packed))


def _roomy_map(schedule: Schedule) -> _Map:
    """Packed inputs take what the tensors leave of the arena at their time. Where that is little, an eighth of
    the tensors' own memory is added."""
    buffers = schedule.buffers
    peak = live_bytes(buffers)
    convs = {}
    for i in schedule.convs:
        live = sum(align(b.size) for b in buffers if b.meets_nodes(i, i + 1))
        convs[i] = schedule.kernel(i, max(peak - live, peak // 8, SMALL_WORKSPACE), frugal=False)
    packed = tuple(Buffer({}, p.size, 1, i, i) for i, c in convs.items() if (p := c.packing))
    offsets = assign((*buffers, *packed))
    n = len(buffers)
    return _Map(schedule, offsets[:n], convs, dict(zip((b.first for b in packed), offsets[n:], strict=True)))


def tensor_places(schedule: Schedule, memory: int) -> tuple[int, ...] | None:
    """Where each of the schedule's buffers is in ``memory`` bytes, None if no way to place them is found."""
    return place(
        [Block(align(b.size), b.first, b.last) for b in schedule.buffers], memory // ALIGNMENT * ALIGNMENT
    )


def _tight_map(schedule: Schedule, memory: int) -> _Map:
    """Packed inputs take the largest gap between the tensors at their time."""
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
    """places : buffer, its offset, and the tensor's first channel in it; none of a picture that lies elsewhere"""
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
    placed = fields.kind is Kind.CONCAT  # inputs lie side by side already: no kernel, nothing to read
    output = index.get(node.name, 0)
    return NodePlan(
        name=node.name,
        kernel=conv.kernel if conv else None if placed else f"dcg_{fields.kind.name.lower()}",
        kind=fields.kind,
        flags=fields.flags,
        inputs=(0, 0) if placed else (index[node.inputs[0]], index[node.inputs[-1]]),
        output=output,
        out_shape=graph.tensors[node.name].shape if output else graph.score_shape,
        kernel_size=(window[0], window[1]),
        stride=(window[2], window[3]),
        pads=(top, left, bottom, right),
        groups=window[4],
        conv=conv,
        workspace=workspace,
    )


def _scratch(graph: QGraph, blob: Blob, table_bits: int) -> Scratch:
    convs = [(n, n.op) for n in graph.nodes if isinstance(n.op, QConv)]
    outputs = [
        (graph.tensors[n.name].shape if n.name in graph.tensors else graph.score_shape)[2] for n, _ in convs
    ]
    pooled = [graph.tensors[n.inputs[0]] for n in graph.nodes if isinstance(n.op, QMaxPool)]
    # In a picture, the bytes of all channels lie between those of one. Pooling reads three bytes further.
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
