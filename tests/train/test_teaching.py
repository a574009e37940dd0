"""A round of training lowers the divergence, moves what has a rate, and goes on from the optimizer's state."""

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress.evidence import Divergence
from dcgen.ir.graph import Clip, Concat, Graph, Input, Node, Weight
from dcgen.metric import Classes
from dcgen.train.parametrized import Parameter, Parametrized
from dcgen.train.teaching import Lesson, Teacher, features_of
from tests.compress.nets import evidence, net
from tests.graphs import conv

pytest.importorskip("torch")
LESSON = Lesson(8, augment=0.0, mix=0.0, features=0.0)
GRAPH, PICTURES = net(), evidence().measure
COARSE = {n.name: np.round(4 * c.weight.values) / 4 for n, c in GRAPH.convs()}
"""Weights of a student that has something to learn."""


def student(weight_rate=1e-3, bias_rate=1e-3):
    """The network with coarse weights, by the plainest of parameters: half of each weight, and the biases."""
    return {
        n.name: Parametrized(
            {"half": Parameter(COARSE[n.name] / 2, weight_rate), "bias": Parameter(c.bias, bias_rate)},
            {"two": np.array(2, np.float32)},
            lambda of: (of["two"] * of["half"], of["bias"]),
        )
        for n, c in GRAPH.convs()
    }


def taught(lesson, speeds, teacher=None, seed=0, **rates):
    teacher = teacher or Teacher(GRAPH, PICTURES, lesson)
    done = []
    found, divergence = teacher.round(student(**rates), speeds, np.random.default_rng(seed), done.append)
    assert sum(done) == lesson.batch * len(speeds)
    return found, divergence, teacher


def same(one, two):
    return all(np.array_equal(one[n][part], two[n][part]) for n in one for part in one[n])


def test_without_speed_nothing_moves_and_the_divergence_is_that_of_the_network():
    found, divergence, _ = taught(replace(LESSON, batch=len(PICTURES)), [0.0])
    weights = {name: Weight(values) for name, values in COARSE.items()}
    assert divergence == pytest.approx(Divergence(GRAPH, PICTURES, Classes())(weights), rel=1e-3)
    for node, op in GRAPH.convs():
        np.testing.assert_array_equal(2 * found[node.name]["half"], COARSE[node.name])
        np.testing.assert_array_equal(found[node.name]["bias"], op.bias)


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_training_lowers_the_divergence_on_what_it_sees(features):
    lesson = replace(LESSON, batch=24, features=features)
    _, first, teacher = taught(lesson, [0.0])
    _, last, _ = taught(lesson, [1.0] * 40, teacher)
    assert last < 0.8 * first


def test_only_what_has_a_rate_moves_and_no_farther_than_that():
    found, _, _ = taught(LESSON, [1.0] * 3, weight_rate=0.0)
    for node, op in GRAPH.convs():
        np.testing.assert_array_equal(2 * found[node.name]["half"], COARSE[node.name])
        assert 0 < np.abs(found[node.name]["bias"] - op.bias).max() <= 3.1e-3


def test_a_convolution_that_is_not_a_student_is_the_teachers():
    teacher = Teacher(GRAPH, PICTURES, LESSON)
    found, divergence = teacher.round({}, [], np.random.default_rng(0), lambda _: None)
    assert (found, divergence) == ({}, 0.0)
    only = {"c": student()["c"]}
    whole = Teacher(GRAPH, PICTURES, replace(LESSON, batch=len(PICTURES)))
    _, divergence = whole.round(only, [0.0], np.random.default_rng(0), lambda _: None)
    alone = Divergence(GRAPH, PICTURES, Classes())({"c": Weight(COARSE["c"])})
    assert divergence == pytest.approx(alone, rel=1e-3)


def test_a_round_is_repeatable_and_goes_on_from_the_optimizers_state():
    one, _, first = taught(LESSON, [1.0] * 3)
    two, _, _ = taught(LESSON, [1.0] * 3)
    other, _, _ = taught(LESSON, [1.0] * 3, seed=1)
    assert same(one, two) and not same(one, other)
    second = Teacher(GRAPH, PICTURES, LESSON)
    second.optimizer.restore(first.optimizer.state())
    three, _, _ = taught(LESSON, [1.0] * 3, first)
    four, _, _ = taught(LESSON, [1.0] * 3, second)
    assert same(three, four) and not same(one, three)


def test_features_are_where_blocks_end():
    rng = np.random.default_rng(0)
    nodes = (
        Node("a", conv(rng, 4, 3, (1, 1)), ("x",)),
        Node("b", conv(rng, 4, 3, (1, 1)), ("x",)),
        Node("c", Concat(), ("a", "b")),
        Node("r", Clip(), ("c",)),
        Node("d", Concat(), ("r", "r")),
        Node("e", conv(rng, 2, 16, (1, 1)), ("d",)),
    )
    assert features_of(Graph("g", (Input("x", (3, 4, 4)),), nodes, ("e",))) == ("r", "d")
