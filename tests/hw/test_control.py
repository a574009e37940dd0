"""The engine's registers work behind AXI4-Lite, in two simulators."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcgen.hw.control import Control
from tests.hw.bench_control import PARAMETERS
from tests.rtl.bench import run_cocotb


@pytest.mark.parametrize("sim", ["icarus", "verilator"])
def test_registers_behind_axi4_lite(tmp_path: Path, sim: str) -> None:
    control = Control(PARAMETERS)
    ports = {
        "_".join(map(str, path)): (value.as_value() if hasattr(value, "as_value") else value, None)
        for path, _, value in control.signature.flatten(control)
    }
    run_cocotb(control, "tests/hw/bench_control.py", folder=tmp_path, sim=sim, ports=ports)
