"""The small networks that goals are judged by: their samples, their kinds, and that dcgen imports each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.zoo.members import HIDDEN, MEMBERS, Member, Training
from benchmarks.zoo.network import open_network
from dcgen.importers import load
from dcgen.ir.runner import FloatRunner
from tests.zoo import network

EVERY = MEMBERS + HIDDEN


def member(name: str) -> Member:
    (found,) = (m for m in EVERY if m.name == name)
    return found


def test_names_seeds_and_tasks_are_not_shared() -> None:
    assert (len(MEMBERS), len(HIDDEN)) == (20, 10)
    assert len({m.name for m in EVERY}) == len({m.seed for m in EVERY}) == 30
    hidden = {(m.net.make, m.draw.draw) for m in HIDDEN}
    assert hidden.isdisjoint((m.net.make, m.draw.draw) for m in MEMBERS)


@pytest.mark.parametrize("m", EVERY, ids=lambda m: m.name)
def test_samples_are_drawn_again_alike_and_serve_one_purpose(m: Member) -> None:
    from benchmarks.zoo import train

    few = replace(m, training=Training(samples=50), calibration=50, test=50)
    first, again = train.drawn(few), train.drawn(few)
    for (x, y), (same_x, same_y) in zip(first, again, strict=True):
        assert x.dtype == np.uint8 and x.ndim == 4 and len(x) == len(y) == 50
        assert np.array_equal(x, same_x) and np.array_equal(y, same_y)
    pictures = [p.tobytes() for x, _ in first for p in x]
    assert len(set(pictures)) == 150
    if m.kind == "classes":
        assert all(y.dtype.kind == "i" and y.min() >= 0 for _, y in first)
    else:
        assert all(y.dtype == np.float32 and y.ndim == 2 for _, y in first)


def test_a_network_is_trained_anew_where_its_recipe_changed_and_then_alike(tmp_path: Path) -> None:
    tiny = replace(member("shapes12_pruned"), training=Training(64, 2, pruned=0.6), calibration=8, test=8)
    first = open_network(tiny, tmp_path).model.read_bytes()
    (tmp_path / "model.onnx").write_bytes(b"kept")
    assert open_network(tiny, tmp_path).model.read_bytes() == b"kept"
    assert open_network(replace(tiny, seed=99), tmp_path).model.read_bytes() not in (b"kept", first)
    assert open_network(tiny, tmp_path).model.read_bytes() == first


@pytest.mark.parametrize("name", ["gratings2_timid", "presence_timid"])
def test_a_network_is_trained_to_what_its_name_says(name: str) -> None:
    check(member(name))


@pytest.mark.slow
@pytest.mark.parametrize("m", MEMBERS, ids=lambda m: m.name)
def test_every_network_is_trained_to_what_its_name_says(m: Member) -> None:
    check(m)


def check(m: Member) -> None:
    """It learned its task, its scores are as large or small as its name says, and dcgen imports it as trained."""
    made = network(m)
    assert made.meta["float"].get("accuracy", 1) > 0.85 and made.meta["float"].get("error", 0) < 0.5
    if m.name.endswith("_timid"):
        assert made.meta["median_largest_score"] < 0.8
    if m.name.endswith("_confident"):
        assert made.meta["median_largest_score"] > 10
    graph = load(str(made.model)).graph
    x = made.preprocess.normalise(made.test.pictures)
    found = FloatRunner(graph).run(x)
    if m.kind == "classes":
        assert (found.argmax(1) == made.test.targets).mean() == pytest.approx(
            made.meta["float"]["accuracy"], abs=0.002
        )
    weights = np.concatenate([op.weight.values.ravel() for _, op in graph.convs()])
    assert (weights == 0).mean() >= 0.99 * m.training.pruned
    assert 1_500 <= weights.size <= 100_000
