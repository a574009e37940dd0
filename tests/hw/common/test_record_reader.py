"""The record reader gives the words of a record, and each field the value that was packed."""

from __future__ import annotations

from functools import partial

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from dcgen.hw.common.record_reader import RECORD, RecordReader, step_field
from dcgen.hw.contract.back_timing import READ_CYCLES
from dcgen.hw.contract.commands import RECORD_WORDS, STEP_FIELDS, unpack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=4, requantizers=2, words=64, picture_bytes=4, command_words=256)


async def reads(b: Bench) -> None:
    words = [b.rng.getrandbits(32) for _ in range(PARAMETERS.command_words)]
    asked = 0

    async def cycle() -> None:
        nonlocal asked
        b.set("commands.data", words[asked])  # of the address of the cycle before
        asked = b.get("commands.address")
        await b.tick()

    for address in (0, 7, PARAMETERS.command_words - RECORD_WORDS, 33):
        b.set("address", address)
        b.set("start", 1)
        await cycle()
        b.set("start", 0)
        for _ in range(READ_CYCLES - 1):
            assert not b.get("done")
            await cycle()
        assert b.get("done")
        await cycle()
        for _ in range(b.rng.randrange(9)):
            assert not b.get("done")
            await cycle()
        assert list(b.get("record")) == words[address : address + RECORD_WORDS]


def test_fields_are_those_of_the_commands():
    words = [0x9E3779B9 * (number + 1) & 0xFFFFFFFF for number in range(RECORD_WORDS)]
    record = Signal(RECORD)

    async def bench(ctx):
        ctx.set(record, words)
        assert {name: ctx.get(step_field(record, name)) for name in STEP_FIELDS} == unpack_step(words)

    simulator = Simulator(Module())
    simulator.add_testbench(bench)
    simulator.run()


CASES = {"records": Case(partial(RecordReader, PARAMETERS), reads)}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_records_at_any_address(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
