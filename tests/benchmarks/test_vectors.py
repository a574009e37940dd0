"""Vector instructions are told from others, and all instructions together are as many as the clock counts."""

from pathlib import Path

import pytest

from benchmarks.firmware.network import Network
from benchmarks.firmware.vectors import Executed, counted, executed, vector_instructions
from dcgen.errors import ToolError
from dcgen.targets import Target, find
from dcgen.verify.build import build
from dcgen.verify.machines import run
from dcgen.verify.records import read_results
from tests.verify.small import needs, small_graph

DISASSEMBLY = """
11000120 <kernel>:
11000120:\ted2d 8b10 \tvpush\t{d8-d15}
11000124:\tef80 0050 \tvmov.i32\tq0, #0\t@ 0x00000000
11000128:\tfd90 ee80 \tvldrb.u16\tq7, [r0, #0]
1100012c:\tee1f 0e41 \tvmla.s16\tq0, q7, r1
11000130:\teef9 2f00 \tvaddv.s32\tr2, q0
11000134:\tfe71 0f4d \tvpst
11000138:\tee16 5a10 \tvmov\tr5, s12
1100013c:\ted9f 2b21 \tvldr\td2, [pc, #132]\t@ 110016a8 <q0+0x4>
11000140:\tf000 f802 \tbl\t11000148 <q0>
"""


def test_vector_instructions_have_a_vector_register() -> None:
    lines = [f"{0x11000120 + 4 * i:x} {10**i:x}" for i in range(9)]
    assert counted(lines, DISASSEMBLY) == Executed(111_111_111, 11_110)


def test_an_instruction_translated_twice_counts_twice() -> None:
    assert counted(["11000128 a", "11000128 b", "20000000 1"], DISASSEMBLY) == Executed(22, 21)


def test_the_clock_counts_as_many_instructions(tmp_path: Path) -> None:
    target = find("cortex-m55")
    assert isinstance(target, Target) and target.emulator is not None
    needs(target)
    network = Network.of(small_graph())
    network.write(tmp_path / "firmware")
    program, pictures = build(tmp_path / "firmware", target, tmp_path / "build"), network.picture[None]
    (tmp_path / "plain").mkdir()
    plain = run(target, program, pictures, tmp_path / "plain", measured=1, traced=0).results
    found, results = executed(target, program, pictures, tmp_path / "counted")
    assert results.read_bytes() == plain.read_bytes()  # the clock reads the same with the plugin
    (outcome,) = read_results(plain)
    clocked = round(outcome.ticks * target.emulator.instructions_per_tick)
    assert abs(found.instructions - clocked) <= 2 * target.emulator.instructions_per_tick
    assert 0 < found.vector_instructions < found.instructions
    again = target, program, pictures
    vectors = vector_instructions(*again, tmp_path / "right", instructions=clocked, intervals=2)
    assert vectors == found.vector_instructions
    with pytest.raises(ToolError, match="its clock counts"):
        vector_instructions(*again, tmp_path / "wrong", instructions=clocked + 100, intervals=2)
