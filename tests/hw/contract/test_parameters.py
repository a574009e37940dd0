"""Parameters that no engine can have are refused, with what is expected and what was given."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from dcgen.hw.back.drain import LISTS_UNDER_WAY
from dcgen.hw.back.score_queue import DEPTH
from dcgen.hw.contract.back_timing import scores_push_cycles, sum_cycles
from dcgen.hw.contract.parameters import EngineParameters

SIZES = [f.name for f in fields(EngineParameters) if f.name != "strides"]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [-5, 0, 2.0, "8", True, None])
def test_a_size_is_a_positive_integer(name: str, value: object) -> None:
    with pytest.raises(TypeError) as error:
        EngineParameters(**{name: value})
    assert str(error.value) == f"{name} must be a positive integer, not {value!r}"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lanes": 256, "requantizers": 1}, "lanes must be at most 255, not 256"),
        ({"words": 65537}, "words must be at most 65536, not 65537"),
        ({"max_taps": 256}, "max_taps must be at most 255, not 256"),
        ({"max_outputs": 1 << 17}, "max_outputs must be at most 65536, not 131072"),
        ({"max_tensors": 1 << 17}, "max_tensors must be at most 65536, not 131072"),
        ({"list_entries": 1000}, "list_entries must be a power of two, not 1000"),
        ({"max_outputs": 3}, "max_outputs must be a power of two, not 3"),
        ({"max_symbols": 2047}, "max_symbols must be a power of two, not 2047"),
        ({"max_tensors": 96}, "max_tensors must be a power of two, not 96"),
        ({"requantizers": 6}, "requantizers must be a divisor of lanes (49), not 6"),
        ({"requantizers": 98}, "requantizers must be a divisor of lanes (49), not 98"),
        ({"picture_bytes": 50}, "picture_bytes must be at most lanes (49), not 50"),
        ({"strides": (1, 256)}, "strides must be at most 16 numbers of at most 255, not (1, 256)"),
        (
            {"strides": tuple(range(1, 18))},
            f"strides must be at most 16 numbers of at most 255, not {tuple(range(1, 18))}",
        ),
    ],
)
def test_a_size_keeps_its_bounds(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:
        replace(EngineParameters(), **wrong)
    assert str(error.value) == message


@pytest.mark.parametrize("strides", [(), [1, 2], (1, 0), (1, "2"), 2])
def test_strides_are_a_tuple_of_positive_integers(strides: Any) -> None:
    with pytest.raises(TypeError) as error:
        EngineParameters(strides=strides)
    assert str(error.value) == f"strides must be a tuple of positive integers, not {strides!r}"


def test_the_bounds_themselves_are_allowed() -> None:
    least = dict.fromkeys(SIZES, 1)
    assert EngineParameters(**least, strides=(1,)).groups == 1
    most = EngineParameters(255, 1 << 16, 5, 1 << 20, 255, 1 << 16, 1 << 20, 1 << 16, 1 << 20, 255, (255,) * 16)
    assert most.groups == 51


@pytest.mark.parametrize("lanes", [1, 2, 49, 254, 255])
def test_queues_hold_what_is_under_way_whatever_the_lanes(lanes: int) -> None:
    p = EngineParameters(lanes=lanes, requantizers=1, picture_bytes=1)
    assert sum_cycles(p) <= LISTS_UNDER_WAY
    assert scores_push_cycles(p) <= DEPTH
