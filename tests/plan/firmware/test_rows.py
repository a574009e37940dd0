"""Which input rows output rows are made of, against the rows of each window."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dcgen.plan.firmware.rows import holds, reads, rows_of
from dcgen.quant.qgraph import QAdd, QMaxPool, QMul, QPad, QUpsample, Requant
from tests.firmware.nets import every_operator

SMALL = st.integers(1, 9)


@given(SMALL, SMALL, SMALL, st.integers(0, 4))
def test_a_window_s_rows_are_there_and_still_held(height: int, kernel: int, stride: int, top: int) -> None:
    op = QMaxPool((kernel, 1), (stride, 1), (top, 0, 0, 0), False)
    for y in range(12):
        window = {y * stride - top + k for k in range(kernel)} & set(range(height))
        assert window <= set(range(holds(op, y, height), reads(op, y + 1, height)))
        if window and max(window) < height - 1:
            assert reads(op, y + 1, height) == max(window) + 1, "no row more than needed"
        if window and min(window) > 0:
            assert holds(op, y, height) == min(window), "no row longer than needed"
    assert reads(op, 0, height) == 0


@given(SMALL, st.integers(0, 4))
def test_a_pad_copies_rows(height: int, top: int) -> None:
    op = QPad((top, 0, 1, 0), 0)
    for y in range(height):
        assert (holds(op, top + y, height), reads(op, top + y + 1, height)) == (y, y + 1)
    assert reads(op, top, height) == 0


@given(SMALL, st.integers(0, 4), st.integers(0, 4))
def test_the_rows_at_the_edges_are_held_for_the_padding(height: int, top: int, bottom: int) -> None:
    op = QPad((top, 0, bottom, 0), 0, edge=True)
    for y in range(top + height + bottom):
        nearest = min(max(y - top, 0), height - 1)
        assert holds(op, y, height) <= nearest < reads(op, y + 1, height)


@given(SMALL, SMALL)
def test_rows_of_a_block_are_made_of_one_row(height: int, factor: int) -> None:
    op = QUpsample((factor, 1), 1, (0, 0))
    for y in range(height * factor):
        assert (holds(op, y, height), reads(op, y + 1, height)) == (y // factor, y // factor + 1)


def test_all_else_goes_row_by_row() -> None:
    op = QAdd((1,), Requant(np.ones(1, np.uint16), np.full(1, 17, np.uint8)))
    assert [(reads(op, y, 5), holds(op, y, 5)) for y in range(6)] == [(y, y) for y in range(6)]


def test_a_gate_is_held_until_the_last_row() -> None:
    op = QMul(1, Requant(np.ones(1, np.uint16), np.full(1, 17, np.uint8)))
    assert [(reads(op, y, 1), holds(op, y, 1)) for y in range(4)] == [(0, 0), (1, 0), (1, 0), (1, 0)]
    assert [(reads(op, y, 5), holds(op, y, 5)) for y in range(6)] == [(y, y) for y in range(6)]


def test_scores_go_through_the_input_s_rows() -> None:
    convolved, summed = every_operator(0), every_operator(1)
    assert rows_of(convolved, convolved.nodes[-1]) == 1
    assert rows_of(summed, summed.nodes[-1]) == summed.tensors[summed.nodes[-1].inputs[0]].shape[1] > 1
