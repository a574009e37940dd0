"""The divergence of networks with other weights from the float network."""

import numpy as np
import pytest

from dcgen.compress.evidence import Divergence, trial_of
from dcgen.errors import NumericError
from dcgen.ir.graph import Clip, Concat, GlobalAvgPool, Graph, Input, Node, Weight
from dcgen.metric import Classes, expected_changes, mean_kl, metric_of
from tests.compress.nets import net
from tests.graphs import conv


def fire() -> Graph:
    """Two convolutions that read the same tensor, and one that reads both."""
    rng = np.random.default_rng(2)
    nodes = (
        Node("squeeze", conv(rng, 4, 3, (1, 1)), ("x",)),
        Node("one", conv(rng, 8, 4, (1, 1)), ("squeeze",)),
        Node("three", conv(rng, 8, 4, (3, 3), pads=(1, 1, 1, 1)), ("squeeze",)),
        Node("both", Concat(), ("one", "three")),
        Node("r", Clip(), ("both",)),
        Node("head", conv(rng, 10, 16, (1, 1)), ("r",)),
        Node("p", GlobalAvgPool(), ("head",)),
    )
    return Graph("fire", (Input("x", (3, 8, 8)),), nodes, ("p",))


@pytest.mark.parametrize("graph", [net(), fire()], ids=lambda g: g.name)
def test_the_divergence_is_the_same_where_what_lies_before_a_layer_is_not_computed_again(graph) -> None:
    x = np.random.default_rng(3).normal(size=(10, *graph.inputs[0].shape)).astype(np.float32)
    whole, advancing = (Divergence(graph, x, Classes()) for _ in range(2))
    for node, op in graph.convs():
        advancing.advance(node.name)
        weights = {node.name: Weight(np.round(op.weight.values, 1))}
        biases = {node.name: op.bias + np.float32(0.01)}
        moved = whole(weights, biases)
        assert moved > 0
        assert advancing(weights, biases) == pytest.approx(moved, rel=1e-3)


def test_scores_that_are_not_finite_are_refused() -> None:
    graph = net()
    with pytest.raises(NumericError, match="not finite"):
        Divergence(graph, np.full((2, *graph.inputs[0].shape), np.inf, np.float32), Classes())


def test_a_trial_has_the_figures_of_classes_and_of_labels_where_they_are_known() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(0, 3, (100, 5)).astype(np.float32)
    scores = np.rint(100 * (reference + rng.normal(0, 0.3, reference.shape))).astype(np.int32)
    given = (scores * 0.01).astype(np.float32)
    labels = np.where(np.arange(100) < 90, reference.argmax(1), (reference.argmax(1) + 1) % 5)
    metric = metric_of(reference, "classes")
    found = trial_of(1234, metric, reference, scores, 0.01, labels)
    assert (found.blob_bytes, found.pictures, found.classes) == (1234, 100, 5)
    assert found.mean_kl == mean_kl(reference, given) and found.loss == metric.loss(reference, given)
    assert found.agreement == (reference.argmax(1) == scores.argmax(1)).mean() < 1
    assert found.expected_changes == expected_changes(reference, given)
    assert found.top1_drop == pytest.approx(90 - 100 * (scores.argmax(1) == labels).mean())
    assert found.expected_drop[0] < found.expected_drop[1]
    unlabelled = trial_of(1234, metric, reference, scores, 0.01, None)
    assert unlabelled.top1_drop is None and unlabelled.expected_drop is None


def test_a_trial_of_values_has_their_error_and_no_figures_of_classes() -> None:
    reference = np.random.default_rng(0).normal(0, [1.0, 100.0], (100, 2)).astype(np.float32)
    metric = metric_of(reference, "values")
    found = trial_of(1, metric, reference, (1.1 * reference).astype(np.float32), 1.0, None)
    assert found.relative_error == pytest.approx(0.1, rel=0.1) and found.classes == 0
    assert found.loss == found.score_error == pytest.approx(0.1**2 / 2, rel=0.1)
    assert (found.mean_kl, found.agreement, found.expected_changes, found.top1_drop) == (None,) * 4
