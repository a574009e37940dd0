"""What the records of each kind of node hold: an operator as the fields of its records, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.schema import (
    CONV_HEADER,
    NODE_HEADER,
    PADS,
    WINDOW,
    Kind,
    LayerFlag,
    Record,
    TopologyFlag,
)
from dcgen.errors import BlobError, NumericError
from dcgen.quant.arithmetic import MAX_SHIFT, MIN_SHIFT
from dcgen.quant.qgraph import (
    FACTOR_BITS,
    TABLE_BYTES,
    U8,
    UNIT_BITS,
    QAdd,
    QAvgPool,
    QConcat,
    QConv,
    QMaxPool,
    QMul,
    QOp,
    QPad,
    QScores,
    QTable,
    QUpsample,
    Requant,
)

if TYPE_CHECKING:
    from dcgen.encode.layout import NodeRecord, Section

NO_FLAGS = TopologyFlag(0)


@dataclass(frozen=True)
class KindRules:
    """What the records of a node of one kind hold. Fields that it lacks are zero, but ``hi``, which is 255.

    doc : the fields it has and the shape of its output, as words
    bounds : of the accumulator, as words; empty where there is none
    inputs : fewest and most input tensors
    flags : topology flags that it may have
    topology : its fields of NodeTopology, beside ``kind``, ``flags`` and ``n_inputs``
    layer : its fields of NodeHeader, beside check sum, size and ``kind``
    record : what follows the NodeHeader; nothing where None
    body_bytes : bytes that follow the headers, None where headers say how many
    """

    doc: str
    bounds: str = ""
    inputs: tuple[int, int] = (1, 1)
    flags: TopologyFlag = NO_FLAGS
    topology: tuple[str, ...] = ()
    layer: tuple[str, ...] = ()
    record: Record | None = None
    body_bytes: int | None = 0

    @property
    def moves(self) -> bool:
        """Whether bytes are only moved, so that scale and zero point are kept."""
        return not self.bounds and self.body_bytes == 0


_REQUANT = ("lo", "hi", "mult", "shift")
KINDS: Final = {
    Kind.CONV: KindRules(
        "of 1 input: RAW, kernel, stride, pads, `out_channels`, `groups`, PER_CHANNEL, `bias_shift`, and without\n"
        "  RAW `lo`, `hi`, `mult`, `shift`. Its output has `out_channels` channels of windows.",
        ", of each output channel: bias + 255 * (sum of its negative weights), bias + 255 * (sum of its positive\n"
        "  weights).",
        flags=TopologyFlag.RAW,
        topology=(*WINDOW, *PADS, "out_channels", "groups"),
        layer=("flags", "bias_shift", *_REQUANT),
        record=CONV_HEADER,
        body_bytes=None,
    ),
    Kind.MAX_POOL: KindRules(
        "of 1 input: CEIL, kernel, stride, pads. Its output has the input's channels, of windows.",
        flags=TopologyFlag.CEIL,
        topology=(*WINDOW, *PADS),
    ),
    Kind.AVG_POOL: KindRules(
        "of 1 input: CEIL, COUNT_INCLUDE_PAD, kernel, stride, pads, `lo`, `hi`, `mult`, `shift`, `factor0`.\n"
        "  Its output has the input's channels, of windows.",
        ": -zero_point and 255 - zero_point, each times (unit + `kernel_h` * `kernel_w`).",
        flags=TopologyFlag.CEIL | TopologyFlag.COUNT_INCLUDE_PAD,
        topology=(*WINDOW, *PADS),
        layer=("factor0", *_REQUANT),
    ),
    Kind.ADD: KindRules(
        "of 1 or 2 inputs of one shape: `lo`, `hi`, `mult`, `shift`, `factor0`, and with 2 inputs `factor1`. Its\n"
        "  output has that shape.",
        ": the sum over its inputs of the smaller, and that of the larger, of factor * -zero_point and\n"
        "  factor * (255 - zero_point).",
        inputs=(1, 2),
        layer=("factor0", "factor1", *_REQUANT),
    ),
    Kind.PAD: KindRules(
        "of 1 input: EDGE, pads, and without EDGE `lo`. Its output has the input's channels; height and width\n"
        "  grow by the pads.",
        flags=TopologyFlag.EDGE,
        topology=PADS,
        layer=("lo",),
    ),
    Kind.CONCAT: KindRules(
        "of 1 or more inputs of one height and width: none. Its output has the channels of all inputs.",
        inputs=(1, 0xFFFF),
    ),
    Kind.SCORES: KindRules(
        "of 1 input: RAW. Its output has the input's shape, with RAW the shape channels, 1, 1.",
        ": -zero_point and 255 - zero_point, with RAW each times height * width.",
        flags=TopologyFlag.RAW,
    ),
    Kind.MUL: KindRules(
        "of 2 inputs: `lo`, `hi`, `mult`, `shift`, `factor0`. The second input has the shape of the first, or is\n"
        "  a gate of the shape channels, 1, 1. Its output has the shape of the first input.",
        ": the least and the largest of the four products of `factor0`, -zero_point or 255 - zero_point of the\n"
        "  first input, and the same of the second.",
        inputs=(2, 2),
        layer=("factor0", *_REQUANT),
    ),
    Kind.TABLE: KindRules(
        f"of 1 input: its table, {TABLE_BYTES} bytes behind the NodeHeader. Its output has the input's shape.",
        body_bytes=TABLE_BYTES,
    ),
    Kind.UPSAMPLE: KindRules(
        "of 1 input: stride, the rows and columns of a block; `pad_bottom` and `pad_right`, the rows and columns\n"
        "  that are cut off at the end; `out_channels`. The input has `out_channels` channels, or `stride_h` *\n"
        "  `stride_w` for each of them. Its output has `out_channels` channels; height and width are the input's\n"
        "  times the stride, less what is cut off.",
        topology=("stride_h", "stride_w", "pad_bottom", "pad_right", "out_channels"),
    ),
}
"""What the writer fills in, the reader checks and the page states."""


@dataclass(frozen=True)
class NodeFields:
    """What an operator has in its records, all else being zero.

    topology : fields of NodeTopology, without ``kind``, ``flags`` and ``n_inputs``
    layer : fields of NodeHeader, without check sum, size and ``kind``; ``hi`` is 255 if it is not given
    body : what follows the NodeHeader, a multiple of four bytes; ``sections`` writes a convolution's
    """

    kind: Kind
    flags: TopologyFlag = NO_FLAGS
    topology: dict[str, int] = field(default_factory=dict)
    layer: dict[str, int] = field(default_factory=dict)
    body: bytes = b""


def node_fields(name: str, op: QOp) -> NodeFields:
    """The fields of node ``name``. Raises NumericError where the format cannot hold its constants."""
    ceil, raw = TopologyFlag.CEIL, TopologyFlag.RAW
    match op:
        case QConv():
            channels = {"out_channels": len(op.bias), "groups": op.groups}
            layer = {"bias_shift": fits(name, "bias_shift", op.bias_shift, 5), **_scaled(name, op.requant, True)}
            return NodeFields(Kind.CONV, NO_FLAGS if op.requant else raw, {**_window(op), **channels}, layer)
        case QMaxPool():
            return NodeFields(Kind.MAX_POOL, ceil if op.ceil else NO_FLAGS, _window(op))
        case QAvgPool():
            counting = TopologyFlag.COUNT_INCLUDE_PAD if op.count_include_pad else NO_FLAGS
            unit = {"factor0": fits(name, "the unit", op.unit, UNIT_BITS, 1)}
            flags = (ceil if op.ceil else NO_FLAGS) | counting
            return NodeFields(Kind.AVG_POOL, flags, _window(op), {**unit, **_scaled(name, op.requant)})
        case QAdd():
            if not 1 <= len(op.factors) <= 2:
                raise NumericError(name, f"adds {len(op.factors)} tensors, the blob holds sums of 1 or 2")
            factors = (fits(name, "a factor", f, FACTOR_BITS, 1 - (1 << FACTOR_BITS)) for f in op.factors)
            layer = {**_scaled(name, op.requant), **dict(zip(("factor0", "factor1"), factors, strict=False))}
            return NodeFields(Kind.ADD, layer=layer)
        case QMul():
            factor = {"factor0": fits(name, "the factor", op.factor, FACTOR_BITS, 1)}
            return NodeFields(Kind.MUL, layer={**_scaled(name, op.requant), **factor})
        case QTable():
            return NodeFields(Kind.TABLE, body=op.table.tobytes())
        case QPad():
            edge = TopologyFlag.EDGE if op.edge else NO_FLAGS
            return NodeFields(Kind.PAD, edge, _pads(op), {"lo": fits(name, "the value", op.value, 8)})
        case QUpsample():
            window = {"stride_h": op.factor[0], "stride_w": op.factor[1], "out_channels": op.channels}
            cut = {"pad_bottom": op.cut[0], "pad_right": op.cut[1]}
            return NodeFields(Kind.UPSAMPLE, NO_FLAGS, {**window, **cut})
        case QConcat():
            return NodeFields(Kind.CONCAT)
        case QScores():
            return NodeFields(Kind.SCORES, raw if op.total else NO_FLAGS)


def fits(thing: str, what: str, value: int, bits: int, lowest: int = 0) -> int:
    """``value`` if ``lowest <= value < 2**bits``, else NumericError naming ``thing`` and ``what``."""
    if not lowest <= value < 1 << bits:
        raise NumericError(thing, f"{what} is {value}, the blob holds {lowest}..{(1 << bits) - 1}")
    return value


def _window(op: QConv | QMaxPool | QAvgPool) -> dict[str, int]:
    return dict(zip(WINDOW, (*op.kernel, *op.stride), strict=True)) | _pads(op)


def _pads(op: QConv | QMaxPool | QAvgPool | QPad) -> dict[str, int]:
    return dict(zip(PADS, op.pads, strict=True))


def _scaled(name: str, requant: Requant | None, per_channel: bool = False) -> dict[str, int]:
    """The fields of a requantization; ``per_channel`` where it may have a factor for each channel."""
    if requant is None:
        return {}
    values = {"lo": requant.lo, "hi": requant.hi}
    if len(requant.mult) == 1:
        return values | {"mult": int(requant.mult[0]), "shift": int(requant.shift[0])}
    if not per_channel:
        raise NumericError(name, f"has {len(requant.mult)} multipliers; only a convolution may have more than one")
    return values | {"flags": int(LayerFlag.PER_CHANNEL)}


def require(condition: bool, thing: str, problem: str, code: str) -> None:
    """Raise BlobError with status ``code`` unless ``condition`` holds."""
    if not condition:
        raise BlobError(thing, problem, code=code)


def check_layer(name: str, node: NodeRecord, f: dict[str, int]) -> None:
    """Raise BlobError LAYER for a NodeHeader with fields that the node's kind does not have."""
    kept = (*KINDS[node.kind].layer, "section_crc", "section_bytes", "kind")
    for found in (x.name for x in NODE_HEADER.fields if x.name not in kept):
        rest = 255 if found == "hi" else 0
        require(f[found] == rest, name, f"a {node.kind.name} has {found} {f[found]}, expected {rest}", "LAYER")


