"""A simulator's program is kept and used again, so it must run in environments that did not build it."""

from __future__ import annotations

from pathlib import Path

from cocotb_tools.config import libs_dir

from dcgen.hw.sim import simulator

COUNTER = "module counter(input clk, output reg [7:0] n); always @(posedge clk) n <= n + 1; endmodule\n"


def test_a_program_does_not_rely_on_the_environment_that_built_it(tmp_path: Path) -> None:
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    built = simulator.build("verilator", [source], "counter", tmp_path / "cache")
    assert str(libs_dir).encode() not in (built.folder / "counter").read_bytes()
