"""Accuracy, agreement and divergence of classes, errors of values."""

import numpy as np
import pytest

from dcgen.fidelity import Agreement, Fidelity, fidelity, ranking
from dcgen.metric import mean_kl


def of_classes(found: Fidelity) -> Agreement:
    """The figures of classes, which must be there."""
    assert found.classes is not None
    return found.classes


def test_the_lowest_index_wins_a_tie():
    np.testing.assert_array_equal(ranking(np.array([[5, 7, 7, 1, 7, 0]])), [[1, 2, 4, 0, 3]])


def test_figures_of_three_pictures():
    reference = np.array([[9, 1, 0, 0, 0, 0], [0, 9, 0, 0, 0, 1], [0, 0, 9, 0, 0, 0]], np.float32)
    scores = np.array([[9, 1, 0, 0, 0, 0], [0, 0, 9, 3, 2, 1], [0, 0, 9, 0, 0, 0]], np.int32)
    whole = fidelity(reference, scores, 1.0, np.array([0, 5, 3]))
    found = of_classes(whole)
    assert whole.n == 3 and found.agreement == pytest.approx(2 / 3)
    assert (found.float_.top1, found.compressed.top1) == pytest.approx((1 / 3, 1 / 3))
    assert found.float_.top5 == 1.0 and found.compressed.top5 == 1.0
    change = found.top1_change
    assert (change.value, change.lost, change.gained, change.p) == (0.0, 0, 0, 1.0)
    always = {"n", "agreement", "mean_kl", "agreement_interval", "mean_kl_interval", "outputs"}
    assert set(whole.to_json()) == always | {"float", "compressed", "top1_change"}
    assert set(whole.to_json()["top1_change"]) == {"value", "interval", "lost", "gained", "mcnemar_p"}
    assert set(fidelity(reference, scores, 1.0).to_json()) == always


def test_the_change_of_top1_is_paired():
    """Of 40 pictures 10 are lost and 2 gained; the other 28 do not change the figure."""
    labels = np.zeros(40, np.int64)
    right, wrong = [9, 1, 0, 0, 0, 0], [1, 9, 0, 0, 0, 0]
    reference = np.array([right] * 10 + [wrong] * 2 + [right] * 28, np.float32)
    scores = np.array([wrong] * 10 + [right] * 2 + [right] * 28, np.int32)
    whole = fidelity(reference, scores, 1.0, labels)
    found = of_classes(whole)
    change = found.top1_change
    assert (change.lost, change.gained, change.value) == (10, 2, -0.2)
    assert change.value == pytest.approx(found.compressed.top1 - found.float_.top1)
    assert change.interval[0] < -0.2 < change.interval[1] < 0 and change.p == pytest.approx(158 / 4096)
    assert found.agreement_interval[0] < found.agreement < found.agreement_interval[1]
    assert found.mean_kl_interval[0] < found.mean_kl < found.mean_kl_interval[1]
    assert whole == fidelity(reference, scores, 1.0, labels)


def test_top5_holds_five_classes_only():
    scores = np.array([[6, 5, 4, 3, 2, 1]], np.int32)
    for label, expected in ((4, 1.0), (5, 0.0)):
        found = of_classes(fidelity(scores.astype(np.float32), scores, 1.0, np.array([label])))
        assert found.compressed.top5 == expected


def test_the_score_scale_matters_to_divergence_and_errors_but_not_to_classes():
    reference = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    scores = np.rint(reference * 1000).astype(np.int32)
    exact, wrong = (fidelity(reference, scores, s) for s in (1 / 1000, 1 / 100))
    assert of_classes(exact).mean_kl < 1e-5 < 0.1 < of_classes(wrong).mean_kl
    assert of_classes(exact).agreement == of_classes(wrong).agreement == 1.0
    assert exact.outputs[0].relative_error < 1e-2 < 1 < wrong.outputs[0].relative_error
    assert mean_kl(reference, reference) == 0


def test_values_have_an_error_each_of_which_the_largest_is_given_and_no_figures_of_classes():
    rng = np.random.default_rng(0)
    deviations = np.array([1e-3, 1.0, 500.0])
    reference = (rng.normal(size=(200, 3)) * deviations + 100).astype(np.float32)
    off = np.array([0.02, 0.08, 0.01]) * reference.std(0)  # each output is off by this share of its deviation
    found = fidelity(
        reference, (reference + off).astype(np.float32), 1.0, kinds=("values",), outputs={"boxes": (3,)}
    )
    (output,) = found.outputs
    assert (output.name, output.shape) == ("boxes", (3,)) and output.relative_error == pytest.approx(
        0.08, rel=0.01
    )
    assert found.classes is None and set(found.to_json()) == {"n", "outputs"}
    expected = {"name": "boxes", "shape": [3], "kind": "values", "relative_error": output.relative_error}
    assert found.to_json()["outputs"] == [expected]


def test_one_output_has_an_error_though_its_softmax_could_not_differ():
    reference = np.arange(10, dtype=np.float32)[:, None]
    found = fidelity(reference, 0 * reference, 1.0, kinds=("values",))
    assert mean_kl(reference, 0 * reference) == 0
    assert found.outputs[0].relative_error > 1.8


def test_each_of_several_outputs_is_judged_as_what_it_is():
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(50, 7)).astype(np.float32)
    given = (reference + rng.normal(size=(50, 7)) * 0.3).astype(np.float32)
    labels = reference[:, :4].argmax(1)
    kinds, outputs = ("classes", "values"), {"class": (4,), "box": (3,)}
    found = fidelity(reference, given, 1.0, labels, kinds=kinds, outputs=outputs)
    alone = of_classes(fidelity(reference[:, :4], given[:, :4], 1.0, labels))
    assert found.classes is None and [o.classes for o in found.outputs] == [alone, None]
    assert alone.float_.top1 == 1 and 0 < alone.agreement < 1
    one, other = found.to_json()["outputs"]
    assert (one["kind"], other["kind"]) == ("classes", "values")
    assert one["agreement"] == alone.agreement and one["mean_kl"] == alone.mean_kl
    assert set(other) == {"name", "shape", "kind", "relative_error"}
    assert set(found.to_json()) == {"n", "outputs"}
