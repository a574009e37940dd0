"""Goals, constraints, targets and the frontier from the command line, on the embedded default."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcgen.inputs.samples import open_samples
from dcgen.ir.runner import FloatRunner
from dcgen.output import open_output
from dcgen.quant.execute import execute
from tests.process import dcgen, dcgen_json


@pytest.fixture
def compiled(tmp_path: Path, digits_pictures: Path):
    """``compiled(*arguments)`` is the manifest of ``dcgen compile digits`` with these further arguments."""

    def compile_(*arguments: object) -> dict[str, Any]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        calibration = digits_pictures / "calibration"
        found = dcgen_json("compile", "digits", "--calibration", calibration, "-o", out, *arguments)
        assert found["blob_bytes"] == (out / "model.dcb").stat().st_size
        return found

    return compile_


def test_a_size_is_kept_and_both_figures_are_stated(compiled) -> None:
    found = compiled("--max-bytes", "5.5K")
    assert 5_000 < found["blob_bytes"] <= 5_500
    assert found["goal"] == {"name": "max_bytes", "limit": 5500.0, "reached": found["blob_bytes"]}


def test_a_loss_of_accuracy_is_kept_on_labelled_pictures(compiled, tmp_path, digits_pictures) -> None:
    # Only the digits of the test split have labels on disk; here they are the calibration pictures.
    folder = digits_pictures / "test"
    found = dcgen_json(
        *("compile", "digits", "--calibration", folder, "--labels", folder / "labels.txt", "-o", tmp_path / "out"),
        *("--max-top1-drop", "2"),
    )
    assert found["goal"]["name"] == "max_top1_drop" and found["goal"]["reached"] <= 2
    drop = found["held_out"]["float"]["top1"] - found["held_out"]["compressed"]["top1"]
    assert found["goal"]["reached"] == pytest.approx(100 * drop)


def test_values_are_compiled_for_their_errors_and_measured_in_their_units(compiled, tmp_path, digits_pictures):
    """The scores of the digits, taken as ten values."""
    found = compiled("--outputs", "values", "--max-error", "0.15")
    assert found["goal"]["name"] == "max_error" and 0.1 < found["goal"]["reached"] <= 0.15
    (output,) = found["outputs"]
    assert (output["kind"], output["shape"]) == ("values", [10]) and "agreement" not in found["held_out"]
    assert found["held_out"]["outputs"][0]["relative_error"] == pytest.approx(found["goal"]["reached"])
    np.testing.assert_allclose(output["scales"], np.multiply(output["units"], found["scores"]["scale"]))
    (out,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert "OUTPUT_SCALES" in (out / "firmware" / "model" / "dcg_digits.h").read_text()
    seen = dcgen_json("eval", out, "--images", digits_pictures / "test")
    assert set(seen) == {"n", "outputs", "pictures_sha256", "calibration_overlap"}
    assert seen["outputs"][0]["relative_error"] < 0.2
    golden = open_output(out)
    pictures = open_samples(digits_pictures / "test", lambda _: None).load(
        range(20), golden.preprocess, (16, 16), print
    )
    scores = execute(golden.qgraph, pictures.data)
    reference = FloatRunner(golden.float_graph()).run(golden.preprocess.normalise(pictures.data))
    np.testing.assert_allclose(scores * np.array(output["scales"]), reference, atol=0.8 * reference.std())


def test_a_frontier_of_values_has_their_errors(tmp_path, digits_pictures) -> None:
    arguments = ("--outputs", "values", "--from", "5K", "--to", "7K", "--points", 2, "-o", tmp_path / "curve")
    rows = dcgen_json("frontier", "digits", "--calibration", digits_pictures / "calibration", *arguments)["points"]
    assert {(r["mean_kl"], r["agreement"]) for r in rows} == {(None, None)}
    assert rows[0]["relative_error"] < rows[-1]["relative_error"]
    written = list(csv.DictReader((tmp_path / "curve" / "frontier.csv").open()))
    assert [(w["mean_kl"], float(w["relative_error"])) for w in written] == [
        ("", r["relative_error"]) for r in rows
    ]


def test_deep_compression_takes_the_same_goals(compiled) -> None:
    found = compiled("--recipe", "deep-compression", "--max-bytes", "16K")
    assert 15_500 < found["blob_bytes"] <= 16_000 and found["goal"]["name"] == "max_bytes"
    plain = compiled("--recipe", "deep-compression")
    assert plain["goal"]["name"] == "fidelity" and {p["name"] for p in plain["goal"]["limits"]} == {
        "loss",
        "changes",
    }
    assert max(p["reached"] / p["limit"] for p in plain["goal"]["limits"]) <= 1
    assert plain["nonzeros"] < 0.95 * plain["parameters"]


def test_constraints_hold_in_the_file(compiled) -> None:
    found = compiled("--density", 0.2, "--levels", 16, "--symmetric")
    assert sum(a["nonzeros"] for a in found["layers"]) <= 0.2 * sum(a["weights"] for a in found["layers"])
    assert all(a["levels"] <= 15 and a["levels"] % 2 for a in found["layers"])


def test_a_target_makes_the_file_cheaper_on_it(compiled) -> None:
    plain, found = (
        compiled("--max-kl", 0.05),
        compiled("--max-kl", 0.05, "--target", "cortex-m7", "--set", "work=4"),
    )
    assert found["held_out"]["mean_kl"] <= 0.05
    assert found["nonzero_macs"] < 0.9 * plain["nonzero_macs"]
    host = compiled("--max-kl", 0.05, "--target", "host")
    assert host["blob_bytes"] == plain["blob_bytes"]


def test_a_frontier_and_one_of_its_points(compiled, tmp_path: Path, digits_pictures: Path) -> None:
    out = tmp_path / "frontier"
    calibration = digits_pictures / "calibration"
    arguments = ("--from", "4K", "--to", "8K", "--points", 3)
    rows = dcgen_json("frontier", "digits", "--calibration", calibration, "-o", out, *arguments)["points"]
    assert len(rows) >= 3
    sizes = [r["blob_bytes"] for r in rows]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] <= 4_500 and sizes[0] >= 7_500
    assert rows[0]["mean_kl"] < rows[-1]["mean_kl"] and rows[0]["density"] > rows[-1]["density"]
    written = list(csv.DictReader((out / "frontier.csv").open()))
    assert [int(w["blob_bytes"]) for w in written] == sizes
    made = compiled("--point", out / rows[1]["point"])
    assert made["blob_bytes"] == rows[1]["blob_bytes"]
    assert made["predicted"]["instructions"] == rows[1]["instructions"]
    assert made["held_out"]["mean_kl"] == pytest.approx(rows[1]["mean_kl"])


def test_distillation_keeps_the_smaller_file_and_says_which_that_is(compiled, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "training"
    arguments = ("--max-kl", 0.04, "--distill", "--set", "distill_steps=200", "--checkpoint", folder)
    found = compiled(*arguments)
    said = found["distillation"]
    assert found["held_out"]["mean_kl"] <= 0.04 and found["goal"]["reached"] <= 0.04
    start, best = said["start"], said["best"]
    assert found["blob_bytes"] == (best if said["helped"] else start)["blob_bytes"]
    assert said["helped"] == (
        best is not None and best["blob_bytes"] < start["blob_bytes"] and best["mean_kl"] <= 0.04
    )
    assert said["rounds"] and (folder / "distill.npz").is_file()
    assert compiled(*arguments) == found  # the second time it is read from the checkpoint


def test_a_checkpoint_without_a_training_is_refused(tmp_path: Path, digits_pictures: Path) -> None:
    arguments = (
        "--calibration",
        digits_pictures / "calibration",
        "-o",
        tmp_path / "out",
        "--checkpoint",
        tmp_path,
    )
    done = dcgen("compile", "digits", *arguments)
    assert done.returncode == 1 and "--checkpoint: is for a training (give --distill)" in done.stderr


def test_what_cannot_be_met_says_what_was_reached(tmp_path: Path, digits_pictures: Path) -> None:
    calibration = digits_pictures / "calibration"
    done = dcgen("compile", "digits", "--calibration", calibration, "-o", tmp_path / "out", "--max-bytes", "500")
    assert done.returncode == 1
    assert "max_bytes: 500 cannot be met" in done.stderr and "was reached with" in done.stderr
    bad = dcgen("compile", "digits", "--calibration", calibration, "-o", tmp_path / "out", "--max-bytes", "much")
    assert "--max-bytes: expected an amount such as 380K" in bad.stderr
    point = tmp_path / "no.npz"
    point.write_bytes(b"nothing")
    bad = dcgen("compile", "digits", "--calibration", calibration, "-o", tmp_path / "out", "--point", point)
    assert bad.returncode == 1 and "is no point of a frontier" in bad.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (("--flash", "29K"), "bytes of flash, --flash allows 29,696"),
        (("--max-instructions", "100K"), "instructions, --max-instructions allows 100,000"),
    ],
)
def test_a_budget_that_is_too_small_fails_with_a_table(budget, message, tmp_path, digits_pictures) -> None:
    out = tmp_path / "out"
    arguments = ("compile", "digits", "--calibration", digits_pictures / "calibration", "-o", out)
    done = dcgen(*arguments, "--target", "cortex-m7", "--recipe", "deep-compression", *budget)
    assert done.returncode == 1 and not out.exists() and done.stdout == ""
    assert message in " ".join(done.stderr.split()) and "conv6" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flash_that_not_even_an_empty_network_fits_is_refused_before_the_search(
    tmp_path, digits_pictures
) -> None:
    arguments = ("compile", "digits", "--calibration", digits_pictures / "calibration", "-o", tmp_path / "out")
    done = dcgen(*arguments, "--target", "cortex-m7", "--flash", "9K")
    assert done.returncode == 1 and "quantizing" not in done.stderr and not (tmp_path / "out").exists()
    assert "bytes of flash without any weight, --flash allows 9,216" in " ".join(done.stderr.split())


def test_budgets_that_are_met_and_what_is_expected_of_the_firmware(compiled) -> None:
    quick = "--recipe", "deep-compression", "--target", "cortex-m7"
    found = compiled(*quick, "--flash", "100K", "--max-instructions", "50M")["predicted"]
    assert found["instructions"] == found["init_instructions"] + sum(found["node_instructions"].values())
    assert 10_000 < found["flash_bytes"] <= 100_000
