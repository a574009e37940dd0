"""Patches of a convolution's input, their moments, and the walk through two networks that gives them."""

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress.hessian import DAMPING, MOST_SHRINKAGE, observe, patches, rows, shrinkage
from dcgen.compress.sections import Mirrored, Room, Walk, cut, groups
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Add, Clip, Concat, Conv, Graph, Input, Node, Weight
from tests.compress.nets import net, replaced
from tests.graphs import conv


def branching() -> Graph:
    """Two convolutions that read the same tensor, their outputs joined, a sum, and a convolution behind it."""
    rng = np.random.default_rng(0)
    nodes = (
        Node("s", conv(rng, 8, 4, (1, 1)), ("x",)),
        Node("rs", Clip(), ("s",)),
        Node("e1", conv(rng, 4, 8, (1, 1)), ("rs",)),
        Node("e3", replace(conv(rng, 4, 8, (3, 3)), pads=(1, 1, 1, 1)), ("rs",)),
        Node("j", Concat(), ("e1", "e3")),
        Node("sum", Add(), ("j", "rs")),
        Node("o", conv(rng, 5, 8, (3, 3)), ("sum",)),
    )
    return Graph("b", (Input("x", (4, 6, 6)),), nodes, ("o",))


def pictures(graph: Graph, n: int = 20) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, *graph.inputs[0].shape)).astype(np.float32)


def test_convolutions_of_a_group_do_not_depend_on_each_other():
    assert groups(branching()) == (("s",), ("e1", "e3"), ("o",))
    assert groups(net()) == (("a",), ("b",), ("c",))


def test_a_cut_holds_the_tensors_that_are_read_behind_it():
    g = branching()
    assert cut(g, ("s",)) == ("x",)
    assert cut(g, ("e1", "e3")) == ("rs",)
    assert cut(g, ("o",)) == ("sum",)


