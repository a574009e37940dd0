"""Accuracy, agreement and divergence."""

import numpy as np
import pytest

from dcgen.fidelity import fidelity, mean_kl, ranking, score_error


def test_the_lowest_index_wins_a_tie():
    np.testing.assert_array_equal(ranking(np.array([[5, 7, 7, 1, 7, 0]])), [[1, 2, 4, 0, 3]])


def test_figures_of_three_pictures():
    reference = np.array([[9, 1, 0, 0, 0, 0], [0, 9, 0, 0, 0, 1], [0, 0, 9, 0, 0, 0]], np.float32)
    scores = np.array([[9, 1, 0, 0, 0, 0], [0, 0, 9, 3, 2, 1], [0, 0, 9, 0, 0, 0]], np.int32)
    found = fidelity(reference, scores, 1.0, np.array([0, 5, 3]))
    assert found.n == 3 and found.agreement == pytest.approx(2 / 3)
    assert (found.float_.top1, found.compressed.top1) == pytest.approx((1 / 3, 1 / 3))
    assert found.float_.top5 == 1.0 and found.compressed.top5 == 1.0
    change = found.top1_change
    assert (change.value, change.lost, change.gained, change.p) == (0.0, 0, 0, 1.0)
    always = {"n", "agreement", "mean_kl", "agreement_interval", "mean_kl_interval"}
    assert set(found.to_json()) == always | {"float", "compressed", "top1_change"}
    assert set(fidelity(reference, scores, 1.0).to_json()) == always


def test_the_change_of_top1_is_paired():
    """Of 40 pictures 10 are lost and 2 gained; the other 28 do not change the figure."""
    labels = np.zeros(40, np.int64)
    right, wrong = [9, 1, 0, 0, 0, 0], [1, 9, 0, 0, 0, 0]
    reference = np.array([right] * 10 + [wrong] * 2 + [right] * 28, np.float32)
    scores = np.array([wrong] * 10 + [right] * 2 + [right] * 28, np.int32)
    found = fidelity(reference, scores, 1.0, labels)
    change = found.top1_change
    assert (change.lost, change.gained, change.value) == (10, 2, -0.2)
    assert change.value == pytest.approx(found.compressed.top1 - found.float_.top1)
    assert change.interval[0] < -0.2 < change.interval[1] < 0 and change.p == pytest.approx(158 / 4096)
    assert found.agreement_interval[0] < found.agreement < found.agreement_interval[1]
    assert found.mean_kl_interval[0] < found.mean_kl < found.mean_kl_interval[1]
    assert found == fidelity(reference, scores, 1.0, labels)


def test_top5_holds_five_classes_only():
    scores = np.array([[6, 5, 4, 3, 2, 1]], np.int32)
    for label, expected in ((4, 1.0), (5, 0.0)):
        assert fidelity(scores.astype(np.float32), scores, 1.0, np.array([label])).compressed.top5 == expected


def test_the_score_scale_matters_to_the_divergence_alone():
    reference = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    scores = np.rint(reference * 1000).astype(np.int32)
    exact, wrong = (fidelity(reference, scores, s) for s in (1 / 1000, 1 / 100))
    assert exact.mean_kl < 1e-5 < 0.1 < wrong.mean_kl
    assert exact.agreement == wrong.agreement == 1.0
    assert mean_kl(reference, reference) == 0


def test_errors_of_scores_count_as_a_divergence_does_but_for_what_all_scores_share() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(0, 0.1, (50, 12)).astype(np.float32)  # so flat that a softer softmax is nearly the same
    errors = rng.normal(0, 0.05, reference.shape).astype(np.float32)
    common = rng.normal(0, 1.0, (50, 1)).astype(np.float32)
    found = score_error(reference, reference + errors + common)
    assert found == pytest.approx(score_error(reference, reference + errors), rel=1e-3)
    assert found == pytest.approx((1 - 1 / 12) * mean_kl(reference, reference + errors), rel=0.05)
    assert score_error(reference, reference) == 0


def test_errors_of_scores_scatter_less_than_the_divergence_of_few_pictures() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(0, 3.0, (40, 1000)).astype(np.float32)
    networks = [reference + rng.normal(0, 0.3, reference.shape).astype(np.float32) for _ in range(20)]

    def scatter(measure: object) -> float:
        return float(np.std([np.log(measure(reference, given)) for given in networks]))

    assert scatter(score_error) < 0.4 * scatter(mean_kl)
