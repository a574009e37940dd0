"""The command line's contract: files in OUT, stable JSON keys, equal bytes on every machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from dcgen.models.catalogue import find
from dcgen.targets import TARGETS
from dcgen.targets.engines import ENGINES
from tests.conftest import Once
from tests.process import QUICK, dcgen, dcgen_json

CHECKS = [t.check_name for t in TARGETS]


def test_an_output_holds_what_later_commands_need(digits_out: Path) -> None:
    names = {f.name for f in digits_out.iterdir()}
    assert {"manifest.json", "model.dcb", "firmware", "golden", "README.md"} <= names


def test_manifest_accounts_for_every_byte(digits_out: Path) -> None:
    manifest = json.loads((digits_out / "manifest.json").read_text())
    assert manifest["blob_bytes"] == (digits_out / "model.dcb").stat().st_size
    assert 0 < manifest["nonzeros"] <= manifest["parameters"]
    assert 0 < manifest["nonzero_macs"] <= manifest["macs"]


def test_a_ram_budget_is_kept(tmp_path: Path, digits_pictures: Path) -> None:
    chosen = ("--recipe", "deep-compression", "--target", "cortex-m7", "--ram", "12K")
    out = tmp_path / "out"
    manifest = dcgen_json(
        "compile", "digits", "--calibration", digits_pictures / "calibration", *chosen, "-o", out
    )
    assert manifest["streamed"] and manifest["ram_limit"] == 12 * 1024
    assert sum(s["strips"] for s in manifest["segments"]) > len(manifest["segments"]) > 0
    (check,) = dcgen_json("verify", out, "--on", "qemu-cortex-m7")["checks"]
    assert check["passed"] and check["ram_bytes"] + check["stack_bytes"] <= 12 * 1024
    assert 0 < check["longest_row_instructions"] < check["instructions"]


def test_decoding_tables_are_as_large_as_asked_for(tmp_path: Path, digits_pictures: Path) -> None:
    calibration, arenas = digits_pictures / "calibration", []
    for bits in (5, 12):
        out = tmp_path / str(bits)
        chosen = (*QUICK, "--table-bits", bits)
        manifest = dcgen_json("compile", "digits", "--calibration", calibration, *chosen, "-o", out)
        assert manifest["table_bits"] == bits
        arenas.append(manifest["arena_bytes"])
        (check,) = dcgen_json("verify", out, "--on", "host")["checks"]
        assert check["passed"]
    assert arenas[1] - arenas[0] > 2 * 4 * 4096 - 4096, "two tables of 4096 words, and two small ones"


def test_compile_prints_the_manifest(tmp_path: Path, digits_pictures: Path) -> None:
    calibration = digits_pictures / "calibration"
    printed = dcgen_json("compile", "digits", *QUICK, "--calibration", calibration, "-o", tmp_path / "out")
    assert printed == json.loads((tmp_path / "out" / "manifest.json").read_text())


@pytest.fixture(scope="session")
def checks(once: Once, digits_out: Path, digits_pictures: Path) -> dict[str, dict[str, Any]]:
    """For each machine, what ``dcgen verify`` found on two digits that served neither training nor calibration."""

    def verify(file: Path) -> None:
        found = dcgen_json("verify", digits_out, "--images", digits_pictures / "test", "--count", 2)
        file.write_text(json.dumps(found))

    found = json.loads(once("digits-checks.json", verify).read_text())
    return {check["target"]: check for check in found["checks"]}


def test_every_machine_is_checked_by_default(checks: dict[str, dict[str, Any]]) -> None:
    assert list(checks) == CHECKS


@pytest.mark.parametrize("target", CHECKS)
def test_firmware_equals_the_golden_model(target: str, checks: dict[str, dict[str, Any]]) -> None:
    check = checks[target]
    assert check["mismatches"] == 0
    # There are 14 convolutions and 2 pools; the output of conv1 alone is 16 planes of 16x16 bytes a picture.
    assert check["layers"] >= 16
    assert check["bytes_compared"] >= 2 * 16 * 16 * 16


@pytest.mark.parametrize("target", [c for c in CHECKS if c != "host"])
def test_an_emulated_machine_is_measured(target: str, checks: dict[str, dict[str, Any]]) -> None:
    check = checks[target]
    assert check["instructions"] > 100_000
    assert 10_000 < check["flash_bytes"] < 200_000
    assert 256 < check["ram_bytes"] < 200_000
    assert 0 < check["stack_bytes"] < 8192


def test_verify_takes_the_golden_pictures_by_default(digits_out: Path) -> None:
    found = dcgen_json("verify", digits_out, "--on", "host")
    assert [(c["target"], c["mismatches"]) for c in found["checks"]] == [("host", 0)]


def test_firmware_with_other_weights_is_a_mismatch(
    tmp_path: Path, digits_out: Path, digits_pictures: Path
) -> None:
    with np.load(str(find("digits").checkpoint_path)) as file:
        params = {name: array * (-1 if name == "features.3.squeeze.weight" else 1) for name, array in file.items()}
    np.savez(tmp_path / "other.npz", **params)
    calibration = digits_pictures / "calibration"
    arguments = ("digits", "--weights", tmp_path / "other.npz", "--calibration", calibration)
    dcgen_json("compile", *arguments, "-o", tmp_path / "other")
    swapped = tmp_path / "swapped"
    shutil.copytree(digits_out, swapped)
    (blob,) = (swapped / "firmware").rglob("*.dcb")
    blob.write_bytes((tmp_path / "other" / "model.dcb").read_bytes())
    done = dcgen("verify", swapped, "--on", "host", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["checks"][0]["mismatches"] > 0


@pytest.mark.parametrize("on", ["golden", "host"])
def test_eval_compares_with_the_float_model(on: str, digits_out: Path, digits_pictures: Path) -> None:
    test = digits_pictures / "test"
    found = dcgen_json("eval", digits_out, "--images", test, "--labels", test / "labels.txt", "--on", on)
    assert found["n"] == 500
    assert found["float"]["top1"] >= 0.97
    assert found["compressed"]["top1"] >= 0.95
    assert found["compressed"]["top5"] >= found["compressed"]["top1"]
    assert 0.95 <= found["agreement"] <= 1
    assert 0 <= found["mean_kl"] < 0.1
    for name in ("agreement", "mean_kl"):
        low, high = found[f"{name}_interval"]
        assert low < found[name] < high
    change = found["top1_change"]
    assert change["value"] == pytest.approx((change["gained"] - change["lost"]) / 500)
    assert change["interval"][0] <= change["value"] <= change["interval"][1] and 0 <= change["mcnemar_p"] <= 1
    assert found["calibration_overlap"] == {"measured": 0, "held_out": 0}


def test_eval_warns_of_pictures_that_served_calibration(digits_out: Path, digits_pictures: Path) -> None:
    done = dcgen("eval", digits_out, "--images", digits_pictures / "calibration", "--json")
    manifest = json.loads((digits_out / "manifest.json").read_text())
    expected = {purpose: manifest["calibration"][purpose] for purpose in ("measured", "held_out")}
    assert done.returncode == 0 and json.loads(done.stdout)["calibration_overlap"] == expected
    assert f"calibration measured {expected['measured']} and held out" in done.stderr


def test_inspect_tells_outputs_blobs_and_models(tmp_path: Path, digits_out: Path) -> None:
    output = dcgen_json("inspect", digits_out)
    blob = dcgen_json("inspect", digits_out / "model.dcb")
    model = dcgen_json("inspect", "digits")
    assert [d["kind"] for d in (output, blob, model)] == ["output", "blob", "model"]
    assert model["macs"] == output["macs"]
    assert dcgen("inspect", digits_out).returncode == 0


def test_model_writes_onnx_that_compiles(tmp_path: Path, digits_pictures: Path) -> None:
    dcgen_json("model", "digits", "-o", tmp_path / "x.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "x.onnx"))
    out, calibration = tmp_path / "out", digits_pictures / "calibration"
    manifest = dcgen_json(
        "compile", tmp_path / "x.onnx", *QUICK, "--preprocess", "digits", "--calibration", calibration, "-o", out
    )
    named = dcgen_json("compile", "digits", *QUICK, "--calibration", calibration, "-o", tmp_path / "named")
    for key in ("parameters", "macs", "nonzeros", "blob_bytes"):
        assert manifest[key] == named[key]


def test_targets_and_models_are_listed() -> None:
    assert [t["verify"] for t in dcgen_json("targets")["targets"]] == [*CHECKS, *("rtl" for _ in ENGINES)]
    assert {"digits", "squeezenet1_0", "squeezenet1_1"} <= {m["name"] for m in dcgen_json("model")["models"]}


BLOCK_TORCH = "import sys; sys.modules['torch'] = None; sys.modules['onnxscript'] = None"


def test_no_torch_is_needed(tmp_path: Path, digits_out: Path, digits_pictures: Path) -> None:
    calibration = digits_pictures / "calibration"
    chosen = ("--calibration", calibration, "--max-kl", "0.04")
    done = dcgen("compile", "digits", *chosen, "-o", tmp_path / "out", before=BLOCK_TORCH)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.dcb").read_bytes() == (digits_out / "model.dcb").read_bytes()
    done = dcgen("verify", tmp_path / "out", "--on", "host", before=BLOCK_TORCH)
    assert done.returncode == 0, done.stderr
