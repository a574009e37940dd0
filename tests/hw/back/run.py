"""Runs the back end in Amaranth's simulator on a command list and its replay lists."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from amaranth.hdl import Module
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from dcgen.hw.back.back_end import CAUSES, BackEnd
from dcgen.hw.common.replay_lists import ReplayLists
from dcgen.hw.contract.lists import ReplayList
from dcgen.hw.contract.model import Writes
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.lanes import unpacked

HEAD_FIELDS = ("bias", "mult", "shift", "lo", "hi", "zero_out", "zero_in", "fill")


@dataclass
class Seen:
    """What a run showed; cycles count from the start pulse.

    writes : (step, word, lane, bytes)
    steps : cycle in which each record number first showed, then that of ``done``
    published, released : cycles of the lists' handshakes
    causes : cycles by cause
    """

    scores: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    writes: list[tuple[int, int, int, tuple[int, ...]]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    published: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    causes: dict[str, int] = field(default_factory=dict)
    fault: bool = False
    cycles: int = 0


def flattened(writes: Sequence[Writes]) -> list[tuple[int, int, int, tuple[int, ...]]]:
    """The model's writes as the trace shows them."""
    return [
        (one.step, int(word), int(lane), tuple(map(int, row[:count])))
        for one in writes
        for word, lane, count, row in zip(one.words, one.lanes, one.counts, one.data, strict=True)
    ]


def run_back_end(
    p: EngineParameters,
    commands: Sequence[int],
    lists: Sequence[ReplayList],
    picture: Sequence[int] = (),
    *,
    stall: float = 0.0,
    seed: int = 0,
    limit: int = 200_000,
    gap: float = 0.0,
) -> Seen:
    """Runs ``commands`` to their end, or for ``limit`` cycles.

    lists : what the front end would publish, in this order
    picture : bytes of the picture stream
    stall : probability that a stream waits in a cycle
    gap : probability that an entry of a list comes a cycle later
    """
    m = Module()
    m.submodules.dut = dut = BackEnd(p)
    m.submodules.lists = store = ReplayLists(p)
    connect(m, store.head, dut.head)
    connect(m, store.read, dut.read)
    depth = max(p.command_words, len(commands))
    m.submodules.commands = memory = Memory(shape=32, depth=depth, init=list(commands))
    port = memory.read_port()
    m.d.comb += [port.addr.eq(dut.commands.address), dut.commands.data.eq(port.data)]
    seen = Seen(causes=dict.fromkeys(CAUSES, 0))

    async def produce(ctx):
        rng = random.Random(seed)
        for one in lists:
            while not ctx.get(store.publish.ready):
                await ctx.tick()
            entries = zip(one.weights.tolist(), one.taps.tolist(), one.channels.tolist(), strict=True)
            for address, (weight, tap, channel) in enumerate(entries):
                while rng.random() < gap:
                    await ctx.tick()
                ctx.set(store.write.enable, 1)
                ctx.set(store.write.address, address)
                ctx.set(store.write.data, {"weight": weight, "tap": tap, "channel": channel})
                await ctx.tick()
            ctx.set(store.write.enable, 0)
            head = {name: getattr(one, name) for name in HEAD_FIELDS}
            ctx.set(store.publish.payload, {"entries": len(one), **head})
            ctx.set(store.publish.valid, 1)
            await ctx.tick()
            ctx.set(store.publish.valid, 0)

    async def show(ctx):
        rng = random.Random(seed + 1)
        sent = 0
        while True:
            if sent < len(picture) and (ctx.get(dut.picture.valid) or rng.random() >= stall):
                beat = picture[sent : sent + p.picture_bytes]
                ctx.set(dut.picture.payload.data, int.from_bytes(bytes(beat), "little"))
                ctx.set(dut.picture.valid, 1)
                if ctx.get(dut.picture.ready):
                    sent += p.picture_bytes
                    await ctx.tick()
                    ctx.set(dut.picture.valid, 0)
                    continue
            await ctx.tick()

    async def watch(ctx):
        rng = random.Random(seed + 2)
        cycle, step = 0, -1
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        while not ctx.get(dut.done) and not ctx.get(dut.fault):
            cycle += 1
            assert cycle < limit, f"still in step {step}: {seen}"
            ctx.set(dut.scores.ready, rng.random() >= stall)
            if ctx.get(dut.scores.valid) and ctx.get(dut.scores.ready):
                seen.scores.append(ctx.get(dut.scores.payload))
                seen.last.append(ctx.get(dut.score_last))
            if ctx.get(dut.trace.valid):
                data = unpacked(ctx.get(dut.trace.data), ctx.get(dut.trace.count))
                at = (ctx.get(dut.trace.step), ctx.get(dut.trace.word), ctx.get(dut.trace.lane))
                seen.writes.append((*at, tuple(data)))
            if ctx.get(dut.trace.step) != step:
                step = ctx.get(dut.trace.step)
                seen.steps.append(cycle)
            if ctx.get(store.publish.valid) and ctx.get(store.publish.ready):
                seen.published.append(cycle)
            if ctx.get(store.head.valid) and ctx.get(store.head.ready):
                seen.released.append(cycle)
            told = [cause for cause in CAUSES if ctx.get(getattr(dut, cause))]
            assert len(told) == 1, told
            seen.causes[told[0]] += 1
            await ctx.tick()
        seen.steps.append(cycle + 1)
        seen.cycles = cycle + 1
        seen.fault = bool(ctx.get(dut.fault))

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(produce, background=True)
    simulator.add_testbench(show, background=True)
    simulator.add_testbench(watch)  # the last one, to see what the others have set
    simulator.run()
    return seen