def plain_op(name: str, node: NodeRecord, section: Section) -> QOp:
    """The operator of a node that is no convolution. Raises BlobError LAYER for constants out of range."""
    f = section.fields
    check_layer(name, node, f)
    ceil = TopologyFlag.CEIL in node.flags
    match node.kind:
        case Kind.MAX_POOL:
            return QMaxPool(node.kernel, node.stride, node.pads, ceil)
        case Kind.AVG_POOL:
            unit = f["factor0"]
            require(1 <= unit < 1 << UNIT_BITS, name, f"has unit {unit}, expected 1..2**{UNIT_BITS} - 1", "LAYER")
            include = TopologyFlag.COUNT_INCLUDE_PAD in node.flags
            return QAvgPool(node.kernel, node.stride, node.pads, ceil, include, unit, read_requant(name, f))
        case Kind.ADD:
            factors = (f["factor0"], f["factor1"])[: len(node.inputs)]
            small = all(abs(k) < 1 << FACTOR_BITS for k in factors)
            require(small, name, f"factors {factors} exceed 16 bits", "LAYER")
            require(len(factors) == 2 or not f["factor1"], name, "has two factors for one input", "LAYER")
            return QAdd(factors, read_requant(name, f))
        case Kind.MUL:
            factor = f["factor0"]
            small = 1 <= factor < 1 << FACTOR_BITS
            require(small, name, f"has factor {factor}, expected 1..2**{FACTOR_BITS} - 1", "LAYER")
            return QMul(factor, read_requant(name, f))
        case Kind.TABLE:
            return QTable(np.frombuffer(bytes(section.body), np.uint8))
        case Kind.PAD:
            edge = TopologyFlag.EDGE in node.flags
            require(not edge or f["lo"] == 0, name, f"pads with its edge and has lo {f['lo']}", "LAYER")
            return QPad(node.pads, f["lo"], edge)
        case Kind.UPSAMPLE:
            return QUpsample(node.stride, node.out_channels, node.pads[2:])
        case Kind.CONCAT:
            return QConcat()
        case Kind.SCORES:
            return QScores(TopologyFlag.RAW in node.flags)
        case Kind.CONV:
            raise TypeError(f"{name} has weights")


def read_requant(
    name: str, f: dict[str, int], per_channel: tuple[NDArray[np.uint16], U8] | None = None
) -> Requant:
    """The requantization that a NodeHeader's fields stand for.

    per_channel : the multiplier and the shift of each channel, where the section has them

    Raises BlobError LAYER where its constants are out of range.
    """
    if per_channel is None:
        mult, shift = np.array([f["mult"]], np.uint16), np.array([f["shift"]], np.uint8)
    else:
        mult, shift = per_channel
        require(f["mult"] == f["shift"] == 0, name, "has constants for all channels and for each", "LAYER")
    low, high = int(shift.min()), int(shift.max())
    within = low >= MIN_SHIFT and high <= MAX_SHIFT
    require(within, name, f"has shifts {low}..{high}, allowed are {MIN_SHIFT}..{MAX_SHIFT}", "LAYER")
    require(f["lo"] <= f["hi"], name, f"clip bounds {f['lo']}..{f['hi']} are empty", "LAYER")
    return Requant(mult, shift, f["lo"], f["hi"])
