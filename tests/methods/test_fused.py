"""Channels that go hand on what they were worth; sets of unlike items are drawn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from dcgen.ir.graph import Graph, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.methods.dpp import sampled
from dcgen.methods.energy import Energy
from dcgen.methods.fused import Diverse, Similar, in_place
from dcgen.methods.structured import Filters, Structured
from tests.methods.test_structured import RNG, SAMPLES, chain, joined, left, parametrized


def doubled(scale: float = 0.0) -> Graph:
    """A chain in which the filters of the first layer are two pairs: equal, but for noise of this scale."""
    graph = chain(a=4)
    op = graph.by_name["a"].op
    weight, bias = op.weight.values.copy(), op.bias.copy()
    noise = np.random.default_rng(2).normal(size=weight[2:].shape).astype(np.float32)
    weight[2:], bias[2:] = weight[:2] + scale * noise, bias[:2]
    return graph.with_weights({"a": Weight(weight)}, {"a": bias})


def begun(graph: Graph, method: Structured) -> Graph:
    """The graph as a stage of the method begins with it."""
    network = parametrized(graph, method)
    return graph.with_weights({n: Weight(w.weight.detach().numpy().copy()) for n, w in network.named()})


def change(graph: Graph, method: Structured) -> float:
    """Root mean square of what the outputs change by when the stage begins, over that of the outputs."""
    before, after = (FloatRunner(g).run(SAMPLES) for g in (graph, begun(graph, method)))
    return float(np.sqrt(np.square(after - before).mean() / np.square(before).mean()))


def only_a(graph: Graph) -> Graph:
    """The graph whose second layer has one channel left, so that the method changes the first one alone."""
    keep = np.array([1, 0, 0, 0, 0, 0], np.float32).reshape(-1, 1, 1, 1)
    return graph.with_weights({"b": Weight(graph.by_name["b"].op.weight.values * keep)})


@pytest.mark.parametrize("method", [Similar, Diverse])
def test_of_equal_channels_one_takes_the_others_place_exactly(method: type[Structured]) -> None:
    graph = only_a(doubled())
    assert left(begun(graph, method(keep=0.5))) == {"a": 2, "b": 1, "c": 2}
    assert change(graph, method(keep=0.5)) < 1e-3


@pytest.mark.parametrize("method", [Similar, Diverse])
def test_what_is_handed_on_is_better_than_nothing(method: type[Structured]) -> None:
    graph = only_a(doubled(scale=0.05))
    assert change(graph, method(keep=0.5)) < 0.5 * change(graph, Filters(keep=0.5))


@pytest.mark.parametrize("method", [Similar, Diverse])
def test_channels_that_several_convolutions_make_stay(method: type[Structured]) -> None:
    assert left(begun(joined(), method(keep=0.34))) == {"a": 4, "d": 4, "b": 4, "e": 1, "c": 2}


def test_the_one_that_is_read_least_goes_of_a_pair() -> None:
    graph = only_a(doubled(scale=0.01))
    op = graph.by_name["b"].op
    weight = op.weight.values.copy()
    weight[:, 0] *= 0.01
    found = begun(graph.with_weights({"b": Weight(weight)}), Similar(keep=0.75)).by_name["a"].op.weight.values
    assert found.any((1, 2, 3)).tolist() == [False, True, True, True]


def test_a_draw_depends_on_its_seed_alone() -> None:
    graph = chain(a=12)
    found = [begun(graph, Diverse(keep=0.5, seed=seed)) for seed in (1, 1, 2)]
    rows = [g.by_name["a"].op.weight.values.any((1, 2, 3)) for g in found]
    assert rows[0].tolist() == rows[1].tolist() != rows[2].tolist()


def macs(graph: Graph) -> int:
    return sum(np.count_nonzero(op.weight.values) * np.prod(graph.shapes[n.name][1:]) for n, op in graph.convs())


@pytest.mark.parametrize("share", [0.7, 0.3])
def test_work_falls_to_the_share_that_is_wanted(share: float) -> None:
    graph = chain(a=16, b=16)
    assert 0.8 * share < macs(begun(graph, Energy(keep=share))) / macs(graph) <= share


def test_work_is_saved_where_it_costs_least() -> None:
    """Channels of the first layer are made for 36 pixels each; what reads half of them hardly counts."""
    graph = chain(a=8, b=8)
    weight = graph.by_name["b"].op.weight.values.copy()
    weight[:, ::2] *= 1e-3
    graph = graph.with_weights({"b": Weight(weight)})
    assert (
        begun(graph, Energy(keep=0.55)).by_name["a"].op.weight.values.any((1, 2, 3)).tolist() == [False, True] * 4
    )
    assert change(graph, Energy(keep=0.55)) < 0.05


def test_channels_that_stay_make_up_for_those_that_went_to_save_work() -> None:
    graph = chain(a=8, b=8)
    base, shares = RNG.normal(size=(3, 27)) / 20, RNG.normal(size=(8, 3))
    weight = (shares @ base).reshape(8, 3, 3, 3).astype(np.float32)
    graph = graph.with_weights({"a": Weight(weight)}, {"a": np.full(8, 2, np.float32)})  # three numbers make eight
    found = begun(graph, Energy(keep=0.7))
    gone = {name: found.by_name[name].op.weight.values == 0 for name in "abc"}
    cut = graph.with_weights({n: Weight(np.where(gone[n], 0, graph.by_name[n].op.weight.values)) for n in "abc"})
    expected, restored, plain = (FloatRunner(g).run(SAMPLES) for g in (graph, found, cut))
    assert np.square(restored - expected).sum() < 0.3 * np.square(plain - expected).sum()


def test_a_combination_is_found_by_least_squares() -> None:
    values = torch.randn(3, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = torch.cat([values, (2 * values[0] - values[2])[None]])
    found = in_place(values, torch.tensor([True, True, True, False]))
    np.testing.assert_allclose(found[:, 0], [2, 0, -1], atol=0.01)


def test_sets_are_drawn_as_often_as_their_determinants_say() -> None:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(5, 5))
    kernel = factor @ factor.T
    sets = list(combinations(range(5), 2))
    wanted = np.array([np.linalg.det(kernel[np.ix_(s, s)]) for s in sets])
    drawn = [tuple(sampled(kernel, 2, rng).tolist()) for _ in range(3000)]
    counts = np.array([drawn.count(s) for s in sets])
    expected = 3000 * wanted / wanted.sum()
    assert (np.abs(counts - expected) <= 4 * np.sqrt(expected) + 1).all()


def test_as_many_as_wanted_are_drawn_of_items_that_are_all_alike() -> None:
    drawn = sampled(np.ones((300, 300)), 150, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 150
