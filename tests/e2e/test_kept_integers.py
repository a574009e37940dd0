"""``--recipe keep`` computes what the integers of a quantized file say, from the rounding of its input on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from dcgen.inputs.samples import open_samples
from dcgen.inputs.tensor import TensorInput
from dcgen.output import Output, open_output
from dcgen.quant.execute import execute
from tests.inputs.nets import planes_net
from tests.process import dcgen_json

SHAPE = 3, 12, 10
HUNDREDTHS = "--order", "rgb", "--mean", "128,128,128", "--std", "100,100,100"


class Wide(CalibrationDataReader):
    """Samples from -4.3 to 3.1, further apart than those that are compiled for: the file has its own scale."""

    def __init__(self) -> None:
        samples = np.random.default_rng(0).uniform(-4.3, 3.1, (8, 1, *SHAPE)).astype(np.float32)
        self.rows = iter([{"x": x} for x in samples])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.rows, None)


def quantized(folder: Path) -> Path:
    made = folder / "quantized.onnx"
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    before = planes_net(folder / "float.onnx", SHAPE)
    quantize_static(before, made, Wide(), quant_format=QuantFormat.QDQ, per_channel=True, **types)
    return made


def compiled(model: Path, samples: np.ndarray, folder: Path, *options: str) -> tuple[Output, np.ndarray]:
    """The output of ``--recipe keep``, and its scores on the samples that calibrate it."""
    file = folder / "samples.npz"
    np.savez(file, x=samples)
    dcgen_json("compile", model, "--calibration", file, "--recipe", "keep", *options, "-o", folder / "out")
    out = open_output(folder / "out")
    given = open_samples(file, lambda _: None).load(
        list(range(len(samples))), out.preprocess, out.size, lambda _: None
    )
    return out, execute(out.qgraph, given.data)


def assert_same(model: Path, planes: np.ndarray, out: Output, found: np.ndarray) -> None:
    """Multipliers have 16 bits, so that a score in some hundreds is a step off."""
    session = onnxruntime.InferenceSession(model.read_bytes())
    scores = np.rint(session.run(None, {"x": planes})[0] / out.qgraph.scales)
    assert len(np.unique(scores.argmax(1))) > 2, "no constant answer"
    assert np.mean(found.argmax(1) == scores.argmax(1)) >= 0.99
    assert np.abs(found - scores).max() <= 1 and np.mean(found == scores) >= 0.99


def test_real_values_are_rounded_as_the_file_rounds_them(tmp_path: Path) -> None:
    model = quantized(tmp_path)
    x = np.random.default_rng(1).uniform(-1, 1, (200, *SHAPE)).astype(np.float32)
    out, found = compiled(model, x, tmp_path)
    assert isinstance(out.preprocess, TensorInput) and out.preprocess.scale > 7 / 255, "wider than the samples"
    assert_same(model, x, out, found)


def test_pictures_are_rounded_by_a_convolution_of_their_own(tmp_path: Path) -> None:
    model = quantized(tmp_path)
    x = np.random.default_rng(2).integers(0, 256, (200, 12, 10, 3)).astype(np.uint8)
    out, found = compiled(model, x, tmp_path, *HUNDREDTHS)
    assert out.qgraph.nodes[0].name == "x.scaled"
    assert_same(model, ((x.astype(np.float32) - 128) / 100).transpose(0, 3, 1, 2), out, found)
