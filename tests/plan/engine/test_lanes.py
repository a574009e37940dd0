"""The lanes that a network gets: those of the fewest cycles, and never more than the board holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dcgen.encode.blob import encode
from dcgen.errors import ConfigError, PlanError
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.models.catalogue import DIGITS
from dcgen.plan.engine.cycles import nonzero_macs, predict
from dcgen.plan.engine.lanes import OTHER_BLOCK_RAMS, PLACEABLE, block_rams, fastest, multipliers, with_lanes
from dcgen.plan.engine.plan import plan_engine
from dcgen.targets.engines import SIMULATED, ULX3S_85F
from tests.squeezenets import squeezenet

REPORT = json.loads((Path(__file__).parents[3] / "docs/hardware/ulx3s-85f.json").read_text(encoding="utf-8"))
NETWORK = squeezenet(replace(DIGITS, size=60))
BLOB = encode(NETWORK)


def test_block_rams_and_multipliers_are_those_that_were_placed() -> None:
    used = {name: found["used"] for name, found in REPORT["resources"].items()}
    assert block_rams(ULX3S_85F.parameters) == used["block RAMs"]
    assert multipliers(ULX3S_85F.parameters) == used["multipliers"]
    assert int(PLACEABLE * REPORT["resources"]["block RAMs"]["available"]) >= used["block RAMs"]


def test_the_targets_own_lanes_give_the_targets_own_engine() -> None:
    assert with_lanes(ULX3S_85F, 49) == ULX3S_85F


def test_more_lanes_leave_fewer_words() -> None:
    found = with_lanes(ULX3S_85F, 72).parameters
    assert (found.lanes, found.words, found.requantizers) == (72, 4096, 12)
    assert found.groups <= ULX3S_85F.parameters.groups


def test_without_a_board_nothing_but_lanes_and_requantizers_changes() -> None:
    found = with_lanes(SIMULATED, 12).parameters
    assert found == replace(SIMULATED.parameters, lanes=12, requantizers=3)


@pytest.mark.parametrize("lanes", [0, 15, 53, 148, 10_000])
def test_lanes_that_make_no_engine_are_refused(lanes: int) -> None:
    """Too few for the picture; a prime whose requantizers need more multipliers; too many for block RAMs."""
    with pytest.raises(ConfigError, match=rf"^`lanes`: {lanes} are too few .* or too many for ulx3s-85f's"):
        with_lanes(ULX3S_85F, lanes)


def all_engines() -> list[EngineParameters]:
    found = []
    for lanes in range(1, 200):
        try:
            found.append(with_lanes(ULX3S_85F, lanes).parameters)
        except ConfigError:
            continue
    return found


def test_fastest_is_the_best_of_all_that_the_board_holds() -> None:
    board = ULX3S_85F.board
    assert board is not None
    cycles = {}
    for parameters in all_engines():
        assert block_rams(parameters) <= PLACEABLE * board.block_rams
        assert multipliers(parameters) <= board.multipliers
        cycles[parameters.lanes] = predict(plan_engine(NETWORK, BLOB, parameters), NETWORK, BLOB).total
    plan, prediction = fastest(ULX3S_85F, NETWORK, BLOB)
    assert prediction.total == cycles[plan.parameters.lanes] == min(cycles.values())
    assert prediction.total > nonzero_macs(NETWORK) / plan.parameters.lanes
    assert cycles[49] > prediction.total


def test_a_network_that_no_lanes_run_fails_for_the_engines_own_reason() -> None:
    assert ULX3S_85F.parameters.words * ULX3S_85F.parameters.lanes > OTHER_BLOCK_RAMS
    small = replace(ULX3S_85F, parameters=replace(ULX3S_85F.parameters, command_words=16))
    with pytest.raises(PlanError, match=r"words of commands, the engine holds 16"):
        fastest(small, NETWORK, BLOB)
