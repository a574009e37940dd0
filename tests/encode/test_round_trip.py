"""What is decoded from a network's blob is that network."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.codings import CodingName
from dcgen.encode import blob as writer
from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.layout import take_apart
from dcgen.encode.operators import KINDS, NodeFields, node_fields
from dcgen.encode.reader import decode, describe
from dcgen.encode.schema import HEADER, Coding, Kind
from dcgen.errors import BlobError, ConfigError, GraphError, NumericError
from dcgen.quant.qgraph import QAdd, QConv, QGraph, QNode, QOp, QPad, QScores, QTensor, Requant
from tests.firmware.nets import every_operator
from tests.strategies import qgraphs

CODINGS = st.sampled_from(("joint", "deep-compression", "smallest"))


def names(graph: QGraph) -> tuple[str, ...]:
    return (graph.input.name, *(n.name for n in graph.nodes))


def assert_same(found: QGraph, expected: QGraph) -> None:
    """Assert that all fields are equal. Level indices may be permuted, so weights are compared instead of them."""
    assert found.input == expected.input
    assert found.tensors == expected.tensors
    assert found.score_scales == expected.score_scales
    for a, b in zip(found.nodes, expected.nodes, strict=True):
        assert (a.name, a.inputs, type(a.op)) == (b.name, b.inputs, type(b.op))
        for field in fields(a.op):
            x, y = getattr(a.op, field.name), getattr(b.op, field.name)
            if field.name == "levels":
                assert sorted(x) == sorted(y) and x.dtype == y.dtype
            elif field.name == "indices":
                assert isinstance(a.op, QConv) and isinstance(b.op, QConv)
                np.testing.assert_array_equal(a.op.weights, b.op.weights)
            elif isinstance(x, Requant):
                assert (x.lo, x.hi) == (y.lo, y.hi)
                for p, q in ((x.mult, y.mult), (x.shift, y.shift)):
                    np.testing.assert_array_equal(p, q, strict=True)
            elif isinstance(x, np.ndarray):
                np.testing.assert_array_equal(x, y, strict=True)
            else:
                assert x == y, field.name


@settings(max_examples=150, deadline=None)
@given(qgraphs(), CODINGS, st.integers(1, 8))
def test_a_network_comes_back_whole(graph: QGraph, coding: CodingName, bits: int) -> None:
    blob = encode(graph, CodingSettings(coding, bits, bits))
    assert_same(decode(blob.data, names(graph)), graph)


@settings(max_examples=50, deadline=None)
@given(qgraphs(), CODINGS)
def test_sizes_account_for_every_byte_and_the_header_states_them(graph: QGraph, coding: CodingName) -> None:
    blob = encode(graph, CodingSettings(coding))
    assert blob.header + blob.topology + blob.tensors + sum(s.size.total for s in blob.layers) == len(blob.data)
    summary = describe(blob.data)
    assert summary.blob_bytes == len(blob.data)
    assert [s.section_bytes for s in summary.layers] == [layer.size.total for layer in blob.layers]
    convs = [n.op for n in graph.nodes if isinstance(n.op, QConv)]
    most = max((int(np.count_nonzero(c.indices[o]) or 0) for c in convs for o in range(len(c.bias))), default=0)
    assert summary.max_filter_entries == blob.max_filter_entries == most
    assert summary.n_scores == graph.n_scores


@settings(max_examples=30, deadline=None)
@given(qgraphs())
def test_the_smallest_coding_is_no_larger_than_either(graph: QGraph) -> None:
    smallest, joint, gaps = (
        [layer.size.total for layer in encode(graph, CodingSettings(coding)).layers]  # type: ignore[arg-type]
        for coding in ("smallest", "joint", "deep-compression")
    )
    assert all(s <= min(j, g) for s, j, g in zip(smallest, joint, gaps, strict=True))


def test_names_are_made_up_unless_given() -> None:
    graph = single_conv(np.ones((2, 1, 1, 1), np.uint8), 2)
    blob = encode(graph).data
    assert names(decode(blob)) == ("input", "n0")
    assert names(decode(blob, ("photo", "scores"))) == ("photo", "scores")
    with pytest.raises(GraphError, match="names: 1 given, expected 2 different ones"):
        decode(blob, ("photo",))


def test_the_same_network_gives_the_same_bytes() -> None:
    indices = np.random.default_rng(1).integers(0, 9, (8, 4, 3, 3)).astype(np.uint8)
    assert encode(single_conv(indices, 9)).data == encode(single_conv(indices, 9)).data


def test_new_weights_keep_the_topology_hash() -> None:
    rng = np.random.default_rng(2)
    a, b = (encode(single_conv(rng.integers(0, 9, (8, 4, 3, 3)).astype(np.uint8), 9)) for _ in range(2))
    assert a.data != b.data
    assert a.topology_hash == b.topology_hash == HEADER.unpack(a.data)["topology_hash"]


def test_joint_comes_within_a_percent_of_the_entropy_of_independent_weights() -> None:
    rng = np.random.default_rng(3)
    density, n_levels = 0.33, 17
    chances = np.exp(-np.abs(np.linspace(-3, 3, n_levels - 1)))
    chances /= chances.sum()
    drawn = 1 + rng.choice(n_levels - 1, size=(256, 256, 1, 1), p=chances)
    indices = np.where(rng.random(drawn.shape) < density, drawn, 0).astype(np.uint8)
    all_chances = np.append(1 - density, density * chances)
    entropy = -float((all_chances * np.log2(all_chances)).sum()) * indices.size / 8
    size = encode(single_conv(indices, n_levels)).layers[0].size
    assert size.tables + size.stream < 1.01 * entropy


def test_long_runs_become_fillers_of_the_stated_width() -> None:
    indices = np.zeros((1, 100, 1, 1), np.uint8)
    indices[0, 99] = 1
    blob = encode(single_conv(indices, 2), CodingSettings("deep-compression", 4, 4))
    stream = blob.layers[0].stream
    assert stream is not None
    # 99 zeros are six fillers that stand for 16 weights each, and a gap of 3.
    assert (stream.coding, stream.run_bits, stream.n_entries, stream.nonzeros) == (Coding.GAPS, 4, 7, 1)


def test_fully_connected_layers_have_their_own_width() -> None:
    rng = np.random.default_rng(4)
    for plane, width in ((1, 5), (2, 4)):
        graph = single_conv(rng.integers(0, 3, (4, 8, 1, 1)).astype(np.uint8), 3, plane)
        stream = encode(graph, CodingSettings("deep-compression")).layers[0].stream
        assert stream is not None and stream.run_bits == width


@pytest.mark.parametrize(
    ("value", "size"), [(0, 1), (127, 1), (-128, 1), (128, 2), (-129, 2), (-32768, 2), (32768, 4), (-32769, 4)]
)
def test_biases_take_the_fewest_bytes_that_hold_them(value: int, size: int) -> None:
    blob = encode(single_conv(np.ones((4, 2, 1, 1), np.uint8), 2, bias=value))
    assert blob.layers[0].size.bias == 4 * size
    read = decode(blob.data).nodes[0].op
    assert isinstance(read, QConv)
    assert list(read.bias) == [value] * 4


def test_levels_take_two_bytes_only_where_needed() -> None:
    indices = np.ones((4, 2, 1, 1), np.uint8)
    sizes = [encode(single_conv(indices, 2, level=level)).layers[0].size.levels for level in (126, 127)]
    assert sizes == [1, 2]


def test_a_section_of_any_kind_may_have_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind whose operator needs bytes of its own, say a table, only has to say so."""
    graph = every_operator(3)
    at, body = next(i for i, n in enumerate(graph.nodes) if isinstance(n.op, QPad)), b"body"

    def with_body(name: str, op: QOp) -> NodeFields:
        fields = node_fields(name, op)
        return replace(fields, body=body) if fields.kind is Kind.PAD else fields

    plain = encode(graph)
    monkeypatch.setattr(writer, "node_fields", with_body)
    longer = encode(graph)
    assert len(longer.data) - len(plain.data) == len(body) == longer.layers[at].size.levels
    with pytest.raises(BlobError, match=f"section {at}: has 28 bytes, expected 24$"):
        take_apart(longer.data)
    monkeypatch.setitem(KINDS, Kind.PAD, replace(KINDS[Kind.PAD], body_bytes=4))
    assert bytes(take_apart(longer.data).sections[at].body) == body
    assert_same(decode(longer.data, names(graph)), graph)


