"""Plays packed code tables and streams into ``DecoderTop``.

The cases, with the expected entries, are read from the JSON file that the environment variable ``CASES`` names;
``test_front_blocks.decoder_case`` makes them.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

HURRIES = ((1.0, 1.0), (0.4, 0.4), (0.03, 1.0))
"""Pairs of ``hurry`` and ``eager`` (see ``one``). The last pair starves the decoder: one bit a cycle comes in."""


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def streams(dut: Any) -> None:
    Clock(dut.clk, 10, unit="ns").start()
    for name in ("words__valid", "words__payload", "start", "entries__ready"):
        getattr(dut, name).value = 0
    for number, case in enumerate(json.loads(Path(os.environ["CASES"]).read_text())):
        dut.rst.value = 1
        for _ in range(3):
            await RisingEdge(dut.clk)
        dut.rst.value = 0
        await one(dut, case, random.Random(number), *HURRIES[number % len(HURRIES)])


async def one(dut: Any, case: dict[str, Any], rng: random.Random, hurry: float, eager: float) -> None:
    """Plays one case; an entry that is offered must stay until it is taken.

    hurry : chance in a cycle that a word is offered
    eager : chance in a cycle that an entry would be taken
    """
    data = bytes.fromhex(case["data"])
    words = [int.from_bytes(data[i : i + 4].ljust(4, b"\0"), "little") for i in range(0, len(data), 4)]
    for name in ("gaps", "level_bits", "run_bits", "size", "size2", "n_entries"):
        getattr(dut, name).value = case[name]
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    taken, found, offered, held = 0, [], False, None
    for _ in range(40 * (len(words) + case["n_entries"]) + 20_000):
        offered = taken < len(words) and (offered or rng.random() < hurry)
        dut.words__valid.value = offered
        last = (taken + 1 == len(words)) << 32
        dut.words__payload.value = words[taken] | last if offered else rng.getrandbits(33)
        ready = rng.random() < eager
        dut.entries__ready.value = ready
        await RisingEdge(dut.clk)
        if offered and dut.words__ready.value:
            taken, offered = taken + 1, False
        if dut.malformed.value or dut.no_code.value:
            assert case["entries"] is None, "refused a sound stream"
            return
        if dut.entries__valid.value:
            entry = dut.entries__payload.value.to_unsigned()
            assert held in (None, entry), "an entry changed while it waited"
            held = None if ready else entry
            if ready:
                found.append([entry & 0xFFF, entry >> 12])
        else:
            assert held is None, "an entry was withdrawn"
        if len(found) == case["n_entries"] and dut.all_tables.value:
            assert found == case["entries"]
            return
    raise AssertionError(f"{len(found)} of {case['n_entries']} entries")
