"""onnxruntime's static 8-bit quantizer, calibrated on the same samples as dcgen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

BATCH = 50
"""Samples in one call of the network during calibration."""


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands samples float32 [N, ...] to the quantizer as the input called ``name``."""

    def __init__(self, name: str, samples: NDArray[np.float32]) -> None:
        self._batches: Iterator[dict[str, Any]] = (
            {name: samples[start : start + BATCH]} for start in range(0, len(samples), BATCH)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def quantize(model: Path, samples: NDArray[np.float32], out: Path) -> int:
    """Write ``model`` with int8 weights, one scale an output channel, and uint8 activations to ``out`` (QDQ).

    samples : the network's input, float32 [N, ...]

    Returns the bytes of what the network is made of: weights, biases, scales and zero points.
    """
    folded = out.with_suffix(".folded.onnx")
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it warns that models should be prepared, prepared or not
    try:
        quant_pre_process(model, folded, skip_symbolic_shape=True)
        (tensor,) = onnx.load(folded).graph.input
        quantize_static(
            folded,
            out,
            _Reader(tensor.name, samples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        logging.root.setLevel(level)
    return sum(onnx.numpy_helper.to_array(t).nbytes for t in onnx.load(out).graph.initializer)