@pytest.mark.parametrize(
    ("groups_", "stride", "pads", "dilation"),
    [(1, (1, 1), (1, 1, 1, 1), (1, 1)), (2, (2, 1), (0, 1, 2, 0), (1, 1)), (1, (1, 2), (2, 3, 2, 3), (2, 3))],
)
def test_weights_times_patches_are_the_convolution(groups_, stride, pads, dilation):
    rng = np.random.default_rng(0)
    weight = Weight(rng.normal(size=(6, 4 // groups_, 3, 3)).astype(np.float32))
    op = Conv(weight, np.zeros(6, np.float32), stride, pads, groups_, dilation)
    g = Graph("g", (Input("x", (4, 9, 8)),), (Node("c", op, ("x",)),), ("c",))
    x = pictures(g, 2)
    expected = evaluate(g, {"x": x})["c"]
    places = np.arange(expected.shape[2] * expected.shape[3])
    found = patches(x, op, places, expected.shape[3]) @ rows(op).transpose(0, 2, 1)  # G, B * P, R
    found = found.reshape(groups_, 2, len(places), -1).transpose(1, 0, 3, 2).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def walked(graph: Graph, changed: dict[str, Weight], known=None, pictures_=None):
    """The observations of every convolution, where the quantized network has the weights ``changed``."""
    walk, found = Walk(graph, pictures(graph) if pictures_ is None else pictures_, known), {}
    for group in groups(graph):
        found.update(observe(graph, group, walk.visit(group), lambda _: None))
        for name in set(group) & set(changed):
            walk.weights[name], walk.biases[name] = changed[name], graph.by_name[name].op.bias
    return found


@pytest.mark.parametrize("most", [0, 30_000, 1 << 40])
def test_a_walk_sees_the_same_with_tensors_that_another_left(most, monkeypatch):
    monkeypatch.setattr("dcgen.compress.sections.KNOWN_BYTES", most)
    g, known = branching(), {}
    walked(g, {}, known)
    assert sum(x.nbytes for x in known.values()) <= most
    assert bool(known) == bool(most)
    changed = {"e3": Weight(np.round(g.by_name["e3"].op.weight.values, 1))}
    alone, helped = (walked(g, changed, k) for k in (None, known))
    for name, found in alone.items():
        for part in ("hessian", "cross", "mean", "mean_float"):
            one, two = (getattr(o.moments(), part) for o in (found, helped[name]))
            np.testing.assert_array_equal(one, two, err_msg=f"{name} {part}")


@pytest.mark.parametrize("kept", [0, 1 << 40])
def test_both_networks_are_seen_with_and_without_kept_tensors(kept, monkeypatch):
    monkeypatch.setattr("dcgen.compress.sections.KEPT_BYTES", kept)
    g = branching()
    other = Weight(np.round(g.by_name["e3"].op.weight.values, 1))
    changed = replaced(g, "e3", Conv(other, g.by_name["e3"].op.bias, pads=g.by_name["e3"].op.pads))
    m = walked(g, {"e3": other})["o"].moments()
    x = pictures(g)
    op, seen = g.by_name["o"].op, [evaluate(net_, {"x": x})["sum"] for net_ in (g, changed)]
    _, h, w = g.shapes["o"]
    one, two = (patches(s.astype(np.float32), op, np.arange(h * w), w)[0].astype(np.float64) for s in seen)
    covariance = np.cov(two.T, bias=True)
    (drawn,) = shrinkage(covariance[None], len(two))
    share = max(DAMPING, drawn / (1 - drawn))
    damping = share * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    scale = (1 + DAMPING) / (1 + share)
    np.testing.assert_allclose(m.hessian[0], scale * (covariance + damping), rtol=1e-3, atol=1e-4)
    cross = (one - one.mean(0)).T @ (two - two.mean(0)) / len(one)
    np.testing.assert_allclose(m.cross[0], scale * (cross + damping), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(m.mean[0], two.mean(0), rtol=1e-3, atol=1e-4)
    # On the quantized network's inputs, the targets come closer to the float outputs than the float weights do.
    wanted = one @ rows(op)[0].T
    errors = [
        np.square((wanted - wanted.mean(0)) - (two - two.mean(0)) @ t[0].T).sum()
        for t in (m.targets(op), rows(op))
    ]
    assert errors[0] < errors[1]
    # The bias keeps the mean output.
    bias = m.bias(op, m.targets(op))
    np.testing.assert_allclose((two @ m.targets(op)[0].T).mean(0) + bias, wanted.mean(0) + op.bias, atol=1e-3)


@pytest.mark.parametrize("samples", [10, 20, 40])
def test_a_covariance_of_few_samples_is_closer_to_the_true_one_when_it_is_drawn_towards_the_identity(samples):
    rng = np.random.default_rng(0)
    true = np.diag(1 / np.arange(1, 41.0))
    found = np.cov(rng.normal(size=(samples, 40)) @ np.sqrt(true), rowvar=False, bias=True)
    (share,) = shrinkage(found[None], samples)
    drawn = (1 - share) * found + share * np.trace(found) / 40 * np.eye(40)
    assert np.linalg.norm(drawn - true) < np.linalg.norm(found - true)


def test_of_many_samples_and_of_inputs_that_never_change_nothing_is_drawn():
    found = np.stack([np.diag(1 / np.arange(1, 41.0)), np.zeros((40, 40)), np.eye(40)])
    many, still, alike = shrinkage(found, 200_000)
    assert many < 1e-3 and still == 0 and alike == MOST_SHRINKAGE


def test_mirror_images_are_seen_like_further_pictures():
    g = branching()
    x = pictures(g)  # of the third batch of eight, four are the last pictures and four the first mirror images
    both = np.concatenate([x, x[..., ::-1]])
    mirrored = Mirrored(x)
    assert len(mirrored) == 40
    for here in (slice(0, 8), slice(16, 24), slice(24, 32), slice(32, 48)):
        np.testing.assert_array_equal(mirrored[here], both[here])
    changed = {"e3": Weight(np.round(g.by_name["e3"].op.weight.values, 1))}
    found, expected = (walked(g, changed, None, p)["o"].moments() for p in (mirrored, both))
    np.testing.assert_array_equal(found.hessian, expected.hessian)
    np.testing.assert_array_equal(found.cross, expected.cross)


def test_memory_is_used_again_once_nothing_is_kept_in_it():
    room = Room()
    one, two = room.empty((4, 3)), room.empty((2, 2))
    room.release([two])
    again = room.empty((5, 2))
    assert np.shares_memory(one, again) and not np.shares_memory(two, again)
    room.release([])
    assert np.shares_memory(room.empty((2, 2)), two)  # the smallest that is large enough
    larger = room.empty((13,))
    assert larger.shape == (13,) and not np.shares_memory(larger, again)
