"""A round of training does what Adam says, lowers what it is to lower, and goes on from its memory."""

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress.evidence import Divergence
from dcgen.compress.goals import prices
from dcgen.compress.secondorder import Constraints, Quantizer
from dcgen.compress.student import point_of, student
from dcgen.ir.graph import Clip, Concat, Graph, Input, Node
from dcgen.train.teaching import Lesson, Teacher, features_of
from tests.compress.nets import evidence, net
from tests.graphs import conv

pytest.importorskip("torch")
LESSON = Lesson(8, (1e-2, 1e-3, 1e-3), augment=0.0, mix=0.0, features=0.0)


@pytest.fixture(scope="module")
def begun():
    seen = evidence()
    quantizer = Quantizer(net(), seen, Constraints())
    point = quantizer.at(prices(quantizer, 3e-5, 0.0), "test")
    return quantizer, *student(quantizer, point)


def taught(begun, lesson, speeds, teacher=None, seed=0):
    quantizer, sites, layers = begun
    teacher = teacher or Teacher(quantizer.graph, quantizer.evidence.measure, sites, lesson)
    done = []
    found, divergence = teacher.round(layers, speeds, np.random.default_rng(seed), done.append)
    assert sum(done) == lesson.batch * len(speeds)
    return found, divergence, teacher


def test_without_speed_nothing_moves_and_the_divergence_is_that_of_the_network(begun):
    quantizer, sites, layers = begun
    x = quantizer.evidence.measure
    found, divergence, _ = taught(begun, replace(LESSON, batch=len(x)), [0.0])
    point = point_of(quantizer, sites, layers)
    assert divergence == pytest.approx(Divergence(quantizer.graph, x)(point.weights, point.biases), rel=1e-3)
    for name, layer in layers.items():
        np.testing.assert_allclose(found[name].target, layer.target, atol=1e-9)
        np.testing.assert_array_equal(found[name].centre, layer.centre)
        assert found[name].step == pytest.approx(layer.step)


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_training_lowers_the_divergence_on_what_it_sees(begun, features):
    lesson = replace(LESSON, batch=24, features=features)
    _, first, teacher = taught(begun, lesson, [0.0])
    _, last, _ = taught(begun, lesson, [1.0] * 40 + [0.0] * 0, teacher)
    assert last < 0.8 * first


def test_only_what_has_a_rate_moves(begun):
    found, _, _ = taught(begun, replace(LESSON, rates=(0.0, 0.0, 1e-3)), [1.0] * 3)
    for name, layer in begun[2].items():
        np.testing.assert_allclose(found[name].target, layer.target, atol=1e-9)
        assert found[name].step == pytest.approx(layer.step)
        moved = np.abs(found[name].centre - layer.centre).max() / begun[1][name].scale
        assert 0 < moved <= 3.1e-3


def test_a_round_is_repeatable_and_goes_on_from_memory(begun):
    one, _, first = taught(begun, LESSON, [1.0] * 3)
    two, _, _ = taught(begun, LESSON, [1.0] * 3)
    other, _, _ = taught(begun, LESSON, [1.0] * 3, seed=1)
    assert all(np.array_equal(one[n].target, two[n].target) for n in one)
    assert any(not np.array_equal(one[n].target, other[n].target) for n in one)
    quantizer, sites, _ = begun
    second = Teacher(quantizer.graph, quantizer.evidence.measure, sites, LESSON)
    second.remember(first.memory())
    three, _, _ = taught(begun, LESSON, [1.0] * 3, first)
    four, _, _ = taught(begun, LESSON, [1.0] * 3, second)
    assert all(np.array_equal(three[n].target, four[n].target) for n in three)
    assert any(not np.array_equal(one[n].target, three[n].target) for n in one)


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
