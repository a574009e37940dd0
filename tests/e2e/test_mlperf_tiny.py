"""MLPerf Tiny's networks of classes, in the formats that others have made of them; every test is slow and needs
the shared data. A third of the samples calibrate, the others report.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from dcgen.inputs.samples import open_samples
from dcgen.output import open_output
from dcgen.quant.execute import execute
from tests.process import dcgen_json

pytestmark = pytest.mark.slow

BYTES = ["--mean", "0,0,0", "--std", "1,1,1", "--order", "rgb"]
SHARES = ["--mean", "0,0,0", "--std", "255,255,255", "--order", "rgb"]
NETWORKS = {
    "ic01_resnet8": ("ic01_200", 77_706, BYTES),
    "kws01_dscnn": ("kws01_300", 22_604, []),
    "vww01_mobilenet": ("vww01_250", 210_850, SHARES),
}
"""Samples, parameters, and how samples become the network's input."""


def parts(data: Path, samples: str, folder: Path) -> tuple[Path, Path]:
    """Files of the samples that calibrate, and of those that report."""
    given = np.load(data / f"{samples}.npz")
    third = np.arange(len(given["x"])) % 3 == 0
    files = folder / "calibration.npz", folder / "others.npz"
    for file, part in zip(files, (third, ~third), strict=True):
        np.savez(file, x=given["x"][part], y=given["y"][part])
    return files


def compiled(data: Path, form: str, name: str, folder: Path, *more: str) -> tuple[Path, Path]:
    """The output folder of a network, and the file of the samples that report."""
    samples, _, preprocess = NETWORKS[name]
    calibration, others = parts(data, samples, folder)
    model = next(data.glob(form.format(name)))
    dcgen_json("compile", model, "--calibration", calibration, *preprocess, *more, "-o", folder / "out")
    return folder / "out", others


@pytest.mark.parametrize("form", ["tflite/{}_float.tflite", "tflite/{}_int8.tflite", "onnx_qdq/{}.onnx"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_default_keeps_accuracy_within_its_size(shared: Path, tmp_path: Path, name: str, form: str) -> None:
    out, others = compiled(shared / "data/mlperf_tiny", form, name, tmp_path)
    assert (out / "model.dcb").stat().st_size <= 0.65 * NETWORKS[name][1] + 1000
    found = dcgen_json("eval", out, "--images", others)
    assert found["compressed"]["top1"] >= found["float"]["top1"] - 0.02 - 1e-9 and found["agreement"] >= 0.93
    (check,) = dcgen_json("verify", out, "--on", "host", "--count", "1")["checks"]
    assert check["mismatches"] == 0 < check["bytes_compared"]


def kept(data: Path, form: str, name: str, folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The samples that report as the network's input, channels last, and their scores of ``--recipe keep``'s
    output."""
    made, others = compiled(data, form, name, folder, "--recipe", "keep")
    out, rows = open_output(made), np.load(others)["x"].astype(np.float32)
    given = open_samples(others, lambda *_: None).load(
        list(range(len(rows))), out.preprocess, out.size, lambda *_: None
    )
    return rows / (255 if name.startswith("vww") else 1), execute(out.qgraph, given.data)


@pytest.mark.parametrize("name", NETWORKS)
def test_kept_integers_answer_as_the_interpreter_does(shared: Path, tmp_path: Path, name: str) -> None:
    """With XNNPACK's kernels, its own choice, which round products once. Its reference kernels round twice, and
    agree with these on 97 % of the pictures of ResNet-8. Where two classes tie, either is right: the interpreter's
    outputs are 8-bit probabilities, dcgen's are not rounded."""
    data, form = shared / "data/mlperf_tiny", "tflite/{}_int8.tflite"
    rows, scores = kept(data, form, name, tmp_path)
    interpreter = Interpreter(str(next(data.glob(form.format(name)))))
    interpreter.allocate_tensors()
    (source,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = source["quantization"]
    same = []
    for row, ours in zip(rows, scores, strict=True):
        integers = np.clip(np.rint(row / scale + zero_point), -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], integers.reshape(source["shape"]))
        interpreter.invoke()
        theirs = interpreter.get_tensor(made["index"]).ravel()
        same.append(theirs[ours.argmax()] == theirs.max())
    assert np.mean(same) >= 0.99


@pytest.mark.parametrize(("name", "least"), [("ic01_resnet8", 1), ("kws01_dscnn", 1), ("vww01_mobilenet", 0.985)])
def test_kept_integers_answer_as_onnxruntime_does(shared: Path, tmp_path: Path, name: str, least: float) -> None:
    data, form = shared / "data/mlperf_tiny", "onnx_qdq/{}.onnx"
    rows, scores = kept(data, form, name, tmp_path)
    session = onnxruntime.InferenceSession((data / form.format(name)).read_bytes())
    (source,) = session.get_inputs()
    if name.startswith("vww"):  # of the three, the file whose channels are not last
        rows = rows.transpose(0, 3, 1, 2)
    same = []
    for row, ours in zip(rows, scores, strict=True):
        theirs = session.run(None, {source.name: row.reshape(source.shape)})[0].ravel()
        same.append(theirs[ours.argmax()] == theirs.max())
    assert np.mean(same) >= least
