"""Distillation keeps to the goal, gives the better network, reports which, and goes on where it was stopped."""

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress import distill, saved
from dcgen.compress.attempts import Try, prices
from dcgen.compress.goals import Goal
from dcgen.compress.recipes import recipe
from dcgen.compress.student import Rates
from dcgen.errors import ConfigError, ToolError
from dcgen.train.teaching import Lesson
from tests.compress.nets import density, evidence, net

torch = pytest.importorskip("torch")
QUICK = {"distill": True, "distill_steps": 40, "distill_batch": 8, "distill_round": 10}


def distilled(settings, **changes):
    """The network that a recipe with training gives, and the report of the training."""
    reports = {}
    seen = evidence(tell=reports.__setitem__, **changes)
    return recipe("second-order", {**QUICK, **settings}).apply(net(), seen), reports["distillation"]


def same(one, two):
    """Whether two graphs have the same weights and biases, bit by bit."""
    return all(
        np.array_equal(a.weight.values, b.weight.values) and np.array_equal(a.bias, b.bias)
        for (_, a), (_, b) in zip(one.convs(), two.convs(), strict=True)
    )


def test_at_a_divergence_the_file_shrinks_and_the_goal_is_kept():
    found, report = distilled({"max_kl": 0.02, "distill_steps": 120, "distill_patience": 12})
    trial = evidence().trial(found)
    assert report["helped"] and trial.mean_kl <= 0.02
    assert trial.blob_bytes == report["best"]["blob_bytes"] < report["start"]["blob_bytes"]


def test_what_does_not_help_is_not_taken():
    """Steps are so large that they ruin the network: the start is kept, and the report says so."""
    settings = {"max_bytes": 1800, "distill_rate": 1.0, "distill_bias_rate": 1.0, "distill_patience": 2}
    found, report = distilled(settings)
    assert not report["helped"] and report["stopped_early"] and len(report["rounds"]) == 2
    assert same(found, recipe("second-order", {"max_bytes": 1800}).apply(net(), evidence()))


def test_a_round_that_only_looked_better_is_not_taken(monkeypatch):
    """Rounds are measured with float activations. Here all trials after the start's, as integers, are bad."""
    seen = evidence()

    def trial(graph):
        measured = seen.trial(graph)
        return replace(measured, mean_kl=1.0) if running else measured

    running = []
    monkeypatch.setattr(distill.Distillation, "run", _noting(distill.Distillation.run, running))
    settings = {"max_kl": 0.02, "distill_steps": 120, "distill_patience": 12}
    found, report = distilled(settings, trial=trial)
    assert report["best"]["mean_kl"] == 1.0 and not report["helped"]
    assert evidence().trial(found).mean_kl <= 0.02


def _noting(run, running):
    """``run``, which first adds its distillation to ``running``."""

    def noted(self):
        running.append(self)
        return run(self)

    return noted


def test_constraints_are_kept():
    found, _ = distilled({"density": 0.3, "levels": 8, "max_kl": 0.5})
    assert density(found) <= 0.3
    assert max(len(c.weight.levels.codebook) for _, c in found.convs()) <= 8


class Stopped(Exception):
    pass


def stop_at(monkeypatch, number):
    """Make the training end after it has saved a round."""

    def save(folder, key, state):
        saved.save(folder, key, state)
        if len(state.rounds) == number:
            raise Stopped

    monkeypatch.setattr(distill, "save", save)


@pytest.mark.parametrize("number", [1, 3])
def test_a_resumed_training_ends_as_an_uninterrupted_one(tmp_path, monkeypatch, number):
    settings = {"max_kl": 0.02, "distill_patience": 4}
    whole, whole_report = distilled(settings)
    with monkeypatch.context() as patched:
        stop_at(patched, number)
        with pytest.raises(Stopped):
            distilled(settings, checkpoint=tmp_path)
    monkeypatch.setattr("dcgen.compress.recipes.meet", None)  # the search is not made again
    rounds = []
    once = distill.Distillation._round
    monkeypatch.setattr(distill.Distillation, "_round", lambda *a: rounds.append(1) or once(*a))
    resumed, report = distilled(settings, checkpoint=tmp_path)
    assert len(rounds) == 4 - number
    assert same(resumed, whole) and report == whole_report
    rounds.clear()
    assert same(distilled(settings, checkpoint=tmp_path)[0], whole) and not rounds


