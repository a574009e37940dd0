"""Memory by liveness: what is alive together never overlaps, what is not may, and Concats cost nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dcgen.plan.firmware.arena import ALIGNMENT, Buffer, align, assign, buffers, extent, live_bytes
from dcgen.quant.qgraph import QAdd, QConcat, QGraph, QNode, QPad, QScores, QTensor, Requant


def _graph(nodes: list[tuple[str, object, tuple[str, ...], tuple[int, int, int]]]) -> QGraph:
    tensors = {"input": QTensor("input", (1, 4, 4), 1.0, 0, (0,))}
    for name, _, _, shape in nodes[:-1]:
        tensors[name] = QTensor(name, shape, 1.0, 0, (0,) * shape[0])
    qnodes = tuple(QNode(name, op, inputs) for name, op, inputs, _ in nodes)  # type: ignore[arg-type]
    return QGraph("g", tensors["input"], tensors, qnodes, 1.0)


ONE = QAdd((1,), Requant(np.ones(1, np.uint16), np.full(1, 17, np.uint8)))
PLANE = (1, 4, 4)


def test_a_chain_shares_two_places() -> None:
    names = ["input", "a", "b", "c", "d"]
    chain = [(n, ONE, (p,), PLANE) for p, n in pairwise(names)]
    made = buffers(_graph([*chain, ("s", QScores(False), ("d",), PLANE)]))
    offsets = assign(made)
    assert extent(made, offsets) == live_bytes(made) == 32
    assert [(b.first, b.last) for b in made] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_branches_of_nested_concats_lie_side_by_side() -> None:
    graph = _graph(
        [
            ("a", ONE, ("input",), PLANE),
            ("b", ONE, ("a",), PLANE),
            ("ab", QConcat(), ("a", "b"), (2, 4, 4)),
            ("c", ONE, ("input",), PLANE),
            ("cab", QConcat(), ("c", "ab"), (3, 4, 4)),
            ("pad", QPad((1, 1, 1, 1), 0), ("cab",), (3, 6, 6)),
            ("s", QScores(True), ("pad",), (3, 1, 1)),
        ]
    )
    joined = buffers(graph)[0]
    assert dict(joined.members) == {"a": 1, "b": 2, "ab": 1, "c": 0, "cab": 0}
    assert (joined.size, joined.first, joined.last) == (48, 0, 5)


def test_a_tensor_nobody_reads_is_alive_while_it_is_made() -> None:
    graph = _graph(
        [("dead", ONE, ("input",), PLANE), ("a", ONE, ("input",), PLANE), ("s", QScores(False), ("a",), PLANE)]
    )
    assert [(b.first, b.last) for b in buffers(graph)] == [(0, 0), (1, 2)]


BUFFERS = st.lists(
    st.builds(
        lambda size, first, life: Buffer({}, size, 1, first, first + life),
        st.integers(1, 200),
        st.integers(0, 12),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=14,
)


@given(BUFFERS)
def test_buffers_alive_together_never_overlap(made: list[Buffer]) -> None:
    all_buffers = tuple(made)
    offsets = assign(all_buffers)
    assert all(o % ALIGNMENT == 0 for o in offsets)
    assert extent(all_buffers, offsets) >= live_bytes(all_buffers)
    for i, a in enumerate(all_buffers):
        for k in range(i):
            b = all_buffers[k]
            apart = offsets[i] + a.size <= offsets[k] or offsets[k] + b.size <= offsets[i]
            assert apart or not a.block.meets(b.block)


@given(BUFFERS)
def test_no_worse_than_no_sharing(made: list[Buffer]) -> None:
    all_buffers = tuple(made)
    assert extent(all_buffers, assign(all_buffers)) <= sum(align(b.size) for b in all_buffers)
