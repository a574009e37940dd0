"""Predictions against the emulator's counts, on networks to which no cost is fitted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.firmware.fit import networks
from benchmarks.firmware.measure import measure
from benchmarks.firmware.network import Network
from dcgen.models.catalogue import DIGITS, V1_0, V1_1
from dcgen.plan.firmware.instruction_costs import FLASH, INSTRUCTIONS
from dcgen.plan.firmware.instructions import is_predicted
from dcgen.plan.firmware.needs import predict_needs
from dcgen.quant.activity import active_bytes
from dcgen.quant.qgraph import QConv, QGraph
from dcgen.targets import TARGETS, Target
from tests.firmware.nets import rectified
from tests.squeezenets import squeezenet
from tests.verify.small import EMULATED, needs

MOST_OFF = 0.06
"""Largest error of a prediction, as a share of the counted instructions."""


def strangers() -> Iterator[QGraph]:
    """Networks of other sizes, densities and levels than those that costs are fitted to."""
    yield squeezenet(replace(DIGITS, size=32), 0.5, seed=90, mean=7.0)
    yield rectified(110, (17, 15), 900, 0.06)
    yield squeezenet(replace(V1_1, size=227), 0.45, seed=91, mean=6.0)
    yield squeezenet(replace(V1_0, size=140, classes=100), 0.25, seed=92, mean=12.0)


def predicted_is_counted(graph: QGraph, target: Target) -> None:
    needs(target)
    network = Network.of(graph)
    found = measure(network, target)
    active = active_bytes(graph, network.picture[None])
    told = predict_needs(network.plan, graph, network.blob, target, active)
    assert told is not None
    assert told.instructions.total == pytest.approx(found.instructions, rel=MOST_OFF)
    assert told.flash_bytes == pytest.approx(found.flash_bytes, abs=64)
    assert [graph.nodes[i].name for i in told.instructions.nodes] == list(found.layers)


@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
@pytest.mark.parametrize("number", [0, 1])
def test_a_small_network(number: int, target: Target) -> None:
    predicted_is_counted(list(strangers())[number], target)


@pytest.mark.slow
@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
@pytest.mark.parametrize("number", [2, 3])
def test_a_whole_squeezenet(number: int, target: Target) -> None:
    predicted_is_counted(list(strangers())[number], target)


def test_no_cost_is_fitted_to_what_is_tested() -> None:
    def identity(graph: QGraph) -> tuple[object, ...]:
        ops = [n.op for n in graph.nodes]
        return graph.input.shape, *(op.weights.tobytes() if isinstance(op, QConv) else type(op) for op in ops)

    assert not {identity(g) for g in networks()} & {identity(g) for g in strangers()}


def test_every_emulated_machine_has_costs() -> None:
    names = {t.name for t in TARGETS if t.emulator}
    assert set(INSTRUCTIONS) == set(FLASH) == names == {t.name for t in TARGETS if is_predicted(t)}
