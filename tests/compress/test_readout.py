"""The factor and shifts of the scores: what they correct, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.compress.readout import FACTORS, fit, fitted, in_units, readout, scaled
from dcgen.compress.uniform import levels_of
from dcgen.ir.graph import Add, Clip, Graph, Input, Node, Weight
from dcgen.ir.runner import FloatRunner
from dcgen.metric import Classes, Values, mean_kl, spreads
from tests.compress.nets import net, replaced
from tests.graphs import conv


def test_behind_the_readout_everything_keeps_a_factor() -> None:
    assert readout(net()) == "c"
    rng = np.random.default_rng(0)
    nodes = (Node("a", conv(rng, 4, 3, (1, 1)), ("x",)), Node("r", Clip(0.0, 6.0), ("a",)))
    x = (Input("x", (3, 4, 4)),)
    assert readout(Graph("capped", x, nodes, ("r",))) is None
    assert readout(Graph("plain", x, nodes[:1], ("a",))) == "a"
    both = (*nodes[:1], Node("b", conv(rng, 4, 3, (1, 1)), ("x",)), Node("s", Add(), ("a", "b")))
    assert readout(Graph("sum", x, both, ("s",))) is None


@settings(deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(0.85, 1.2), pictures=st.integers(100, 300))
def test_a_factor_and_shifts_that_scores_differ_by_are_found(seed: int, factor: float, pictures: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (pictures, 10))
    shift = rng.normal(0, 1, 10)
    found, moved = fit(factor * scores + shift, scores, Classes())
    assert found == pytest.approx(factor, rel=0.02)
    np.testing.assert_allclose(moved, shift, atol=0.2)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), pictures=st.integers(2, 40))
def test_differences_by_chance_give_small_shifts(seed: int, pictures: int) -> None:
    """Shifts for scores that differ by noise are smaller than the means of the noise."""
    rng = np.random.default_rng(seed)
    scores, noise = rng.normal(0, 3, (pictures, 50)), rng.normal(0, 1, (pictures, 50))
    factor, shift = fit(scores + noise, scores, Classes())
    assert FACTORS[0] <= factor <= FACTORS[1]
    assert np.abs(shift).mean() < np.abs((scores + noise - factor * scores).mean(0)).mean()


def test_scaled_levels_stay_what_they_are() -> None:
    weight = Weight.of(levels_of(np.array([[3, 0, -2], [1, 1, 0]], np.int16), 0.1))
    found = scaled(weight, 1.0625)
    assert found.levels is not None and weight.levels is not None
    np.testing.assert_array_equal(found.levels.indices, weight.levels.indices)
    np.testing.assert_allclose(found.values, 1.0625 * weight.values, rtol=1e-6)
    np.testing.assert_array_equal(np.rint(found.levels.codebook / found.levels.step), [0, -2, 1, 3])


def test_a_network_whose_scores_were_shrunk_and_moved_diverges_less_again() -> None:
    graph = net()
    x = np.random.default_rng(1).normal(size=(8, 3, 10, 10)).astype(np.float32)
    head = graph.by_name["c"].op
    levels = np.rint(head.weight.values / 0.05).astype(np.int16)
    weight = Weight.of(levels_of(levels, 0.05 * 0.85))
    bias = np.asarray(0.85 * head.bias + np.random.default_rng(2).normal(0, 0.3, 10), np.float32)
    inputs = np.concatenate([batch["rb"] for batch in FloatRunner(graph, ["rb"]).batches(x)])
    found = fitted(graph, "c", [{"rb": (inputs, inputs)}], weight, bias, Classes())
    reference = FloatRunner(graph).run(x)

    def scores(weight: Weight, bias: np.ndarray) -> np.ndarray:
        made = replaced(graph, "c", replace(head, weight=weight, bias=bias))
        return FloatRunner(made).run(x)

    after = scores(found.weight, found.bias)
    assert mean_kl(reference, after) < 0.1 * mean_kl(reference, scores(weight, bias))
    assert found.loss_of_error * Classes().score_error(reference, after) == pytest.approx(
        mean_kl(reference, after), rel=0.2
    )


def test_one_picture_changes_neither_factor_nor_shifts() -> None:
    graph, rng = net(), np.random.default_rng(1)
    one = rng.normal(size=(1, 32, 6, 6)).astype(np.float32)
    weight, bias = graph.by_name["c"].op.weight, graph.by_name["c"].op.bias
    found = fitted(graph, "c", [{"rb": (one, one + 1)}], weight, bias, Classes())
    assert (found.weight, found.bias) == (weight, bias) and found.loss_of_error > 0


def test_values_are_divided_by_their_units_in_the_last_convolution() -> None:
    graph, units = net(), np.geomspace(1e-3, 1e3, 10)
    x = np.random.default_rng(1).normal(size=(5, 3, 10, 10)).astype(np.float32)
    divided, used = in_units(graph, units)
    assert used is not None
    expected, found = FloatRunner(graph).run(x) / units, FloatRunner(divided).run(x)
    assert (np.abs(found - expected) < 1e-4 * np.abs(expected).max(0)).all()
    np.testing.assert_array_equal(used, units)


def test_where_a_division_cannot_go_into_weights_the_units_are_1() -> None:
    """Behind a rectifier with an upper bound, outputs are not in proportion to weights."""
    rng = np.random.default_rng(0)
    nodes = (Node("a", conv(rng, 4, 3, (4, 4)), ("x",)), Node("r", Clip(0.0, 6.0), ("a",)))
    graph = Graph("capped", (Input("x", (3, 4, 4)),), nodes, ("r",))
    assert in_units(graph, np.ones(4)) == (graph, None)
    plane = Graph("plane", (Input("x", (3, 9, 9)),), nodes[:1], ("a",))  # outputs of one channel share its weights
    assert in_units(plane, np.ones(4 * 6 * 6)) == (plane, None)


def test_the_factor_of_values_leaves_the_least_error_in_each_output_s_deviation() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, [1.0, 300.0], (100, 2))
    reference = np.asarray(1.1 * scores + [5.0, -7.0])
    factor, shift = fit(reference, scores, Values(spreads(reference.astype(np.float32))))
    assert factor == pytest.approx(1.1, rel=1e-3)
    np.testing.assert_allclose(shift, [5.0, -7.0], rtol=0.05)
