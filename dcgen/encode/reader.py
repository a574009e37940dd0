"""Reads a blob back into the network that it was made from, and trusts nothing in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from dcgen.encode.layers import Convolution, weight_shape
from dcgen.encode.layout import Layout, take_apart
from dcgen.encode.operators import plain_op
from dcgen.encode.schema import Coding, Kind
from dcgen.errors import BlobError, GraphError, NumericError
from dcgen.ir.graph import Shape
from dcgen.quant.qgraph import QGraph, QNode, QOp, QTensor
from dcgen.quant.verify import verify

MAX_LAYER_WEIGHTS = 1 << 27
"""Most weights of one layer."""
MAX_WEIGHTS = 1 << 28
"""Most weights of all layers."""
WEIGHTS_PER_ENTRY = 256
"""Weights that one coded entry is taken to justify."""
FREE_WEIGHTS = 1 << 24
"""Most weights beyond those that entries justify: it bounds the memory that a forged blob can claim."""


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a blob, as ``dcgen inspect`` shows it. Only a convolution has the fields from ``shape`` on.

    shape : of the weights, (O, I / groups, KH, KW)
    coding : name of the coding in small letters
    n_levels ... max_filter_entries : as in ``schema.CONV_HEADER``; table_bytes is both tables'
    """

    index: int
    kind: Kind
    section_bytes: int
    shape: tuple[int, int, int, int] = (0, 0, 0, 0)
    coding: str = ""
    n_levels: int = 0
    n_entries: int = 0
    stream_bits: int = 0
    table_bytes: int = 0
    max_filter_entries: int = 0


@dataclass(frozen=True)
class BlobSummary:
    """What the headers of a blob state."""

    blob_bytes: int
    version: int
    topology_hash: str
    input_shape: Shape
    n_scores: int
    max_filter_entries: int
    max_code_bits: int
    header_bytes: int
    topology_bytes: int
    tensors_bytes: int
    layers: tuple[LayerSummary, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data with stable keys; kinds by name."""
        return {**asdict(self), "layers": [{**asdict(a), "kind": a.kind.name} for a in self.layers]}


def decode(data: bytes, names: Sequence[str] | None = None) -> QGraph:
    """The network in ``data``.

    names : of the input, then of every node; ``input``, ``n0``, ``n1``... if not given

    Raises BlobError whose ``code`` is the name of a ``schema.Status``.
    """
    layout = take_apart(data)
    names = ("input", *(f"n{i}" for i in range(len(layout.nodes)))) if names is None else tuple(names)
    if len(names) != len(layout.nodes) + 1 or len(set(names)) != len(names):
        raise GraphError("names", f"{len(names)} given, expected {len(layout.nodes) + 1} different ones")
    _check_weights(layout)
    pads = {c_z: (c_z[1],) * c_z[0] for c_z in _pad_keys(layout)}
    tensors = [
        QTensor(name, shape, scale, zero_point, pads[shape[0], zero_point])
        for name, shape, scale, zero_point in zip(
            names[: len(layout.shapes)], layout.shapes, layout.scales, layout.zero_points, strict=True
        )
    ]
    first = QTensor(names[0], layout.shapes[0], layout.scales[0], layout.zero_points[0], layout.input_pad)
    nodes: list[QNode] = []
    max_code_bits = max_filter = 0
    for name, node, section in zip(names[1:], layout.nodes, layout.sections, strict=True):
        if node.kind is Kind.CONV:
            conv = Convolution(name, layout, node, section)
            op: QOp = conv.op()
            max_code_bits = max(max_code_bits, conv.code.max_code_bits)
            max_filter = max(max_filter, section.record["max_filter_entries"])
        else:
            op = plain_op(name, node, section)
        nodes.append(QNode(name, op, tuple(names[i] for i in node.inputs)))
    scale, *more = layout.score_scales
    graph = QGraph("blob", first, {t.name: t for t in (first, *tensors[1:])}, tuple(nodes), scale, tuple(more))
    for field, found in (("max_code_bits", max_code_bits), ("max_filter_entries", max_filter)):
        if layout.header[field] != found:
            raise BlobError("blob", f"header says {field} {layout.header[field]}, found {found}", code="HEADER")
    try:
        verify(graph)
    except NumericError as error:
        raise BlobError(error.thing, error.problem, error.hint, code="LAYER") from None
    except GraphError as error:
        raise BlobError(error.thing, error.problem, error.hint, code="TOPOLOGY") from None
    if graph.n_scores != layout.header["n_scores"]:
        raise BlobError(
            "blob", f"header says {layout.header['n_scores']} scores, found {graph.n_scores}", code="HEADER"
        )
    return graph


def describe(data: bytes) -> BlobSummary:
    """The summary of the blob ``data``. Streams are not decoded. Raises BlobError like ``decode``."""
    layout = take_apart(data)
    h = layout.header
    layers = []
    for n, (node, section) in enumerate(zip(layout.nodes, layout.sections, strict=True)):
        conv = section.record
        if node.kind is not Kind.CONV:
            layers.append(LayerSummary(n, node.kind, section.fields["section_bytes"]))
            continue
        code = conv["coding"]
        layers.append(
            LayerSummary(
                n,
                node.kind,
                section.fields["section_bytes"],
                weight_shape(layout, node),
                Coding(code).name.lower() if code in list(Coding) else f"unknown ({code})",
                conv["n_levels"],
                conv["n_entries"],
                conv["stream_bits"],
                conv["table_bytes"] + conv["table2_bytes"],
                conv["max_filter_entries"],
            )
        )
    return BlobSummary(
        blob_bytes=h["blob_bytes"],
        version=h["version"],
        topology_hash=f"{h['topology_hash']:016x}",
        input_shape=layout.shapes[0],
        n_scores=h["n_scores"],
        max_filter_entries=h["max_filter_entries"],
        max_code_bits=h["max_code_bits"],
        header_bytes=h["header_bytes"],
        topology_bytes=h["topology_bytes"],
        tensors_bytes=h["tensors_bytes"],
        layers=tuple(layers),
    )


def _pad_keys(layout: Layout) -> set[tuple[int, int]]:
    """Channels and zero point of every tensor: tensors with equal ones share their tuple of pad bytes."""
    return {(shape[0], zp) for shape, zp in zip(layout.shapes, layout.zero_points, strict=True)}


def _check_weights(layout: Layout) -> None:
    """Raise BlobError TOPOLOGY for more weights than entries justify, before memory is taken for any."""
    total = unjustified = 0
    for n, (node, section) in enumerate(zip(layout.nodes, layout.sections, strict=True)):
        if node.kind is not Kind.CONV:
            continue
        channels = layout.shapes[node.inputs[0]][0]
        if channels % node.groups or node.out_channels % node.groups:
            raise BlobError(f"node {n}", f"has {node.groups} groups for {channels} channels", code="TOPOLOGY")
        weights = prod(weight_shape(layout, node))
        entries = min(section.record["n_entries"], section.record["stream_bits"], 8 * len(section.body))
        total += weights
        unjustified += max(0, weights - WEIGHTS_PER_ENTRY * entries)
        if weights > MAX_LAYER_WEIGHTS or total > MAX_WEIGHTS or unjustified > FREE_WEIGHTS:
            raise BlobError(f"node {n}", f"claims {weights} weights for {entries} entries", code="TOPOLOGY")
