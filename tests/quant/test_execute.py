"""The golden model computes what the plainest loops over the same integers compute."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.errors import GraphError, NumericError
from dcgen.quant.execute import _byte_node, convolve, execute
from dcgen.quant.qgraph import (
    QAvgPool,
    QConv,
    QGraph,
    QMaxPool,
    QMul,
    QNode,
    QScores,
    QTable,
    QTensor,
    Requant,
)
from dcgen.quant.verify import accumulator_range, verify


def _requant(lo=0, hi=255, m=40000, s=20) -> Requant:
    return Requant(np.array([m], np.uint16), np.array([s], np.uint8), lo, hi)


def _conv_by_hand(op: QConv, x, pad) -> np.ndarray:
    o, i, kh, kw = op.indices.shape
    t, left, b, r = op.pads
    h, w = x.shape[1] + t + b, x.shape[2] + left + r
    oh, ow = (h - kh) // op.stride[0] + 1, (w - kw) // op.stride[1] + 1
    out = np.zeros((o, oh, ow), object)
    for f in range(o):
        g = f // (o // op.groups)
        for y in range(oh):
            for z in range(ow):
                acc = int(op.bias[f])
                for c in range(i):
                    for ky in range(kh):
                        for kx in range(kw):
                            iy, ix = y * op.stride[0] + ky - t, z * op.stride[1] + kx - left
                            inside = 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]
                            byte = int(x[g * i + c, iy, ix]) if inside else pad[g * i + c]
                            acc += int(op.weights[f, c, ky, kx]) * byte
                out[f, y, z] = (acc + 2**31) % 2**32 - 2**31
    return out.astype(np.int64)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_convolution_equals_six_loops_and_wraps(data):
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = draw(st.sampled_from([1, 2]))
    i, o = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    levels = np.concatenate([[0], rng.integers(-32768, 32768, 7)]).astype(np.int16)
    op = QConv(
        levels,
        rng.integers(0, 8, (o, i, *kernel)).astype(np.uint8),
        rng.integers(-(2**31), 2**31, o).astype(np.int32),
        0,
        _requant(),
        draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        draw(st.tuples(*[st.integers(0, 2)] * 4)),
        groups,
    )
    x = rng.integers(0, 256, (1, i * groups, 4, 5)).astype(np.uint8)
    pad = tuple(int(v) for v in rng.integers(0, 256, i * groups))
    found = convolve(op, x, QTensor("x", (i * groups, 4, 5), 1.0, 0, pad))
    np.testing.assert_array_equal(found[0], _conv_by_hand(op, x[0], pad))


def _graph(node: QNode, shape=(1, 5, 5), out=(1, 3, 3), zp=7) -> QGraph:
    tensors = {
        "x": QTensor("x", shape, 1.0, zp, (zp,) * shape[0]),
        node.name: QTensor(node.name, out, 1.0, zp, (zp,) * out[0]),
    }
    return verify(QGraph("g", tensors["x"], tensors, (node, QNode("s", QScores(False), (node.name,))), 1.0))


@pytest.mark.parametrize("ceil", [False, True])
def test_max_pool_never_takes_padding(ceil):
    out = (1, 3, 3)
    g = _graph(QNode("m", QMaxPool((3, 3), (2, 2), (1, 1, 1, 1), ceil), ("x",)), out=out)
    x = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 1)).astype(np.uint8)
    trace = {}
    execute(g, x, trace)
    plane = x[0, :, :, 0]
    expected = [[plane[max(0, y - 1) : y + 2, max(0, z - 1) : z + 2].max() for z in (0, 2, 4)] for y in (0, 2, 4)]
    np.testing.assert_array_equal(trace["m"][0, 0], expected)


@pytest.mark.parametrize("include", [False, True])
def test_average_pool_divides_by_the_taps_it_counts(include):
    unit = 9 << 12
    op = QAvgPool(
        (3, 3),
        (2, 2),
        (1, 1, 1, 1),
        False,
        include,
        unit,
        Requant(np.array([2**31 // unit // 2**0 & 65535], np.uint16), np.array([31], np.uint8)),
    )
    g = _graph(QNode("a", op, ("x",)))
    x = np.random.default_rng(0).integers(0, 256, (1, 5, 5, 1)).astype(np.uint8)
    trace = {}
    execute(g, x, trace)
    plane = x[0, :, :, 0].astype(int) - 7
    for y in range(3):
        for z in range(3):
            window = plane[max(0, 2 * y - 1) : 2 * y + 2, max(0, 2 * z - 1) : 2 * z + 2]
            n = 9 if include else window.size
            k = (unit + n // 2) // n
            m, s = int(op.requant.mult[0]), 31
            exact = min(max(7 + ((int(window.sum()) * k * m + 2 ** (s - 1)) >> s), 0), 255)
            assert trace["a"][0, 0, y, z] == exact
            if 0 < exact < 255:
                assert abs(exact - 7 - window.sum() / n) <= 1.0


def test_pictures_of_another_shape_are_refused():
    g = _graph(QNode("m", QMaxPool((3, 3), (1, 1), (0, 0, 0, 0), False), ("x",)))
    with pytest.raises(GraphError, match=r"g: takes uint8 pictures \[N, 5, 5, 1\], found uint8 \(1, 5, 6, 1\)"):
        execute(g, np.zeros((1, 5, 6, 1), np.uint8))


def test_the_accumulator_proof_is_tight_and_enforced():
    op = QConv(
        np.array([0, 127], np.int16),
        np.ones((1, 1, 3, 3), np.uint8),
        np.array([5], np.int32),
        0,
        _requant(),
        (1, 1),
        (0, 0, 0, 0),
    )
    g = _graph(QNode("c", op, ("x",)))
    assert accumulator_range(g.nodes[0], g) == (5, 5 + 9 * 127 * 255)
    wide = QConv(
        np.array([0, 32767], np.int16),
        np.ones((1, 1, 3, 3), np.uint8),
        np.array([2**31 - 1], np.int32),
        0,
        _requant(),
        (1, 1),
        (0, 0, 0, 0),
    )
    with pytest.raises(NumericError, match=r"c: accumulator needs .*, more than 32 bits"):
        _graph(QNode("c", wide, ("x",)))


@settings(max_examples=60, deadline=None)
@given(
    rng=st.integers(0, 2**32 - 1).map(np.random.default_rng),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
    gate=st.booleans(),
    bits=st.integers(0, 15),
)
def test_a_product_is_that_of_numbers_without_bound(rng, shape, gate, bits):
    shapes = {"a": shape, "b": (shape[0], 1, 1) if gate else shape, "y": shape}
    tensors = {n: QTensor(n, s, 1.0, int(rng.integers(0, 256)), (0,) * s[0]) for n, s in shapes.items()}
    lo, hi = sorted(rng.integers(0, 256, 2).tolist())
    r = _requant(lo, hi, int(rng.integers(0, 1 << 16)), int(rng.integers(17, 33)))
    node = QNode("y", QMul(1 << bits, r), ("a", "b"))
    a, b = (rng.integers(0, 256, (2, *shapes[n])).astype(np.uint8) for n in "ab")
    graph = QGraph("g", tensors["a"], tensors, (node,), 1.0)
    found = _byte_node(graph, node, [a, b])
    za, zb, zy = (tensors[n].zero_point for n in "aby")
    for at in np.ndindex(*a.shape):
        other = b[at[0], at[1], 0, 0] if gate else b[at]
        acc = (int(a[at]) - za) * (int(other) - zb) << bits
        assert -(2**31) <= acc < 2**31, "any factor that lowering gives fits"
        rounded = (acc * int(r.mult[0]) + (1 << int(r.shift[0]) - 1)) >> int(r.shift[0])
        assert found[at] == min(max(zy + rounded, lo), hi)
    low, high = accumulator_range(node, graph)
    corners = [(x - za) * (y - zb) << bits for x in (0, 255) for y in (0, 255)]
    assert (low, high) == (min(corners), max(corners))


def test_a_table_is_looked_up():
    table = np.random.default_rng(0).integers(0, 256, 256).astype(np.uint8)
    g = _graph(QNode("t", QTable(table), ("x",)), out=(1, 5, 5))
    x = np.random.default_rng(1).integers(0, 256, (3, 5, 5, 1)).astype(np.uint8)
    trace = {}
    execute(g, x, trace)
    for byte, found in zip(trace["x"].ravel(), trace["t"].ravel(), strict=True):
        assert found == table[byte]


def test_tables_and_products_keep_their_rules():
    short = QNode("t", QTable(np.zeros(255, np.uint8)), ("x",))
    with pytest.raises(GraphError, match=r"t: needs a table of 256 bytes, found uint8 \(255,\)"):
        _graph(short, out=(1, 5, 5))
    with pytest.raises(GraphError, match=r"QMul: multiplies \(1, 5, 5\) by \(1, 3, 3\)"):
        QMul(1, _requant()).shape([(1, 5, 5), (1, 3, 3)])
    with pytest.raises(NumericError, match=r"m: accumulator needs .* more than 32 bits"):
        _graph(QNode("m", QMul((1 << 16) - 1, _requant()), ("x", "x")), out=(1, 5, 5))
