"""Plays the cases of ``run.run_fronts`` into a ``FrontTop`` and notes what it publishes.

``FRONT_CASES`` and ``FRONT_RUNS`` are environment variables: the JSON file of the cases, and the one to be written
with a ``FrontRun`` for each of them.
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


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def play(dut: Any) -> None:
    cases = json.loads(Path(os.environ["FRONT_CASES"]).read_text())
    Clock(dut.clk, 10, unit="ns").start()
    for name in ("start", "blob__valid", "blob__payload", "publish__ready", "load__enable", "rst"):
        getattr(dut, name).value = 0
    edge = RisingEdge(dut.clk)
    runs = [await _run(dut, edge, case) for case in cases]
    Path(os.environ["FRONT_RUNS"]).write_text(json.dumps(runs))


async def _run(dut: Any, edge: RisingEdge, case: dict[str, Any]) -> dict[str, Any]:
    dut.rst.value = 1
    dut.blob__valid.value = 0
    for _ in range(3):
        await edge
    dut.rst.value = 0
    dut.load__enable.value = 1
    for address, word in enumerate(case["commands"]):
        dut.load__address.value, dut.load__data.value = address, word
        await edge
    dut.load__enable.value = 0
    rng = random.Random(case["seed"])
    packets = [bytes.fromhex(p) for p in case["packets"]]
    words = [
        int.from_bytes(packet[i : i + 4], "little") | (i + 4 >= len(packet)) << 32
        for packet in packets
        for i in range(0, len(packet), 4)
    ]
    hurry, holds = case["hurry"], case["holds"]
    run: dict[str, Any] = {"cause": 0, "node": 0, "published": [], "releases": [], "lists": [], "first_word": -1}
    at, offered, ready, free_at = 0, False, True, 0
    entries: dict[int, int] = {}
    releases: list[int] = []
    dut.start.value = 1
    dut.publish__ready.value = 1
    offered = bool(words) and rng.random() < hurry
    dut.blob__valid.value = offered
    dut.blob__payload.value = words[0] if offered else rng.getrandbits(33)
    for cycle in range(case["limit"]):
        await edge  # from here on, signals read are those of ``cycle``, signals set those of the next one
        if dut.write__enable.value:
            assert ready
            entries[int(dut.write__address.value)] = int(dut.write__data.value)
        if ready and dut.publish__valid.value:
            run["published"].append(cycle)
            run["lists"].append((int(dut.publish__payload.value), [entries[i] for i in range(len(entries))]))
            entries = {}
            free_at = max(free_at, cycle) + holds[len(run["published"]) % len(holds)]
            releases.append(free_at)
            run["releases"].append(free_at)
        if offered and dut.blob__ready.value:
            if not at:
                run["first_word"] = cycle
            at, offered = at + 1, False
        if cycle and not dut.busy.value:
            run |= {"cause": int(dut.cause.value), "node": int(dut.node.value), "ended": cycle, "taken": at}
            return run
        dut.start.value = 0
        releases = [t for t in releases if t > cycle]
        if (len(releases) < 2) != ready:
            ready = not ready
            dut.publish__ready.value = ready
        if not offered and at < len(words):
            offered = hurry == 1 or rng.random() < hurry
        dut.blob__valid.value = offered
        dut.blob__payload.value = words[at] if offered else rng.getrandbits(33)  # random unless valid
    raise AssertionError(f"still busy after {case['limit']} cycles: {len(run['lists'])} lists, {at} words taken")