def test_what_the_format_cannot_hold_is_refused() -> None:
    tensor = QTensor("x", (2, 1, 1), 1.0, 0, (0, 0))
    three = QNode("sum", QAdd((1, 1, 1), Requant(np.array([1], np.uint16), np.array([17], np.uint8))), ("x",) * 3)
    scores = QNode("s", QScores(False), ("sum",))
    out = QTensor("sum", (2, 1, 1), 1.0, 0, (0, 0))
    with pytest.raises(NumericError, match=r"sum: adds 3 tensors, the blob holds sums of 1 or 2"):
        encode(QGraph("g", tensor, {"x": tensor, "sum": out}, (three, scores), 1.0))
    with pytest.raises(NumericError, match=r"scale nan is no positive float32"):
        encode(QGraph("g", tensor, {"x": tensor}, (QNode("s", QScores(False), ("x",)),), float("nan")))


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"index_bits_fc: is 9, expected 1..8"):
        CodingSettings(index_bits_fc=9)
    with pytest.raises(ConfigError, match="coding: is 'zip', expected joint, deep-compression or smallest"):
        CodingSettings("zip")  # type: ignore[arg-type]


def single_conv(indices: np.ndarray, n_levels: int, plane: int = 4, level: int = 0, bias: int = 0) -> QGraph:
    """A network of one convolution that makes the scores."""
    o, i, *_ = indices.shape
    levels = (np.arange(n_levels) + level * (np.arange(n_levels) > 0)).astype(np.int16)
    op = QConv(levels, indices, np.full(o, bias, np.int32), 0, None, (1, 1), (0, 0, 0, 0))
    plane = max(plane, *indices.shape[2:])
    tensor = QTensor("x", (i, plane, plane), 1.0, 3, (3,) * i)
    graph = QGraph("g", tensor, {"x": tensor}, (QNode("s", op, ("x",)),), 0.5)
    assert describe(encode(graph).data).layers[0].kind is Kind.CONV
    return graph
