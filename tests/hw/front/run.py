"""Runs a front end in a simulator on many cases, each a command list and packets; gives lists, or an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, connect, flipped

from dcgen.encode.layout import take_apart
from dcgen.hw.common.command_memory import CommandMemory, CommandWrites
from dcgen.hw.common.signatures import entry_layout, head_layout
from dcgen.hw.contract.commands import Op
from dcgen.hw.contract.lists import ReplayList
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.front_end import FrontEnd
from dcgen.plan.engine.plan import TENSORS, EnginePlan
from dcgen.plan.engine.replay import step_lists
from dcgen.quant.qgraph import QGraph
from tests.rtl.bench import run_cocotb

HEAD = ("bias", "mult", "shift", "lo", "hi", "zero_out", "zero_in", "fill")


@dataclass(frozen=True)
class FrontCase:
    """One run of a front end.

    commands : the command list, in words
    packets : the sections in hexadecimal, in the order in which they are sent
    hurry : chance in a cycle that a word of the blob is offered
    holds : list number n (from 1) occupies its half for ``holds[n % len(holds)]`` cycles after its publication, or
        after the release of list n - 1 if that is later
    seed : of the pauses
    limit : cycles within which the front end must stop being busy
    """

    commands: tuple[int, ...]
    packets: tuple[str, ...]
    hurry: float = 1.0
    holds: tuple[int, ...] = (0,)
    seed: int = 1
    limit: int = 200_000


@dataclass
class FrontRun:
    """What a front end did. Times are numbers of cycles, that with ``start`` being 0.

    cause, node : the error's, 0 if there was none
    ended : first cycle that was not busy
    taken : words of the blob that were taken
    published, releases : for each list the cycle of its publication, and that in which its half was released
    first_word : cycle in which the blob's first word was taken, -1 if none was
    lists : the lists in the order of publication
    """

    cause: int
    node: int
    ended: int
    taken: int
    published: list[int]
    releases: list[int]
    first_word: int
    lists: list[ReplayList] = field(default_factory=list)


class FrontTop(wiring.Component):
    """A front end with its command memory."""

    def __init__(self, p: EngineParameters) -> None:
        self._p, self._front = p, FrontEnd(p)
        front = self._front.signature.members
        kept = {
            name: front[name] for name in ("start", "blob", "write", "publish", "busy", "error", "cause", "node")
        }
        super().__init__({**kept, "load": In(CommandWrites(p))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.front = front = self._front
        m.submodules.memory = memory = CommandMemory(self._p)
        connect(m, front.commands, memory.front)
        connect(m, flipped(self.load), memory.write)
        connect(m, flipped(self.blob), front.blob)
        connect(m, flipped(self.write), front.write)
        connect(m, flipped(self.publish), front.publish)
        m.d.comb += front.start.eq(self.start)
        for name in ("busy", "error", "cause", "node"):
            m.d.comb += getattr(self, name).eq(getattr(front, name))
        return m


def section_packets(blob: bytes, plan: EnginePlan) -> tuple[str, ...]:
    """The blob's sections in the order in which the plan sends them, in hexadecimal."""
    layout = take_apart(blob)
    h = layout.header
    tensors = blob[h["tensors_offset"] : h["tensors_offset"] + h["tensors_bytes"]]
    sections = [blob[s.offset : s.offset + s.fields["section_bytes"]] for s in layout.sections]
    return tuple((tensors if n == TENSORS else sections[n]).hex() for n in plan.program)


def run_fronts(
    cases: Sequence[FrontCase], p: EngineParameters, folder: Path, sim: str = "icarus"
) -> Iterator[FrontRun]:
    """Simulates all cases one after the other, each from a reset on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cases.json").write_text(json.dumps([asdict(c) for c in cases]))
    environment = {"FRONT_CASES": str(folder / "cases.json"), "FRONT_RUNS": str(folder / "runs.json")}
    run_cocotb(FrontTop(p), "tests/hw/front/bench_front.py", folder=folder, sim=sim, environment=environment)
    for run in json.loads((folder / "runs.json").read_text()):
        lists = [_list(p, *published) for published in run.pop("lists")]
        yield FrontRun(**run, lists=lists)


def _list(p: EngineParameters, head: int, entries: list[int]) -> ReplayList:
    rows = []
    for entry in entries:
        e = data.Const(entry_layout(p), entry)
        rows.append((int(e.weight), int(e.tap), int(e.channel)))
    found = np.array(rows, np.int64)
    h = data.Const(head_layout(p), head)
    assert h.entries == len(entries)
    return ReplayList(found[:, 0], found[:, 1], found[:, 2], **{name: int(getattr(h, name)) for name in HEAD})


def assert_lists(found: Sequence[ReplayList], graph: QGraph, plan: EnginePlan) -> None:
    """Asserts that ``found`` equals the lists of ``graph`` under ``plan``, in the fields that each step uses."""
    expected = [(step, wanted) for step in plan.steps for wanted in step_lists(graph, step)]
    assert len(found) == len(expected)
    for one, (step, wanted) in zip(found, expected, strict=True):
        names: tuple[str, ...] = ("bias", "mult", "shift", "lo", "hi", "zero_out", "zero_in")
        if step.op == Op.POOL:
            names = ("fill",)
        elif step.op == Op.SCORES:
            names = ("zero_in",)
        elif step.fields.get("raw"):
            names = ("bias", "zero_in")
        assert {n: getattr(one, n) for n in names} == {n: getattr(wanted, n) for n in names}
        if step.op == Op.CONV:
            for name in ("weights", "taps", "channels"):
                np.testing.assert_array_equal(getattr(one, name), getattr(wanted, name))
