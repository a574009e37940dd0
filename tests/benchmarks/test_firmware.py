"""The firmware benchmark: its counts add up, and wrong input is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.firmware import cmsis_nn
from benchmarks.firmware.fit import Sample, fit
from benchmarks.firmware.measure import Measurement, measure
from benchmarks.firmware.network import Network, resized
from benchmarks.firmware.table import Report
from dcgen.errors import ConfigError, GraphError
from dcgen.targets import Target, find
from tests.process import ROOT
from tests.verify.small import EMULATED, needs, small_graph


@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
def test_init_and_nodes_make_up_the_whole(target: Target) -> None:
    needs(target)
    graph = small_graph()
    found = measure(Network.of(graph), target)
    assert list(found.layers) == [n.name for n in graph.nodes if n.name != "join"]  # placement joins
    assert found.init + sum(found.layers.values()) == pytest.approx(found.instructions, rel=0.03)
    assert min(found.init, *found.layers.values()) > 0
    assert (found.vector_instructions is not None) == (target.name == "cortex-m55")


def test_another_size_keeps_the_weights() -> None:
    graph = small_graph()
    larger = resized(graph, 31)
    assert larger.input.shape == (3, 31, 31) and larger.tensors["conv1"].shape == (8, 16, 16)
    assert all(a.op is b.op for a, b in zip(graph.nodes, larger.nodes, strict=True))
    with pytest.raises(GraphError):
        resized(graph, 1)


def test_dense_macs_count_zeros_too() -> None:
    assert Network.of(small_graph()).dense_macs()["conv1"] == 8 * 3 * 3 * 3 * 8 * 10


def test_cmsis_nn_gets_the_shapes_of_the_convolutions() -> None:
    header = cmsis_nn.header(small_graph(), mve=True)
    assert "{15, 19, 3, 8, 10, 8, 3, 3, 3, 2, 2, 1, 1}" in header
    assert "#define N_LAYERS 5" in header and "#define MVE_EXPECTED 1" in header
    assert f"#define MOST_INPUTS {15 * 19 * 3}" in header and f"#define MOST_OUTPUTS {8 * 8 * 10}" in header


def test_a_folder_that_is_no_cmsis_nn_is_told(tmp_path: Path) -> None:
    target = find("cortex-m4")
    assert isinstance(target, Target)
    with pytest.raises(ConfigError, match="is no checkout of CMSIS-NN"):
        cmsis_nn.measure(Network.of(small_graph()), target, tmp_path)


def test_the_report_divides_what_was_counted() -> None:
    counted = Measurement("cortex-m4", 600, 100, {"a": 400, "pool": 100}, 9, 8, 7, 6)
    report = Report("net", (4, 4), 50, 0.5, {"a": 1000}, [counted], {"cortex-m4": cmsis_nn.Peer({"a": 1200}, "V")})
    machine = report.to_json()["machines"]["cortex-m4"]
    assert machine["instructions_per_mac"] == 0.6 and machine["cmsis_nn"]["ratio"] == 2.0
    assert "| a | 400 | 1,000 | 0.400 | 1,200 | 3.00 |" in report.markdown()
    assert "| pool | 100 |  |  |  |  |" in report.markdown()


def test_a_vector_instruction_is_charged_two_cycles() -> None:
    counted = Measurement("cortex-m55", 600, 100, {"a": 500}, 9, 8, 7, 6, vector_instructions=200)
    peer = cmsis_nn.Peer({"a": 1200}, "V", vector_instructions=400)
    report = Report("net", (4, 4), 50, 0.5, {"a": 1000}, [counted], {"cortex-m55": peer})
    machine = report.to_json()["machines"]["cortex-m55"]
    assert machine["vector_instructions"] == 200 and machine["cycles_estimated"] == 800
    assert machine["cmsis_nn"]["cycles_estimated"] == 1600 and machine["cmsis_nn"]["ratio_cycles"] == 2.0
    assert "| dcgen | 600 | 200 | 800 | 0.800 | 1.00 |" in report.markdown()
    assert "| CMSIS-NN's convolutions | 1,200 | 400 | 1,600 | 1.600 | 2.00 |" in report.markdown()


def test_costs_that_made_the_counts_are_found() -> None:
    costs = {"a": 3.0, "b": 50.0}
    works = [{"a": 10, "b": 1}, {"a": 1, "b": 7}, {"a": 100}]
    samples = [Sample(w, round(sum(costs[k] * n for k, n in w.items()))) for w in works]
    assert fit(samples) == pytest.approx(costs, rel=1e-3)


def test_the_host_counts_no_instructions(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.firmware", str(tmp_path), "--on", "host"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "host: counts no instructions" in done.stderr
