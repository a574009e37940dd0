"""Predictions against the emulator's counts, on networks to which no cost is fitted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.firmware.fit import coded
from benchmarks.firmware.measure import measure
from benchmarks.firmware.network import Network
from dcgen.models.catalogue import DIGITS, V1_0, V1_1
from dcgen.plan.firmware.instruction_costs import FLASH, INSTRUCTIONS
from dcgen.plan.firmware.instructions import is_predicted
from dcgen.plan.firmware.needs import predict_needs
from dcgen.quant.activity import active_bytes
from dcgen.quant.qgraph import QConv, QGraph
from dcgen.targets import TARGETS, Target, find
from tests.firmware.chains import Layer, chain_of, separable
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


def small_strangers() -> Iterator[QGraph]:
    """Networks of the shapes of MobileNet, DS-CNN, LeNet and an autoencoder, as microcontrollers run them."""
    widths = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1)]
    yield separable("mobile", (3, 64, 64), Layer(8, 3, 2, spread=20.0), widths, 0.9)
    blocks = [Layer(8, 3, 2), Layer(0, 3, 2), Layer(16, density=0.6), Layer(0, 5, 2), Layer(48, density=0.5)]
    yield chain_of("mobile, 5x5", (3, 72, 72), [*blocks, Layer(0, 5), Layer(60, density=0.3), Layer(0, 5, 2)], 10)
    yield separable("spoken words", (1, 49, 10), Layer(64, (10, 4), 2), [(64, 1)] * 3, 0.7)
    five = Layer(20, 5, pool=2, padded=False), Layer(50, 5, density=0.4, pool=2, padded=False)
    yield chain_of("written digits", (1, 28, 28), (*five, Layer(200, 4, padded=False)), 10, averaged=False)
    narrow = [Layer(n, density=0.5) for n in (128, 128, 8, 128)]
    yield chain_of("vectors", (320, 1, 1), narrow, 320, averaged=False)


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


@pytest.mark.parametrize("graph", list(small_strangers()), ids=lambda g: g.name)
def test_a_network_for_microcontrollers(graph: QGraph) -> None:
    predicted_is_counted(graph, cortex_m4())


@pytest.mark.slow
@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
@pytest.mark.parametrize("graph", list(small_strangers()), ids=lambda g: g.name)
def test_a_network_for_microcontrollers_on_every_core(graph: QGraph, target: Target) -> None:
    predicted_is_counted(graph, target)


def cortex_m4() -> Target:
    target = find("cortex-m4")
    assert isinstance(target, Target)
    return target


@pytest.mark.parametrize(("number", "layers"), [(0, 3), (1, 3)], ids=["3x3", "5x5"])
def test_a_depthwise_multiplication_takes_at_most_three_instructions(number: int, layers: int) -> None:
    """In each layer on planes of 9x9 positions or more, on a Cortex-M4; 8x8 and a stride of two take 3.7."""
    target = cortex_m4()
    needs(target)
    network = Network.of(list(small_strangers())[number])
    counted, macs = measure(network, target).layers, network.dense_macs()
    names = [n.name for n in network.plan.nodes if "depthwise" in (n.kernel or "") and n.out_shape[1] >= 9]
    assert len(names) == layers
    assert all(counted[name] <= 3 * macs[name] for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("target", EMULATED, ids=lambda t: t.name)
@pytest.mark.parametrize("number", [2, 3])
def test_a_whole_squeezenet(number: int, target: Target) -> None:
    predicted_is_counted(list(strangers())[number], target)


def test_no_cost_is_fitted_to_what_is_tested() -> None:
    def identity(graph: QGraph) -> tuple[object, ...]:
        ops = [n.op for n in graph.nodes]
        return graph.input.shape, *(op.weights.tobytes() if isinstance(op, QConv) else type(op) for op in ops)

    fitted = {identity(network.graph) for network in coded()}
    assert not fitted & {identity(g) for g in (*strangers(), *small_strangers())}


def test_every_emulated_machine_has_costs() -> None:
    names = {t.name for t in TARGETS if t.emulator}
    assert set(INSTRUCTIONS) == set(FLASH) == names == {t.name for t in TARGETS if is_predicted(t)}
