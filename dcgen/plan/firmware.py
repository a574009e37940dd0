"""The C runtime's plan: tensors' places in the arena, nodes' geometry and kernels, scratch memory."""

from __future__ import annotations

from dataclasses import dataclass

from dcgen.encode.blob import Blob
from dcgen.encode.schema import MAX_CODE_BITS, MAX_LEVELS, Coding, Kind, TopologyFlag
from dcgen.errors import PlanError
from dcgen.ir.graph import Pads, Pair, Shape
from dcgen.plan.arena import Buffer, align, assign, buffers, extent, live_bytes
from dcgen.plan.conv_kernels import ConvPlan, choose_kernels, list_words, run_halfwords
from dcgen.plan.limits import MAX_ARENA_BYTES, check_limits
from dcgen.quant.qgraph import QAdd, QAvgPool, QConcat, QConv, QGraph, QMaxPool, QNode, QOp, QPad, QScores

SPARE_TAPS = 1024
"""Non-zero weights of one filter that later weights of the same network may have without a new plan."""


@dataclass(frozen=True)
class Layout:
    """Where element (c, y, x) is: offset + c * channel_stride + y * row_stride + x * pixel_stride, in bytes.

    offset : from the arena's start, or for the network's input from the picture's
    """

    shape: Shape
    offset: int
    channel_stride: int
    row_stride: int
    pixel_stride: int

    @classmethod
    def planes(cls, shape: Shape, offset: int) -> Layout:
        """Planes one after the other, C x H x W."""
        _, h, w = shape
        return cls(shape, offset, h * w, w, 1)

    @classmethod
    def pixels(cls, shape: Shape) -> Layout:
        """A camera picture, H x W x C."""
        c, _, w = shape
        return cls(shape, 0, 1, w * c, c)


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

    tables : uint32 [n_tables, 2048] decoding tables
    levels : int16 [256]
    list : uint32 [list_words(tap_capacity)], one filter's non-zero weights
    runs : uint16 [run_halfwords(tap_capacity)], the same sorted by level
    row : int32 [row_capacity] accumulators, or the bytes of a max-pool's columns
    size : bytes of all areas, aligned; they start the arena
    """

    tables: int
    levels: int
    list: int
    runs: int
    row: int
    n_tables: int
    tap_capacity: int
    row_capacity: int
    size: int


@dataclass(frozen=True)
class FirmwarePlan:
    """Everything C needs beside the blob.

    topology_hash : of the network; C refuses a blob with another one
    tensors : the input, then each node's output, as the blob numbers them
    arena_bytes : scratch and activations, the caller's picture and scores not counted
    activation_bytes : the arena's part for tensors and packed inputs
    live_bytes : most bytes of tensors and packed inputs alive at once, which no assignment can undercut
    input_bytes : of the caller's picture
    """

    topology_hash: int
    tensors: tuple[TensorPlan, ...]
    nodes: tuple[NodePlan, ...]
    scratch: Scratch
    n_scores: int
    arena_bytes: int
    activation_bytes: int
    live_bytes: int
    input_bytes: int


def plan_firmware(graph: QGraph, blob: Blob) -> FirmwarePlan:
    """Plan memory and kernels for ``blob``, which encodes ``graph``.

    Raises PlanError, with the node's name, for what the C runtime cannot address.
    """
    check_limits(graph, len(blob.data))
    # Gaps and levels that are coded apart take a second decoding table.
    gaps = any(layer.stream is not None and layer.stream.coding == Coding.GAPS for layer in blob.layers)
    tensor_buffers = buffers(graph)
    convs = choose_kernels(graph, tensor_buffers)
    scratch = _scratch(graph, blob.max_filter_entries, gaps)
    workspaces = {i: c.packing.size for i, c in convs.items() if c.packing}
    all_buffers = (*tensor_buffers, *(Buffer({}, size, i, i) for i, size in workspaces.items()))
    offsets = tuple(scratch.size + offset for offset in assign(all_buffers))
    places = {
        name: offset + inner
        for buffer, offset in zip(tensor_buffers, offsets, strict=False)
        for name, inner in buffer.members.items()
    }
    workspace_at = dict(zip(workspaces, offsets[len(tensor_buffers) :], strict=True))
    names = [graph.input.name, *(n.name for n in graph.nodes if n.name in graph.tensors)]
    tensors = [TensorPlan(graph.input.name, Layout.pixels(graph.input.shape))]
    tensors += [TensorPlan(n, Layout.planes(graph.tensors[n].shape, places[n])) for n in names[1:]]
    index = {name: i for i, name in enumerate(names)}
    arena_bytes = max(scratch.size, extent(all_buffers, offsets))
    if arena_bytes > MAX_ARENA_BYTES:
        raise PlanError(
            graph.name, f"needs an arena of {arena_bytes} bytes, at most {MAX_ARENA_BYTES} are addressed"
        )
    c, h, w = graph.input.shape
    return FirmwarePlan(
        topology_hash=blob.topology_hash,
        tensors=tuple(tensors),
        nodes=tuple(
            _node(graph, node, index, convs.get(i), workspace_at.get(i, 0)) for i, node in enumerate(graph.nodes)
        ),
        scratch=scratch,
        n_scores=graph.n_scores,
        arena_bytes=arena_bytes,
        activation_bytes=arena_bytes - scratch.size,
        live_bytes=live_bytes(all_buffers),
        input_bytes=c * h * w,
    )


def _node(graph: QGraph, node: QNode, index: dict[str, int], conv: ConvPlan | None, workspace: int) -> NodePlan:
    op = node.op
    kernel, kind, flags = _kernel(op, conv)
    output = index.get(node.name, 0)
    return NodePlan(
        name=node.name,
        kernel=kernel,
        kind=kind,
        flags=flags,
        inputs=(0, 0) if isinstance(op, QConcat) else (index[node.inputs[0]], index[node.inputs[-1]]),
        output=output,
        out_shape=graph.tensors[node.name].shape if output else graph.score_shape,
        kernel_size=op.kernel if isinstance(op, QConv | QMaxPool | QAvgPool) else (0, 0),
        stride=op.stride if isinstance(op, QConv | QMaxPool | QAvgPool) else (0, 0),
        pads=op.pads if isinstance(op, QConv | QMaxPool | QAvgPool | QPad) else (0, 0, 0, 0),
        groups=op.groups if isinstance(op, QConv) else 0,
        conv=conv,
        workspace=workspace,
    )


def _kernel(op: QOp, conv: ConvPlan | None) -> tuple[str | None, Kind, TopologyFlag]:
    """C function, kind and flags (as the blob's topology has them) of an operator."""
    none, ceil, raw = TopologyFlag(0), TopologyFlag.CEIL, TopologyFlag.RAW
    match op:
        case QConv():
            assert conv is not None
            return conv.kernel, Kind.CONV, none if op.requant else raw
        case QMaxPool():
            return "dcg_max_pool", Kind.MAX_POOL, ceil if op.ceil else none
        case QAvgPool():
            counting = TopologyFlag.COUNT_INCLUDE_PAD if op.count_include_pad else none
            return "dcg_avg_pool", Kind.AVG_POOL, (ceil if op.ceil else none) | counting
        case QAdd():
            return "dcg_add", Kind.ADD, none
        case QPad():
            return "dcg_pad", Kind.PAD, none
        case QConcat():
            return None, Kind.CONCAT, none
        case QScores():
            return "dcg_scores", Kind.SCORES, raw if op.total else none


def _scratch(graph: QGraph, max_filter_entries: int, gaps: bool) -> Scratch:
    convs = [(n, n.op) for n in graph.nodes if isinstance(n.op, QConv)]
    outputs = [
        (graph.tensors[n.name].shape if n.name in graph.tensors else graph.score_shape)[2] for n, _ in convs
    ]
    pooled = [graph.tensors[n.inputs[0]] for n in graph.nodes if isinstance(n.op, QMaxPool)]
    # In a picture, the bytes of all channels lie between those of one. Pooling reads three bytes further.
    columns = [t.shape[2] * (t.shape[0] if t is graph.input else 1) + 3 for t in pooled]
    row_capacity = max((*outputs, *(-(-n // 4) for n in columns)), default=0)
    n_tables = 2 if gaps else 1
    filters = [op.indices[0].size for _, op in convs]
    tap_capacity = max(max_filter_entries, min(max(filters, default=0), SPARE_TAPS))
    sizes = (
        (n_tables << MAX_CODE_BITS - 1) * 4 if convs else 0,
        MAX_LEVELS * 2 if convs else 0,
        list_words(tap_capacity) * 4 if convs else 0,
        run_halfwords(tap_capacity) * 2 if convs else 0,
        row_capacity * 4,
    )
    tables, levels, taps, runs, row, size = (sum(map(align, sizes[:i])) for i in range(len(sizes) + 1))
    return Scratch(tables, levels, taps, runs, row, n_tables, tap_capacity, row_capacity, size)
