"""How many lanes an engine is given, of those that its board holds.

A tile has as many pixels as there are lanes, and the last tile of a channel takes as many cycles as a full one
even if few of its pixels exist. So a network's cycles do not fall steadily with more lanes, and the best number is
found with the cycle model, which is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from dcgen.encode.blob import Blob
from dcgen.errors import ConfigError, PlanError
from dcgen.hw.boards.board import Board
from dcgen.hw.contract.parameters import MAX_LANES, MAX_WORDS, EngineParameters
from dcgen.plan.engine.cycles import Prediction, conv_sizes, predict
from dcgen.plan.engine.plan import EnginePlan, plan_engine
from dcgen.quant.qgraph import QGraph
from dcgen.targets import EngineTarget

BANK_WORDS: Final = 2048
"""Words of activation memory in a block RAM (DP16KD): it holds one lane's byte of each."""
PLACEABLE: Final = 0.84
"""Largest share of a device's block RAMs with which an engine has been placed; see docs/engine.md."""
OTHER_BLOCK_RAMS: Final = 26
"""Block RAMs of ``ulx3s-85f`` besides its activation memory: lists, tables, commands, constants. Their number does
not depend on lanes."""


def with_lanes(engine: EngineTarget, lanes: int) -> EngineTarget:
    """``engine`` with ``lanes`` lanes, and as much activation memory as its board then holds.

    Requantizing a tile takes no more cycles than in ``engine``. Without a board the memory stays as it is.

    Raises ConfigError where the board does not hold such an engine.
    """
    parameters = _widened(engine.parameters, lanes)
    if parameters is not None and engine.board is not None:
        parameters = _fitted(parameters, engine.board)
    if parameters is None:
        raise ConfigError(
            "`lanes`",
            f"{lanes} are too few for a beat of the picture ({engine.parameters.picture_bytes} bytes), "
            f"or too many for {engine.name}'s multipliers, block RAMs or command records",
            "try another number, or auto",
        )
    return replace(engine, parameters=parameters)


def fastest(engine: EngineTarget, graph: QGraph, blob: Blob) -> tuple[EnginePlan, Prediction]:
    """The plan of the fewest cycles, over all numbers of lanes that the engine's board holds.

    Raises PlanError where no number runs the network; it says why ``engine`` as it is does not.
    """
    assert engine.board is not None
    least = [(_least_cycles(graph, p.lanes), p) for p in _choices(engine.parameters, engine.board)]
    best: tuple[EnginePlan, Prediction] | None = None
    for bound, parameters in sorted(least, key=lambda choice: (choice[0], choice[1].lanes)):
        if best is not None and bound >= best[1].total:
            break
        try:
            found = planned(parameters, graph, blob)
        except PlanError:
            continue
        if best is None or found[1].total < best[1].total:
            best = found
    return best or planned(engine.parameters, graph, blob)


def planned(parameters: EngineParameters, graph: QGraph, blob: Blob) -> tuple[EnginePlan, Prediction]:
    """The plan of an engine, and its cycles. Raises PlanError where the engine cannot run the network."""
    plan = plan_engine(graph, blob, parameters)
    return plan, predict(plan, graph, blob)


def _least_cycles(graph: QGraph, lanes: int) -> int:
    """A lower bound of a network's cycles: its convolutions', if every cycle multiplied a tile by a weight."""
    return sum(weights * -(-pixels // lanes) for weights, pixels in conv_sizes(graph))


def _choices(like: EngineParameters, board: Board) -> Iterator[EngineParameters]:
    """Engines like ``like`` with every number of lanes that ``board`` holds."""
    for lanes in range(1, board.multipliers + 1):
        widened = _widened(like, lanes)
        fitted = _fitted(widened, board) if widened else None
        if fitted is not None:
            yield fitted


def _widened(like: EngineParameters, lanes: int) -> EngineParameters | None:
    """``like`` with ``lanes`` lanes, and the fewest requantizers that take a tile no more cycles than its own do.

    None where a beat of the picture is wider than that many lanes.
    """
    if not like.picture_bytes <= lanes <= MAX_LANES:
        return None
    dividing = (n for n in range(1, lanes + 1) if lanes % n == 0 and lanes // n <= like.groups)
    return replace(like, lanes=lanes, requantizers=next(dividing))


def _fitted(parameters: EngineParameters, board: Board) -> EngineParameters | None:
    """The engine with the most words that ``board`` holds; None where it holds none, or has too few
    multipliers."""
    words = (int(PLACEABLE * board.block_rams) - OTHER_BLOCK_RAMS) // parameters.lanes * BANK_WORDS
    if not words or multipliers(parameters) > board.multipliers:
        return None
    return replace(parameters, words=min(words, MAX_WORDS))


def multipliers(parameters: EngineParameters) -> int:
    """Multipliers (MULT18X18D) of an engine: one for each lane, two for the 32 by 16 bits of each requantizer, and
    one for addresses of planes."""
    return parameters.lanes + 2 * parameters.requantizers + 1


def block_rams(parameters: EngineParameters) -> int:
    """Block RAMs (DP16KD) of an engine that differs from ``ulx3s-85f`` only in lanes and words."""
    return parameters.lanes * -(-parameters.words // BANK_WORDS) + OTHER_BLOCK_RAMS