def test_checkpoints_of_something_else_are_refused(tmp_path):
    distilled({"max_kl": 0.02}, checkpoint=tmp_path)
    with pytest.raises(ConfigError, match=r"start.npz: is a training of another network, .* another folder"):
        distilled({"max_kl": 0.02, "distill_rate": 0.002}, checkpoint=tmp_path)
    with pytest.raises(ConfigError, match="another network, other pictures or settings"):
        distilled({"max_kl": 0.03}, checkpoint=tmp_path)
    for file in (tmp_path / saved.START, tmp_path / saved.TRAINING):
        kept = file.read_bytes()
        for damaged in (b"", b"[]", b"{}", kept[:-4000], b"PK" + bytes(100)):
            file.write_bytes(damaged)
            with pytest.raises(ConfigError, match=rf"{file.name}: is no checkpoint: .*remove it"):
                distilled({"max_kl": 0.02}, checkpoint=tmp_path)
        file.write_bytes(kept)


def test_a_point_is_distilled_at_its_size():
    chosen = recipe("second-order", {**QUICK, "distill_steps": 120, "distill_patience": 12})
    quantizer = chosen.quantizer(net(), evidence())
    point = quantizer.at(prices(quantizer, 3e-5, 0.0), "test")
    reports = {}
    found = evidence().trial(chosen.from_point(point, net(), evidence(tell=reports.__setitem__)))
    start = evidence().trial(point.applied(net()))
    report = reports["distillation"]
    assert report["start"]["mean_kl"] == pytest.approx(start.mean_kl) and found.mean_kl <= start.mean_kl
    assert report["rounds"][0]["price"] == pytest.approx(3e-5, rel=0.2)  # found from the levels alone
    errors = [abs(r["estimated_bytes"] / start.blob_bytes - 1) for r in report["rounds"]]
    assert max(errors) < 0.05 and max(errors[-4:]) < 0.01
    plain = recipe("second-order").from_point(point, net(), evidence())
    assert same(plain, point.applied(net()))


def test_what_torch_lacks_is_said_before_anything_is_searched(monkeypatch):
    stages = []
    seen = {"progress": lambda *stage: stages.append(stage)}
    with monkeypatch.context() as without, pytest.raises(ToolError, match=r"torch: is needed for `distill` \(pip"):
        without.setitem(__import__("sys").modules, "torch", None)
        distilled({"max_kl": 0.02}, **seen)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ToolError, match=r"torch: finds no CUDA device for `distill` \(use the CPU or PyTorch's"):
        distilled({"max_kl": 0.02, "distill_device": "cuda"}, **seen)
    assert not stages


def test_values_are_not_distilled():
    """Training is on the divergence of classes."""
    with pytest.raises(ConfigError, match=r"distill: trains on the scores of classes, these outputs are values"):
        recipe("second-order", QUICK).apply(net(), evidence(kind="values"))


@pytest.mark.parametrize(("classes", "limit"), [(10, 0.011), (1000, 0.11)])
def test_what_nobody_asked_for_is_limited_in_proportion_to_many_classes(classes, limit):
    chosen = recipe("second-order", QUICK)
    quantizer = chosen.quantizer(net(), evidence())
    paid = prices(quantizer, 1e-5, 0.0)
    point = quantizer.at(paid, "test")
    graph = point.applied(net())
    start = Try(point, graph, replace(evidence().trial(graph), classes=classes), paid)
    training = distill.Training(1, 1, 1, 0, Rates(0.0, 0.0, 0.0), Lesson(8, 0.0, 0.0, 0.0, "cpu"))
    assert distill.Distillation(quantizer, start, Goal("fidelity", 1.0), 1.0, training)._most_kl == (
        pytest.approx(limit)
    )
