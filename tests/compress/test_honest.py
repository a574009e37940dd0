"""A network that tells nothing of its inputs is refused; what a user must know of one that does is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcgen.compress.evidence import Trial
from dcgen.compress.goals import Goal
from dcgen.compress.honest import check_answers, doubts
from dcgen.errors import NumericError
from dcgen.ir.graph import Weight
from tests.compress.nets import net

RNG = np.random.default_rng(0)
REFERENCE = RNG.normal(size=(60, 4)).astype(np.float32)
SCORES = np.rint(1000 * REFERENCE).astype(np.int32)
TRIAL = Trial(1000, 200, 10, 0.1, 0.005, 0.005, 0.005, 0.99, 0.01)


def test_the_same_outputs_for_all_samples_are_refused() -> None:
    for classes in (True, False):
        check_answers("net", REFERENCE, SCORES, classes)
        with pytest.raises(NumericError, match=r"net: once compressed gives the same outputs for all 60 held-out"):
            check_answers("net", REFERENCE, np.tile(SCORES[:1], (60, 1)), classes)
    check_answers("net", REFERENCE[:1], SCORES[:1], True)  # of one sample nothing can be said


def test_classes_by_chance_are_refused_and_values_are_no_classes() -> None:
    shifted = np.roll(SCORES, 1, axis=1)  # never the same first class
    with pytest.raises(
        NumericError, match=r"names the float network's class for 0\.0 % of 60 held-out samples: ch"
    ):
        check_answers("net", REFERENCE, shifted, True)
    check_answers("net", REFERENCE, shifted, False)


def test_a_float_network_of_one_class_is_no_chance() -> None:
    """On pictures of which all are of one class, agreement can be no better than chance."""
    reference = np.abs(REFERENCE) * np.array([100, 1, 1, 1], np.float32) + np.array([100, 0, 0, 0], np.float32)
    check_answers("net", reference, np.rint(reference).astype(np.int32), True)


def test_empty_layers_and_limits_that_are_not_kept_are_said() -> None:
    goal = Goal("fidelity", 1.0)
    assert doubts(net(), net(), TRIAL, goal) == ()
    empty = net().with_weights({"b": Weight(np.zeros_like(net().by_name["b"].op.weight.values))})
    (said,) = doubts(net(), empty, TRIAL, None)
    assert said == "all weights of b are zero: nothing of what they read gets through"
    (said,) = doubts(net(), net(), replace(TRIAL, expected_changes=0.05), goal)
    assert said == ("no network keeps to the default's limit: changes is 0.05 (measured 0.01), the limit 0.025")
    assert doubts(net(), net(), replace(TRIAL, expected_changes=0.05), Goal("max_kl", 1.0)) == ()
    lossy = replace(TRIAL, loss=0.0115)
    assert doubts(net(), net(), lossy, goal) == (), "within what chance adds to a limit of .011"
    (said,) = doubts(net(), net(), replace(TRIAL, loss=0.02), goal)
    assert said.startswith("no network keeps to the default's limit: loss is 0.02 (measured 0.02)")
