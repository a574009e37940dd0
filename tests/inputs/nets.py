"""Small ONNX networks whose inputs are no colour pictures, and files of inputs for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int],
    constants: Mapping[str, Any],
    element: int = TensorProto.FLOAT,
) -> Path:
    """Write a network from input x of a batch of ``shape`` to output y, which a Gemm with weights w2 makes."""
    made = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", element, ["N", *shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", len(constants["w2"])])
    graph = helper.make_graph(nodes, path.stem, [x], [y], made)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


def weights(seed: int, *shape: int) -> np.ndarray:
    """Random weights of unit gain, float32 of this shape [O, ...]."""
    return (RNG(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def vector_net(path: Path, features: int = 40, classes: int = 4) -> Path:
    """Two fully connected layers on a vector."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], transB=1),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], transB=1),
    ]
    constants = {"w1": weights(1, 24, features), "b1": weights(2, 24, 1)[:, 0]}
    constants |= {"w2": 3 * weights(3, classes, 24), "b2": weights(4, classes, 1)[:, 0]}
    return save(path, nodes, [features], constants)


def planes_net(
    path: Path,
    shape: Sequence[int],
    front: Sequence[onnx.NodeProto] = (),
    element: int = TensorProto.FLOAT,
    **more: Any,
) -> Path:
    """A padded convolution and a fully connected layer on planes (C, H, W).

    front : nodes that make the convolution's input d of the network's input x; none where it is x itself
    """
    nodes = [
        *front,
        helper.make_node("Conv", ["d" if front else "x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w2"], ["y"], transB=1),
    ]
    flat = 8 * (shape[1] // 2) * (shape[2] // 2)
    constants = {"w1": weights(1, 8, shape[0], 3, 3), "w2": 3 * weights(2, 5, flat), **more}
    return save(path, nodes, shape, constants, element)


def features_net(path: Path, scale: float = 0.25, zero_point: int = 20) -> Path:
    """``planes_net`` on int8 features 1 x 12 x 10."""
    front = [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["d"])]
    constants = {"s": np.float32(scale), "z": np.int8(zero_point)}
    return planes_net(path, (1, 12, 10), front, TensorProto.INT8, **constants)


def vectors(path: Path, n: int = 60, seed: int = 0, features: int = 40) -> Path:
    """float32 [n, features] around 1, with labels."""
    x = (1 + 3 * RNG(1000 + seed).standard_normal((n, features))).astype(np.float32)  # not the weights' numbers
    np.savez(path, x=x, y=RNG(seed).integers(0, 4, n))
    return path


def features(path: Path, n: int = 60, seed: int = 0) -> Path:
    """int8 [n, 1, 12, 10], with labels."""
    np.savez(path, x=RNG(seed).integers(-128, 128, (n, 1, 12, 10)).astype(np.int8), y=RNG(seed).integers(0, 5, n))
    return path


def four_channels(path: Path, n: int = 60, seed: int = 0) -> Path:
    """Pictures of four channels, uint8 [n, 12, 10, 4]."""
    np.savez(path, x=RNG(seed).integers(0, 256, (n, 12, 10, 4)).astype(np.uint8))
    return path
