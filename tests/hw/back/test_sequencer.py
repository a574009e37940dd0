"""The sequencer: the right block is started for every record, once the one before has finished."""

from __future__ import annotations

from functools import partial

import pytest

from dcgen.hw.back.sequencer import Sequencer
from dcgen.hw.contract.back_timing import conv_ready, dispatched, head_taken, skip_end
from dcgen.hw.contract.commands import RECORD_WORDS, Op, Tap, pack_step
from dcgen.hw.contract.parameters import EngineParameters
from tests.hw.blocks import Bench, Case, play, runs

PARAMETERS = EngineParameters(lanes=6, requantizers=2, words=64, picture_bytes=4, command_words=512)
STARTS = ("load_start", "conv_setup", "conv_start", "pool_start", "scores_start")


async def walks(b: Bench, p: EngineParameters) -> None:
    ops = [Op.TENSORS, Op.LOAD, Op.CONV, Op.POOL, Op.SECTION, Op.CONV, Op.SCORES, Op.LOAD, Op.END]
    taps = [0, 0, 1, 0, 0, 9, 0, 0, 0]
    records = [
        pack_step({"op": op, "taps": count, "node": number}, (Tap(0, 0, 0, 0, 0),) * count)
        for number, (op, count) in enumerate(zip(ops, taps, strict=True))
    ]
    addresses = [sum(map(len, records[:number])) for number in range(len(records))]
    memory = [word for record in records for word in record]
    memory += [0] * (p.command_words - len(memory))
    for _ in range(2):  # a second start begins again
        cycle, asked = 0, 0

        async def tick() -> None:
            nonlocal cycle, asked
            b.set("commands.data", memory[asked])
            asked = b.get("commands.address")
            await b.tick()
            cycle += 1

        b.set("start", 1)
        await tick()
        b.set("start", 0)
        begun = 0
        for number, (op, count) in enumerate(zip(ops, taps, strict=True)):
            wanted = {name: -1 for name in STARTS}
            match op:
                case Op.LOAD:
                    wanted["load_start"] = begin_work = dispatched(begun)
                case Op.CONV:
                    wanted["conv_setup"] = dispatched(begun)
                    begin_work = conv_ready(begun, {"taps": count}, p) - 1
                    wanted["conv_start"] = begin_work
                case Op.POOL | Op.SCORES:
                    published = begun + b.rng.choice([0, 60])
                    begin_work = head_taken(begun, published) + 1
                    wanted["pool_start" if op == Op.POOL else "scores_start"] = begin_work
                case _:
                    begin_work = -1
            loaded_at = dispatched(begun) + 2 * count + 2
            finish = begin_work + b.rng.randrange(1, 30) if begin_work >= 0 else -1
            end = finish + 1 if finish >= 0 else skip_end(begun)
            while cycle < end:
                b.set("finished", cycle == finish)
                b.set("taps_loaded", op == Op.CONV and cycle == loaded_at)
                b.set("head_valid", op in (Op.POOL, Op.SCORES) and cycle > published)
                b.set("tap_commands.address", 500)
                await b.settle()
                found = {name: cycle for name in STARTS if b.get(name)}
                assert found == {name: at for name, at in wanted.items() if at == cycle}
                if found:
                    assert list(b.get("record"))[:RECORD_WORDS] == records[number][:RECORD_WORDS]
                    assert b.get("tap_address") == addresses[number] + RECORD_WORDS
                    assert b.get("step") == number
                loading = op == Op.CONV and dispatched(begun) < cycle <= begin_work
                assert (b.get("commands.address") == 500) == loading
                assert (b.get("busy"), b.get("done"), b.get("fault")) == (1, 0, 0)
                await tick()
            begun = end
        assert (b.get("busy"), b.get("done"), b.get("fault")) == (0, 1, 0)
        await tick()


CASES = {"all operations": Case(partial(Sequencer, PARAMETERS), partial(walks, p=PARAMETERS))}


@pytest.mark.parametrize(("case", "sim"), runs(CASES))
def test_steps(case, sim, tmp_path):
    play(__name__, CASES, case, sim, tmp_path)
