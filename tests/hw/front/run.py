"""Runs a front end in a simulator on many cases: command list and packets in, lists or an error out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from dcgen.encode.layout import take_apart
from dcgen.hw.common.command_memory import CommandMemory
from dcgen.hw.common.signatures import bits, entry_layout, head_layout
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
    """One run. ``packets`` are in hexadecimal.

    hurry : chance that a blob word is offered in a cycle
    holds : list number n occupies its half for ``holds[n % len(holds)]`` cycles behind the release of list n - 1
    """

    commands: tuple[int, ...]
    packets: tuple[str, ...]
    hurry: float = 1.0
    holds: tuple[int, ...] = (0,)
    seed: int = 1
    limit: int = 200_000


@dataclass
class FrontRun:
    """What a front end did. Times are cycles since the one with ``start``."""

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
        load = wiring.Signature({"enable": Out(1), "address": Out(bits(p.command_words)), "data": Out(32)})
        super().__init__({**kept, "load": In(load)})

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
    """Simulate every case, reset in between."""
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
    """``found`` are the lists of ``graph`` under ``plan``, in all that their steps look at."""
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
