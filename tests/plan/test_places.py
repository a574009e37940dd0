"""Places for blocks: never two at one word at one moment, and within the limit where an order achieves it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dcgen.plan.places import Block, place

BLOCKS = st.lists(
    st.builds(
        lambda size, first, length: Block(size, first, first + length),
        st.integers(1, 20), st.integers(0, 6), st.integers(0, 3),
    ),
    max_size=8,
)  # fmt: skip


@given(BLOCKS, st.integers(0, 100))
def test_blocks_needed_together_lie_apart_and_below_the_limit(blocks: list[Block], limit: int) -> None:
    starts = place(blocks, limit)
    if starts is None:
        return
    for i, (a, at) in enumerate(zip(blocks, starts, strict=True)):
        assert 0 <= at <= limit - a.size
        for b, other in zip(blocks[:i], starts[:i], strict=True):
            assert not a.meets(b) or at + a.size <= other or other + b.size <= at


@given(BLOCKS)
def test_room_for_all_at_once_is_always_enough(blocks: list[Block]) -> None:
    assert place(blocks, sum(b.size for b in blocks)) is not None


def test_an_order_that_leaves_a_gap_is_mended() -> None:
    blocks = [Block(4, 2, 2), Block(4, 4, 5), Block(3, 3, 5), Block(1, 1, 3)]
    # In the order of size, the block of 3 lands above the second 4, and the 1 above that 3: 8 words in all.
    assert place(blocks, 7) is not None


def test_what_cannot_fit_is_refused() -> None:
    assert place([Block(5, 0, 1), Block(6, 1, 2)], 10) is None
