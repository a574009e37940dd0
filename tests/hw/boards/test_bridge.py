"""Bridge: every byte of both streams arrives, registers and scores too, whatever stalls."""

from pathlib import Path

import pytest

from dcgen.hw.boards.bridge import Bridge
from tests.rtl.bench import run_cocotb


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("picture_bytes", [4, 16])
def test_bridge(tmp_path: Path, picture_bytes: int, seed: int) -> None:
    run_cocotb(
        Bridge(picture_bytes),
        "tests/hw/boards/bench_bridge.py",
        folder=tmp_path,
        environment={"PICTURE_BYTES": str(picture_bytes)},
        seed=seed,
    )
