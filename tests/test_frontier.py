"""How a frontier finds the prices of its points. Sizes of files follow a curve that is not known, and scatter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcgen.compress.attempts import Try
from dcgen.compress.evidence import Trial
from dcgen.compress.goals import SLOPES
from dcgen.errors import ConfigError
from dcgen.frontier import _missed, _price_of, frontier
from tests.command.test_arguments import JOB

WANTED = [450_000 * (250 / 450) ** (i / 11) for i in range(12)]
Found = list[tuple[float, Try]]


def tried(size: float) -> Try:
    """A try whose file has this many bytes; nothing else of it is read."""
    nothing: Any = None
    return Try(nothing, nothing, Trial(round(size), 200, 10, 0.1, 0.1, 0.1), nothing)


def curve(price: float) -> float:
    """Bytes of a file at a price; the curve is steeper towards small files, as measured ones are."""
    at = math.log(price / 1e-7)
    return 420_000 * math.exp(-0.24 * at - 0.06 * at * at)


def test_one_try_is_followed_by_the_usual_slope_and_more_by_their_own() -> None:
    one: Found = [(1e-7, tried(400_000))]
    assert _price_of(400_000, one) == pytest.approx(1e-7)
    assert _price_of(360_000, one) == pytest.approx(1e-7 * (400 / 360) ** (1 / SLOPES["max_bytes"]))
    steep: Found = [(1e-7 * 2**i, tried(400_000 * 0.7**i)) for i in range(3)]
    assert _price_of(300_000, steep) == pytest.approx(1e-7 * 2 ** (math.log(0.75) / math.log(0.7)), rel=0.02)


def test_sizes_without_a_file_close_to_them_are_missed() -> None:
    found: Found = [(1.0, tried(size)) for size in WANTED if size not in (WANTED[0], WANTED[5])]
    assert _missed(WANTED, found) == [WANTED[0], WANTED[5]]
    assert _missed([8_000, 4_000], [(1.0, tried(7_500)), (2.0, tried(4_100))]) == [8_000]


@pytest.mark.parametrize("seed", range(20))
def test_about_as_many_tries_as_points_meet_all_sizes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found: Found = []

    def try_at(price: float) -> None:
        found.append((price, tried(curve(price) * math.exp(0.01 * rng.standard_normal()))))

    try_at(8e-8 * math.exp(0.3 * rng.standard_normal()))
    for size in WANTED[1:]:
        try_at(_price_of(size, found))
    while (missed := _missed(WANTED, found)) and len(found) < 18:
        try_at(_price_of(missed[0], found))
    assert not missed


@pytest.mark.parametrize("sizes", [(0, 900), (900, 300), (300, 300), (300, 10**308)])
def test_sizes_that_are_no_range(sizes: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sizes: from .* bytes is no range \(the first must be the smaller one"):
        frontier(JOB, tmp_path / "curve", 3, sizes, lambda *_: None)
