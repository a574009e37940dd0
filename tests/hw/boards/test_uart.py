"""UART: what is sent is received, at any divisor, in spite of clocks that differ a little."""

from pathlib import Path

import pytest

from dcgen.hw.boards.uart import UartReceiver, UartTransmitter, checked_divisor
from tests.rtl.bench import run_cocotb

BENCH = "tests/hw/boards/bench_uart.py"


@pytest.mark.parametrize("divisor", [8, 25, 50])
def test_receiver_takes_frames_and_nothing_else(tmp_path: Path, divisor: int) -> None:
    run_cocotb(UartReceiver(divisor), BENCH, folder=tmp_path, environment={"DIVISOR": str(divisor), "SIDE": "rx"})


@pytest.mark.parametrize("divisor", [4, 50])
def test_transmitter_keeps_every_bits_time(tmp_path: Path, divisor: int) -> None:
    run_cocotb(
        UartTransmitter(divisor), BENCH, folder=tmp_path, environment={"DIVISOR": str(divisor), "SIDE": "tx"}
    )


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_too_small_a_divisor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^divisor must be at least 4 clock cycles a bit, not 3$"):
        checked_divisor(3)
