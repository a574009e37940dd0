"""The same goal on two targets gives two files, each cheaper on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress.attempts import Surcharge, attempt, first_price
from dcgen.compress.recipes import recipe
from dcgen.ir.graph import AvgPool, Clip, Conv, Graph, Input, Node, Weight
from dcgen.plan.work import EVENT_WORK, active_shares, work_of_weights, work_per_weight
from dcgen.targets import ULX3S_85F, find
from tests.compress.nets import evidence
from tests.graphs import conv

SOFTWARE = find("cortex-m7")


def net() -> Graph:
    """A convolution on 144 pixels, which are 3 turns of an engine's 49 lanes, and two convolutions on one
    pixel."""
    rng = np.random.default_rng(0)
    head = conv(rng, 10, 48, (1, 1))
    head = replace(head, weight=Weight(8 * head.weight.values))  # scores that depend on the picture
    nodes = (
        Node("wide", conv(rng, 24, 3, (3, 3)), ("x",)),
        Node("r", Clip(), ("wide",)),
        Node("pool", AvgPool((12, 12), (12, 12)), ("r",)),
        Node("deep", conv(rng, 48, 24, (1, 1)), ("pool",)),
        Node("s", Clip(), ("deep",)),
        Node("out", head, ("s",)),
    )
    return Graph("two", (Input("x", (3, 14, 14)),), nodes, ("out",))


def test_work_is_pixels_in_software_and_turns_of_the_lanes_on_an_engine() -> None:
    assert work_per_weight(net(), SOFTWARE, {}) == {"wide": 144, "deep": 1, "out": 1}
    assert work_per_weight(net(), ULX3S_85F, {}) == {"wide": 3, "deep": 1, "out": 1}
    for target in (SOFTWARE, ULX3S_85F):
        work = work_of_weights(net(), target, {})
        sizes = {n.name: c.weight.values.size for n, c in net().convs()}
        assert sum(work[name] * size for name, size in sizes.items()) == pytest.approx(sum(sizes.values()))


def test_zeros_of_an_input_are_no_work_in_software() -> None:
    """Only convolutions with one output position skip zeros of their input."""
    graph = net()
    assert active_shares(graph, evidence(graph).measure).keys() == {"deep", "out"}
    few = {"wide": 144, "deep": pytest.approx(0.1 * EVENT_WORK), "out": 1}
    assert work_per_weight(graph, SOFTWARE, {"deep": 0.1, "out": 0.9}) == few
    assert work_per_weight(graph, ULX3S_85F, {"deep": 0.1}) == work_per_weight(graph, ULX3S_85F, {})


def test_shares_are_of_bytes_that_will_not_be_zero() -> None:
    """A value counts as zero if it is closer to zero than half a step. Of three channels, two are signs, of
    which the rectifier leaves half, and one is always that close."""
    weight = np.array([1.0, -1.0, 1e-4], np.float32).reshape(3, 1, 1, 1)
    rng = np.random.default_rng(0)
    nodes = (
        Node("signs", Conv(Weight(weight), np.zeros(3, np.float32)), ("x",)),
        Node("r", Clip(), ("signs",)),
        Node("out", conv(rng, 2, 3, (1, 1)), ("r",)),
    )
    graph = Graph("signs", (Input("x", (1, 40, 40)),), nodes, ("out",))
    picture = rng.choice(np.array([-1, 1], np.float32), (1, 1, 40, 40))
    assert active_shares(graph, picture) == {"out": pytest.approx(1 / 3, abs=0.001)}


def test_each_target_gets_the_network_that_is_cheaper_on_it() -> None:
    found = {}
    for target in (SOFTWARE, ULX3S_85F):
        seen = evidence(net(), pictures=100, measured=800, work=work_of_weights(net(), target, {}), weighed=True)
        found[target.name] = recipe("second-order", {"max_kl": 2e-3, "work": 4}).apply(net(), seen)
        assert seen.trial(found[target.name]).mean_kl <= 2e-3

    def work(name: str, target) -> int:
        per_weight = work_per_weight(net(), target, {})
        return sum(per_weight[n.name] * np.count_nonzero(c.weight.values) for n, c in found[name].convs())

    assert work(SOFTWARE.name, SOFTWARE) < work(ULX3S_85F.name, SOFTWARE)
    assert work(ULX3S_85F.name, ULX3S_85F) < work(SOFTWARE.name, ULX3S_85F)


@pytest.mark.parametrize("density", [0.45, 0.5])
def test_a_density_costs_the_most_where_a_weight_has_the_most_to_do(density: float) -> None:
    """At the same density and price of a bit, there are fewer multiplications where the work of weights is
    known."""
    per_weight = work_per_weight(net(), SOFTWARE, {})
    made = []
    for work in ({}, work_of_weights(net(), SOFTWARE, {})):
        seen = evidence(net(), measured=800, work=work)
        quantizer = recipe("second-order", {"density": density}).quantizer(net(), seen)
        price = first_price(quantizer, lambda sketch: sketch.loss > 1e-3)
        found = attempt(quantizer, Surcharge(quantizer, density), price, "trying").graph
        counts = {n.name: int(np.count_nonzero(c.weight.values)) for n, c in found.convs()}
        share = sum(counts.values()) / sum(c.weight.values.size for _, c in found.convs())
        assert 0.95 * density <= share <= density
        made.append(sum(per_weight[name] * count for name, count in counts.items()))
    assert made[1] < 0.97 * made[0]
