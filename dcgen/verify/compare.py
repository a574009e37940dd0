"""Compares what a machine computed with the golden model, byte by byte."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.encode.schema import Status
from dcgen.errors import ToolError
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import I32, U8, QConcat, QGraph
from dcgen.targets import CHECK_NAME
from dcgen.verify.machines import MachineRun
from dcgen.verify.records import Outcome, Row, read_results

BATCH = 8
"""Pictures whose tensors are held in memory together."""


@dataclass(frozen=True)
class Mismatch:
    """One wrong byte of a tensor, or one wrong score.

    node : name of the layer
    channel, row, x : the place; of a score ``channel`` is its index and the others are 0
    found : None where the machine delivered nothing, or delivered it twice
    """

    node: str
    channel: int
    row: int
    x: int
    expected: int
    found: int | None

    def __str__(self) -> str:
        found = "nothing, or it twice" if self.found is None else self.found
        place = f"{self.node}, channel {self.channel}, row {self.row}, column {self.x}"
        return f"{place}: expected {self.expected}, found {found}"


@dataclass(frozen=True)
class CycleCount:
    """Cycles that the engine takes for one picture.

    counted, predicted : from the first blob word accepted to the last score sent
    lanes : multipliers
    nonzero_macs : multiplications of the network by weights that are not zero
    layers : by node name, predicted and counted cycles of its steps
    causes : by what the engine did, predicted (None where it is not predicted) and counted cycles
    """

    counted: int
    predicted: int
    lanes: int
    nonzero_macs: int
    layers: Mapping[str, tuple[int, int]]
    causes: Mapping[str, tuple[int | None, int]]

    @property
    def utilisation(self) -> float:
        """Share of all multipliers' cycles in which they multiply by a weight that is not zero."""
        return self.nonzero_macs / (self.lanes * self.counted) if self.counted else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data with stable keys."""
        pair = ("predicted", "counted")
        return {
            "cycles": self.counted,
            "predicted_cycles": self.predicted,
            "utilisation": round(self.utilisation, 4),
            "lanes": self.lanes,
            "cycles_by_layer": {k: dict(zip(pair, v, strict=True)) for k, v in self.layers.items()},
            "cycles_by_cause": {k: dict(zip(pair, v, strict=True)) for k, v in self.causes.items()},
        }


@dataclass(frozen=True)
class Check:
    """What verifying on one target gave.

    target : check name of the target
    layers : nodes whose outputs were compared, the scores' node included. A Concat is no work of
        its own: its bytes are compared as its inputs.
    bytes_compared, mismatches : bytes over all pictures; a score has four
    failure : how the runtime ended the program early, empty if it did not
    instructions : of one cold run, dcg_init and dcg_run; None where they cannot be counted
    longest_row_instructions : of the longest call that pushed a row; None also where the picture came whole
    longest_step_instructions : of the longest step, the unit by which work can be spread; None also without one
    flash_bytes, ram_bytes, stack_bytes : None on the host
    seconds : that the machine ran
    cycles : of the engine; None elsewhere
    """

    target: str
    pictures: int
    layers: int
    bytes_compared: int
    mismatches: int
    first_mismatch: Mismatch | None = None
    failure: str = ""
    instructions: int | None = None
    longest_row_instructions: int | None = None
    longest_step_instructions: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    stack_bytes: int | None = None
    seconds: float = 0.0
    cycles: CycleCount | None = None

    @property
    def passed(self) -> bool:
        """Whether every byte is equal and, on the engine, as many cycles were counted as predicted."""
        exact = self.cycles is None or self.cycles.counted == self.cycles.predicted
        return self.mismatches == 0 and not self.failure and exact

    def to_json(self) -> dict[str, Any]:
        """Plain data with stable keys; figures that the target does not give are left out."""
        result: dict[str, Any] = {
            "target": self.target,
            "passed": self.passed,
            "pictures": self.pictures,
            "layers": self.layers,
            "bytes_compared": self.bytes_compared,
            "mismatches": self.mismatches,
            "seconds": round(self.seconds, 3),
        }
        if self.failure:
            result["failure"] = self.failure
        if self.first_mismatch is not None:
            result["first_mismatch"] = vars(self.first_mismatch).copy()
        figures = ("instructions", "longest_row_instructions", "longest_step_instructions")
        for key in (*figures, "flash_bytes", "ram_bytes", "stack_bytes"):
            if (value := getattr(self, key)) is not None:
                result[key] = value
        return result | (self.cycles.to_json() if self.cycles else {})


@dataclass
class Comparison:
    """Gathers one target's results picture by picture; ``check`` or ``engine_check`` sums them up.

    ticks, stack_bytes : of the first measured run, in the machine's clock and in bytes
    longest_row, longest_step : ticks, as in ``records.Outcome``
    layer_names : nodes compared so far
    """

    graph: QGraph
    pictures: int = 0
    bytes_compared: int = 0
    mismatches: int = 0
    first_mismatch: Mismatch | None = None
    failure: str = ""
    ticks: int = 0
    longest_row: int = 0
    longest_step: int = 0
    stack_bytes: int = 0
    layer_names: set[str] = field(default_factory=set)

    def add(self, run: MachineRun, scores: I32, tensors: dict[str, U8]) -> None:
        """Compare a finished program's results.

        scores : golden, int32 [N, S] of the N pictures that ``run`` was given
        tensors : golden, uint8 [N, C, H, W] by node name
        """
        outcomes = read_results(run.results)
        for i in range(run.pictures):
            self.pictures += 1
            measured = next(outcomes, None) if i < run.measured else None
            if measured is not None and not self.ticks:
                self.ticks, self.longest_row = measured.ticks, measured.longest_row
                self.stack_bytes = measured.stack_bytes
            if i < run.traced:  # compared before the measured scores: it names the layer where a fault begins
                traced = next(outcomes, None)
                self.longest_step = max(self.longest_step, traced.longest_step if traced else 0)
                self._compare_rows(traced.rows if traced else (), {k: v[i] for k, v in tensors.items()})
                self._compare_scores(traced, scores[i])
            if i < run.measured:
                self._compare_scores(measured, scores[i])
        for _ in outcomes:  # more than was asked for. Reading to the end also finds a missing end record.
            raise ToolError(run.target.check_name, "wrote more results than there are pictures")

    def add_planes(
        self, found: Mapping[str, U8], scores: I32, expected: Mapping[str, U8], expected_scores: I32
    ) -> None:
        """Compare one picture's results with the golden ones.

        found, expected : tensors uint8 [C, H, W] by node name; one that is not found is wrong
        scores, expected_scores : int32 [S]
        """
        self.pictures += 1
        for node in self.graph.byte_nodes:
            if not isinstance(node.op, QConcat):
                planes, here = expected[node.name], node.name in found
                delivered = np.full((1, 1, 1), here)
                self.layer_names.add(node.name)
                self.bytes_compared += planes.size
                self._compare(node.name, planes, found[node.name] if here else planes, delivered)
        self._compare_scores(Outcome(0, 0, 0, 0, 0, (), scores), expected_scores)

    def engine_check(self, cycles: CycleCount, seconds: float) -> Check:
        """The verdict on an engine."""
        return replace(self._verdict(CHECK_NAME, seconds), cycles=cycles)

    def check(self, run: MachineRun, seconds: float, flash_bytes: int | None, ram_bytes: int | None) -> Check:
        """The verdict on a program.

        run : any of its runs
        seconds : of all of its runs
        flash_bytes, ram_bytes : of the program, None on the host
        """
        emulator = run.target.emulator
        per_tick = emulator.instructions_per_tick if emulator else 0
        return replace(
            self._verdict(run.target.check_name, seconds),
            instructions=round(self.ticks * per_tick) if emulator else None,
            longest_row_instructions=round(self.longest_row * per_tick) if self.longest_row else None,
            longest_step_instructions=round(self.longest_step * per_tick) if self.longest_step else None,
            flash_bytes=flash_bytes,
            ram_bytes=ram_bytes,
            stack_bytes=self.stack_bytes if emulator else None,
        )

    def _verdict(self, target: str, seconds: float) -> Check:
        """What both verdicts share."""
        return Check(
            target=target,
            pictures=self.pictures,
            layers=len(self.layer_names),
            bytes_compared=self.bytes_compared,
            mismatches=self.mismatches,
            first_mismatch=self.first_mismatch,
            failure=self.failure,
            seconds=seconds,
        )

    def _compare_rows(self, rows: tuple[Row, ...], tensors: dict[str, U8]) -> None:
        """Compare one picture's traced rows with its golden tensors, uint8 [C, H, W] by node name."""
        nodes = self.graph.byte_nodes
        expected = {i: tensors[n.name] for i, n in enumerate(nodes) if not isinstance(n.op, QConcat)}
        found = {i: np.zeros_like(t) for i, t in expected.items()}
        times = {i: np.zeros(t.shape[:2], np.uint8) for i, t in expected.items()}
        for r in rows:
            tensor = found.get(r.node)
            if (
                tensor is None
                or r.channel >= tensor.shape[0]
                or r.row >= tensor.shape[1]
                or (len(r.data) != tensor.shape[2])
            ):
                name = nodes[r.node].name if r.node < len(nodes) else f"node {r.node}"
                self._mismatch(max(1, len(r.data)), Mismatch(name, r.channel, r.row, 0, 0, None))
                continue
            tensor[r.channel, r.row] = np.frombuffer(r.data, np.uint8)
            times[r.node][r.channel, r.row] = min(2, times[r.node][r.channel, r.row] + 1)
        for i, tensor in expected.items():
            self.layer_names.add(nodes[i].name)
            self.bytes_compared += tensor.size
            delivered = times[i] == 1
            self._compare(nodes[i].name, tensor, found[i], delivered[:, :, None])

    def _compare_scores(self, outcome: Outcome | None, expected: I32) -> None:
        """Compare one run's scores, int32 [S], and take note of how it ended; None is a run that is missing."""
        self.bytes_compared += expected.nbytes
        if outcome is not None and outcome.status:
            known = {int(status): status.name for status in Status}
            self.failure = f"the runtime ended with {known.get(outcome.status, outcome.status)}"
        scores = outcome.scores if outcome else None
        delivered = scores is not None and scores.shape == expected.shape
        found = scores if scores is not None and delivered else np.zeros_like(expected)
        for name, first in self.graph.first_scores.items():
            shape = math.prod(self.graph.score_shapes[name]), 1, 1
            part = slice(first, first + shape[0])
            self.layer_names.add(name)
            self._compare(
                name, expected[part].reshape(shape), found[part].reshape(shape), np.full(shape, delivered)
            )

    def _compare(self, name: str, expected: U8 | I32, found: U8 | I32, delivered: NDArray[np.bool_]) -> None:
        """Count the wrong elements of one node's output [C, H, W].

        delivered : of a shape that broadcasts to it; what was not delivered is wrong
        """
        wrong = (expected != found) | ~delivered
        count = int(np.count_nonzero(wrong))
        if count:
            c, y, x = (int(v) for v in np.unravel_index(int(wrong.argmax()), wrong.shape))
            here = bool(np.broadcast_to(delivered, wrong.shape)[c, y, x])
            first = Mismatch(name, c, y, x, int(expected[c, y, x]), int(found[c, y, x]) if here else None)
            self._mismatch(count * expected.itemsize, first)

    def _mismatch(self, count: int, first: Mismatch) -> None:
        self.mismatches += count
        self.first_mismatch = self.first_mismatch or first


def golden(graph: QGraph, pictures: U8) -> tuple[I32, dict[str, U8]]:
    """Scores int32 [N, S] and every tensor uint8 [N, C, H, W] by name, from the golden model."""
    tensors: dict[str, U8] = {}
    return execute(graph, pictures, tensors), tensors


def batches(pictures: U8) -> Iterator[U8]:
    """``pictures`` in parts of ``BATCH``, of which every tensor can be held."""
    for start in range(0, len(pictures), BATCH):
        yield pictures[start : start + BATCH]


def compare(graph: QGraph, pictures: U8, run: MachineRun) -> Check:
    """Compare one finished run on ``pictures`` uint8 [N, H, W, C] with the golden model.

    Holds every tensor of all N pictures in memory; ``verify`` goes through them in batches.
    """
    comparison = Comparison(graph)
    comparison.add(run, *golden(graph, pictures))
    return comparison.check(run, run.seconds, None, None)
