"""Counts the vector (Helium) instructions of a program that reads the clock before and after what it measures.

A plugin of QEMU, ``plugin/executed.c``, counts how often each instruction is executed between the two readings.
An instruction is a vector instruction if the disassembly shows a vector register among its operands; VPST, and
instructions that move or load floating-point registers, have none. All counts together must equal what the clock
counts in a run without the plugin, to one tick for each pair of readings.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dcgen.errors import ToolError
from dcgen.quant.qgraph import U8
from dcgen.targets import HOST, Target
from dcgen.verify.machines import run
from dcgen.verify.toolchain import require

PLUGIN = Path(__file__).parent / "plugin" / "executed.c"
_CLOCK = re.compile(r"^([0-9a-f]+) <port_ticks>:$", re.MULTILINE)
_VECTOR = re.compile(r"^ *([0-9a-f]+):\t[^\t]*\tv[\w.]+\t[^@;<\n]*\bq[0-7]\b", re.MULTILINE)


@dataclass(frozen=True)
class Executed:
    """Instructions executed between two readings of the clock, and how many of them are vector instructions."""

    instructions: int
    vector_instructions: int


def executed(target: Target, program: Path, pictures: U8, folder: Path) -> tuple[Executed, Path]:
    """Run ``program`` and count; returns the counts and the file of its results.

    target : a machine with Helium
    pictures : uint8 [N, H, W, C], each of which is measured
    folder : is made; the program runs in it

    Raises ToolError where a tool is missing, or QEMU takes no plugins.
    """
    assert target.emulator is not None
    require(HOST)
    folder.mkdir()
    disassembly = _output(f"{target.compiler}objdump", "-m", "armv8.1-m.main", "-d", str(program))
    clock = _CLOCK.search(disassembly)
    if clock is None:
        raise ToolError(program.name, "has no function port_ticks")
    _build(target.emulator.binary, folder / "executed.so")
    plugin = ("-plugin", f"./executed.so,clock=0x{clock[1]},out=executed.txt")
    emulator = replace(target.emulator, options=(*target.emulator.options, *plugin))
    done = run(replace(target, emulator=emulator), program, pictures, folder, measured=len(pictures), traced=0)
    return counted((folder / "executed.txt").read_text().splitlines(), disassembly), done.results


def vector_instructions(
    target: Target, program: Path, pictures: U8, folder: Path, *, instructions: int, intervals: int
) -> int:
    """Vector instructions of a run, checked against the clock. The other arguments are those of ``executed``.

    instructions : what the clock counted in a run without the plugin
    intervals : how many pairs of readings that count is the sum of

    Raises ToolError as ``executed`` does, and where the plugin's count is not the clock's.
    """
    assert target.emulator is not None
    found, _ = executed(target, program, pictures, folder)
    if abs(found.instructions - instructions) > intervals * target.emulator.instructions_per_tick:
        problem = f"executes {found.instructions:,} instructions, its clock counts {instructions:,}"
        raise ToolError(target.check_name, problem)
    return found.vector_instructions


def counted(lines: Sequence[str], disassembly: str) -> Executed:
    """The sums of the plugin's counts.

    lines : each an address and a count, both hexadecimal
    disassembly : of objdump; it says which addresses hold vector instructions
    """
    vectors = {int(address, 16) for address in _VECTOR.findall(disassembly)}
    counts = [(int(address, 16), int(count, 16)) for address, count in map(str.split, lines)]
    return Executed(sum(n for _, n in counts), sum(n for address, n in counts if address in vectors))


def _build(emulator: str, library: Path) -> None:
    version = re.search(r"version (\d+)", _output(emulator, "--version"))
    interface = 1 if version is None or int(version[1]) < 9 else 2
    compiler = os.environ.get("CC", "cc").split()
    flags = ("-std=c11", "-O2", "-fPIC", "-shared", f"-DAPI_VERSION={interface}")
    _output(*compiler, *flags, str(PLUGIN), "-o", str(library))


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise ToolError(command[0], f"failed: {(done.stderr.splitlines() or ['no reason given'])[0]}")
    return done.stdout
