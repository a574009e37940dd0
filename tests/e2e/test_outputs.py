"""A network of several outputs: each is compiled, stated, measured and verified under its own name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.runner import FloatRunner
from dcgen.metric import mean_kl
from dcgen.output import open_output
from dcgen.quant.execute import execute
from dcgen.quant.qgraph import QConv, QScores
from tests.e2e.test_operators import Writer, goes_through_every_stage
from tests.process import QUICK, dcgen, dcgen_json

QUICKEST = ("--mean", "127.5,127.5,127.5", "--std", "64,64,64", "--order", "rgb", *QUICK)


def detector() -> onnx.ModelProto:
    """Planes of boxes, planes of features that the network reads on, sums over planes and probabilities."""
    w = Writer()
    w.conv("x", 3, 12, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    features = w.add("Relu")
    boxes = w.conv(features, 12, 4, 1)
    w.conv(features, 12, 12, 3, group=12, pads=[1, 1, 1, 1])
    sums = w.add("GlobalAveragePool")
    w.add("Gemm", w.add("Flatten"), w.constant(w.rng.normal(size=(12, 5))), w.constant(w.rng.normal(size=5)))
    return w.model(outputs=(boxes, features, sums, w.add("Softmax")))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outputs") / "detector.onnx"
    found = detector()
    for output, name in zip(found.graph.output, ("boxes", "features", "sums", "classes"), strict=True):
        for node in found.graph.node:
            for names in (node.input, node.output):
                names[:] = [name if n == output.name else n for n in names]
        output.name = name
    onnx.save(found, path)
    return path


@pytest.fixture(scope="module")
def samples(model: Path) -> Path:
    path = model.parent / "samples.npz"
    np.savez(path, x=np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8))
    return path


@pytest.fixture(scope="module")
def out(model: Path, samples: Path) -> Path:
    done = dcgen("compile", model, "--calibration", samples, *QUICKEST, "-o", model.parent / "out")
    assert done.returncode == 0, done.stderr
    assert "softmax of the scores that classes makes" in done.stdout
    return model.parent / "out"


def facts(out: Path) -> dict[str, Any]:
    return dict(open_output(out).manifest)


def test_c_computes_all_outputs(tmp_path: Path) -> None:
    model = detector()
    graph = import_onnx(model, "net").graph
    x = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype(np.float32)
    *expected, probabilities = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    found = FloatRunner(graph).run(x)
    np.testing.assert_allclose(
        found[:, :-5], np.concatenate([e.reshape(2, -1) for e in expected], 1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(np.exp(found[:, -5:]).T / np.exp(found[:, -5:]).sum(1), probabilities.T, rtol=1e-4)
    integers = goes_through_every_stage(graph, tmp_path)
    made = [type(n.op) for n in integers.score_nodes]
    assert made == [QConv, QScores, QScores, QConv]
    assert list(integers.score_shapes.values()) == [(4, 8, 8), (12, 8, 8), (12, 1, 1), (5, 1, 1)]


def test_each_output_is_stated(out: Path) -> None:
    stated = [(o["name"], o["shape"], o["kind"], o["head"], o["first_score"]) for o in facts(out)["outputs"]]
    assert stated == [
        ("boxes", [4, 8, 8], "values", "none", 0),
        ("features", [12, 8, 8], "values", "none", 256),
        ("sums", [12], "classes", "none", 1024),
        ("classes", [5], "classes", "softmax", 1036),
    ]
    (header,) = (out / "firmware" / "model").glob("dcg_net.h")
    macros = dict(re.findall(r"#define DCG_NET_(OUTPUT\w*|SCORES) (\S+)", header.read_text()))
    assert (macros["SCORES"], macros["OUTPUTS"]) == ("1041u", "4u")
    assert [macros[f"OUTPUT_{k}_NAME"] for k in range(4)] == ['"boxes"', '"features"', '"sums"', '"classes"']
    assert [macros[f"OUTPUT_{k}_FIRST"] for k in range(4)] == ["0u", "256u", "1024u", "1036u"]
    assert [macros[f"OUTPUT_1_{side}"] for side in ("CHANNELS", "HEIGHT", "WIDTH")] == ["12u", "8u", "8u"]
    scales = [float(macros[f"OUTPUT_{k}_SCALE"].rstrip("f")) for k in range(4)]
    assert scales == pytest.approx(open_output(out).qgraph.score_scales) and len(set(scales)) == 4
    assert [o["scales"][0] for o in facts(out)["outputs"]] == pytest.approx(scales)


def test_each_output_is_measured_in_its_own_units(out: Path, samples: Path) -> None:
    held_out = facts(out)["held_out"]["outputs"]
    seen = dcgen_json("eval", out, "--images", samples)["outputs"]
    assert [o["name"] for o in seen] == [o["name"] for o in held_out] == ["boxes", "features", "sums", "classes"]
    assert all(o["relative_error"] > 0 for o in seen)
    found = open_output(out)
    pictures = np.load(samples)["x"]
    scores = execute(found.qgraph, pictures) * found.qgraph.scales
    reference = FloatRunner(found.float_graph()).run(found.preprocess.normalise(pictures))
    errors = np.sqrt(((scores - reference) ** 2).mean(0)) / reference.std(0)
    assert seen[0]["relative_error"] == pytest.approx(errors[:256].max(), rel=1e-3)
    assert seen[3]["relative_error"] == pytest.approx(errors[1036:].max(), rel=1e-3)


def test_classes_among_several_are_judged_by_their_scores(out: Path, samples: Path, tmp_path: Path) -> None:
    """With labels, where one output is classes."""
    labelled = tmp_path / "labelled.npz"
    pictures = np.load(samples)["x"]
    np.savez(labelled, x=pictures, y=np.arange(24) % 5)
    found = dcgen_json("eval", out, "--images", labelled, "--outputs", "values,values,values,classes")
    assert "agreement" not in found and [o["kind"] for o in found["outputs"]] == ["values"] * 3 + ["classes"]
    compiled = open_output(out)
    scores = execute(compiled.qgraph, pictures)[:, 1036:]
    reference = FloatRunner(compiled.float_graph()).run(compiled.preprocess.normalise(pictures))[:, 1036:]
    classes, scale = found["outputs"][3], compiled.qgraph.score_scales[3]
    assert classes["agreement"] == (scores.argmax(1) == reference.argmax(1)).mean()
    assert classes["mean_kl"] == pytest.approx(mean_kl(reference, scores * scale), rel=1e-3)
    assert classes["float"]["top1"] == (reference.argmax(1) == np.arange(24) % 5).mean()
    both = dcgen_json("eval", out, "--images", labelled)["outputs"]  # of two, labels tell nothing
    assert [("agreement" in o, "float" in o) for o in both] == [(False, False)] * 2 + [(True, False)] * 2


def test_goals_of_each_kind(model: Path, samples: Path, tmp_path: Path) -> None:
    """The default limits errors of values, and losses and changes of classes; a divergence is of the latter."""
    arguments = ("--calibration", samples, *QUICKEST[:6], "--outputs", "values,values,values,classes")
    found = dcgen_json("compile", model, *arguments, "-o", tmp_path / "default")
    limits = ["relative_error", "loss of classes", "changes of classes"]
    assert [part["name"] for part in found["goal"]["limits"]] == limits
    found = dcgen_json("compile", model, *arguments, "--max-kl", "0.02", "-o", tmp_path / "divergence")
    assert found["goal"]["reached"] == pytest.approx(found["held_out"]["outputs"][3]["mean_kl"], rel=1e-3)
    assert found["goal"]["reached"] <= 0.02


def test_a_goal_holds_for_every_output(model: Path, samples: Path, tmp_path: Path) -> None:
    arguments = ("--calibration", samples, *QUICKEST[:6], "--max-error", "0.2", "-o", tmp_path / "out")
    found = dcgen_json("compile", model, *arguments, "--outputs", "values")
    errors = [o["relative_error"] for o in found["held_out"]["outputs"]]
    assert found["goal"]["reached"] == pytest.approx(max(errors)) and max(errors) <= 0.2


def test_all_outputs_are_verified(out: Path) -> None:
    (check,) = dcgen_json("verify", out, "--on", "host")["checks"]
    assert check["mismatches"] == 0 and check["bytes_compared"] > 4 * 1041
    source = out / "firmware" / "model" / "dcg_net_plan.c"
    text = source.read_text()
    source.write_text(text.replace("outputs[4] = {0, 256, 1024, 1036}", "outputs[4] = {0, 256, 1024, 1035}"))
    try:
        failed = dcgen("verify", out, "--on", "host")
    finally:
        source.write_text(text)
    assert failed.returncode == 1 and "first difference at sums.scores, channel 11" in failed.stdout


def test_what_takes_one_output_says_so(model: Path, samples: Path, out: Path, tmp_path: Path) -> None:
    arguments = ("compile", model, "--calibration", samples, *QUICKEST, "-o", tmp_path / "out")
    for more, said in (
        (("--target", "ulx3s-85f"), "net: has 4 outputs, the engine sends one (microcontrollers have several)"),
        (("--outputs", "classes,values"), "says what 2 outputs are, the network has 4: boxes, features, sums,"),
        (("--outputs", "labels"), "--outputs: is made of the words classes and values, found 'labels'"),
    ):
        done = dcgen(*arguments, *more)
        assert not (tmp_path / "out").exists()
        assert done.returncode == 1 and said in " ".join(done.stderr.split()), done.stderr
    done = dcgen("eval", out, "--images", samples, "--outputs", "classes,values")
    assert done.returncode == 1 and "says what 2 outputs are" in done.stderr
