"""Quantized graphs are networks of real numbers that agree with what onnxruntime computes in integers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers import load
from dcgen.importers.model import ImportedModel
from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Add, Affine, Clip, Conv, Function

RNG = np.random.default_rng(5)
SHAPE = (3, 12, 10)


def node(kind: str, names: str, domain: str = "", **attributes: object) -> onnx.NodeProto:
    *inputs, output = names.split()
    named = ["" if i == "-" else i for i in inputs]
    return helper.make_node(kind, named, [output], name=f"the_{output}", domain=domain, **attributes)


def weights(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def model(
    nodes: list[onnx.NodeProto],
    element: int = TensorProto.FLOAT,
    output: int = TensorProto.FLOAT,
    **constants: Any,
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    x, y = (
        helper.make_tensor_value_info(n, e, s) for n, e, s in (("x", element, [1, *SHAPE]), ("y", output, None))
    )
    y.type.tensor_type.shape.SetInParent()  # a rank of 0 is inferred anew
    graph = helper.make_graph(nodes, "net", [x], [y], tensors)
    domains = {n.domain for n in nodes} - {""}
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(d, 1) for d in sorted(domains))]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def network() -> onnx.ModelProto:
    """A residual network with what quantizers have operators for."""
    nodes = [
        node("Conv", "x w1 b1 c1", pads=[1, 1, 1, 1]),
        node("Relu", "c1 r1"),
        node("Conv", "r1 w2 b2 c2", group=4, pads=[1, 1, 1, 1]),
        node("Clip", "c2 low high r2"),
        node("Conv", "r2 w3 b3 c3"),
        node("Add", "c3 r1 a"),
        node("MaxPool", "a p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", "p p2 k", axis=1),
        node("GlobalAveragePool", "k g"),
        node("Flatten", "g f"),
        node("Gemm", "f w4 b4 y", transB=1),
    ]
    nodes.insert(7, node("AveragePool", "r1 p2", kernel_shape=[2, 2], strides=[2, 2]))
    constants = {"w1": weights(4, 3, 3, 3), "w2": weights(4, 1, 3, 3), "w3": weights(4, 4, 1, 1)}
    constants |= {"w4": 3 * weights(6, 8), "low": np.float32(0), "high": np.float32(0.7)}
    constants |= {f"b{i}": weights(n, 1)[:, 0] for i, n in ((1, 4), (2, 4), (3, 4), (4, 6))}
    return model(nodes, **constants)


class Pictures(CalibrationDataReader):
    def __init__(self) -> None:
        self.rows = iter([{"x": RNG.standard_normal((1, *SHAPE)).astype(np.float32)} for _ in range(20)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rows, None)


def outputs(m: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(m.SerializeToString(), options)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0], np.float64)


def real_outputs(imported: ImportedModel, x: np.ndarray) -> np.ndarray:
    graph = imported.graph
    return evaluate(graph, {graph.inputs[0].name: x.reshape(-1, *graph.inputs[0].shape)})[graph.outputs[0]]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activation", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_what_onnxruntime_quantizes(
    tmp_path: Path, form: QuantFormat, activation: QuantType, per_channel: bool
) -> None:
    before, after = tmp_path / "float.onnx", tmp_path / "quantized.onnx"
    onnx.save(network(), before)
    settings = {"activation_type": activation, "weight_type": QuantType.QInt8, "per_channel": per_channel}
    quantize_static(before, after, Pictures(), quant_format=form, **settings)
    kinds = {n.op_type for n in onnx.load(after).graph.node}
    assert "QLinearConv" in kinds if form == QuantFormat.QOperator else "DequantizeLinear" in kinds
    imported = load(after)
    expected, found = (Counter(type(n.op) for n in m.graph.nodes) for m in (load(before), imported))
    more = found - expected
    assert not expected - found
    assert more.total() == more[Clip] <= 1, "averages that calibration has seen above zero only"
    scales = [numpy_helper.to_array(t) for t in onnx.load(after).graph.initializer if "scale" in t.name]
    convs = {n.name for n in imported.graph.nodes if isinstance(n.op, Conv)}
    assert len(imported.ranges) >= len(convs)
    for low, high in imported.ranges.values():
        assert low <= 0 <= high and any(np.isclose((high - low) / 255, s, rtol=1e-5).any() for s in scales)
    x = RNG.standard_normal((1, *SHAPE)).astype(np.float32)
    integers = outputs(onnx.load(after), x).ravel()
    real = real_outputs(imported, x).ravel()
    assert np.abs(real - integers).max() < 0.05 * np.ptp(integers)
    assert np.abs(real - outputs(onnx.load(before), x).ravel()).max() < 0.05 * np.ptp(integers)


def test_a_folded_relu_is_kept_and_a_measured_range_is_not() -> None:
    nodes = [
        node("QuantizeLinear", "x s z q"),
        node("DequantizeLinear", "q s z d"),
        node("Conv", "d w c"),
        node("QuantizeLinear", "c s low q1"),
        node("DequantizeLinear", "q1 s low d1"),
        node("MaxPool", "d1 m", kernel_shape=[2, 2]),
        node("QuantizeLinear", "m s low q2"),
        node("DequantizeLinear", "q2 s low d2"),
        node("Conv", "d2 v e"),
        node("QuantizeLinear", "e s z q3"),
        node("DequantizeLinear", "q3 s z d3"),
        node("Conv", "d3 v f"),
        node("QuantizeLinear", "f s low q4"),
        node("DequantizeLinear", "q4 s low y"),
    ]
    zero_points = {"z": np.int8(3), "low": np.int8(-128)}
    m = model(nodes, s=np.float32(0.5), w=weights(2, 3, 1, 1), v=weights(2, 2, 1, 1), **zero_points)
    ops = [n.op for n in import_onnx(m, "m.onnx").graph.nodes]
    assert [type(o).__name__ for o in ops] == ["Conv", "Clip", "MaxPool", "Conv", "Conv"]
    assert ops[1] == Clip(0.0, 127.5)


def test_integers_of_another_scale_are_rescaled() -> None:
    nodes = [node("QuantizeLinear", "x s z q"), node("DequantizeLinear", "q t u d"), node("Conv", "d w y")]
    parameters = {"s": np.float32(0.5), "z": np.int8(3), "t": np.float32(0.25), "u": np.int8(-1)}
    first, _ = import_onnx(model(nodes, w=weights(2, 3, 1, 1), **parameters), "m.onnx").graph.nodes
    assert isinstance(first.op, Affine)
    assert first.op.scale.tolist() == [0.5] * 3
    assert first.op.shift.tolist() == [1.0] * 3


@pytest.mark.parametrize("given", [np.int8, np.uint8])
def test_an_input_of_integers_before_operators_on_them(given: type) -> None:
    w = RNG.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8)
    limits = np.iinfo(given)
    zero, low = given(5), given(limits.min)
    constants = {"s": np.float32(0.02), "z": zero, "w": w, "ws": np.float32([0.01, 0.02, 0.005, 0.01])}
    constants |= {"wz": np.int8([0] * 4), "b": np.int32([900, -900, 0, 5]), "ys": np.float32(0.05), "yz": low}
    constants |= {
        "w2": RNG.integers(-128, 128, (4, 5)).astype(np.int8),
        "w2z": np.int8(2),
        "t": np.float32(0.5),
        "mid": given(limits.max // 2),
    }
    nodes = [
        node("MaxPool", "x m", kernel_shape=[2, 2], strides=[2, 2]),
        node("QLinearConv", "m s z w ws wz ys yz b c"),
        node("QLinearGlobalAveragePool", "c ys yz ys yz g", "com.microsoft"),
        node("Flatten", "g f"),
        node("QLinearMatMul", "f ys yz w2 s w2z t mid q"),
        node("DequantizeLinear", "q t mid y"),
    ]
    element = helper.np_dtype_to_tensor_dtype(np.dtype(given))
    m = model(nodes, element, **constants)
    imported = import_onnx(m, "m.onnx")
    own = imported.own_input
    assert own is not None and (own.given, own.zero_point) == (np.dtype(given).name, 5)
    x = RNG.integers(limits.min, limits.max + 1, (1, *SHAPE)).astype(given)
    expected = outputs(m, x).ravel()
    found = real_outputs(imported, own.normalise(own.bytes_of(x))).ravel()
    assert 1 < np.abs(expected).max() < 0.5 * 120, "nothing is cut off"
    assert np.abs(found - expected).max() < 1.5 * 0.5, "a step and a half"


def test_a_gemm_and_a_sum_of_onnxruntime_s_own() -> None:
    constants = {"s": np.float32(0.02), "z": np.uint8(128), "w": RNG.integers(0, 256, (6, 3)).astype(np.uint8)}
    constants |= {"ws": np.float32(0.01), "wz": np.uint8(120), "b": np.int32([100, -100, 0, 7, 8, 9])}
    constants |= {"one": RNG.integers(0, 256, (3, 1, 1)).astype(np.uint8)}
    nodes = [
        node("QuantizeLinear", "x s z q"),
        node("QLinearAdd", "q s z one ws wz s z a", "com.microsoft"),
        node("QLinearAdd", "a s z q s z s z c", "com.microsoft"),
        node("DequantizeLinear", "c s z d"),
        node("GlobalAveragePool", "d g"),
        node("Flatten", "g f"),
        node("QuantizeLinear", "f s z h"),
        node("QGemm", "h s z w ws wz b - - y", "com.microsoft", transB=1, alpha=1.0),
    ]
    m = model(nodes, **constants)
    x = RNG.uniform(-1, 1, (1, *SHAPE)).astype(np.float32)
    found = real_outputs(import_onnx(m, "m.onnx"), x).ravel()
    assert np.abs(found - outputs(m, x).ravel()).max() < 0.05


def test_weights_that_are_quantized_in_the_file() -> None:
    """PyTorch writes float weights with a QuantizeLinear and a DequantizeLinear behind them."""
    w = weights(4, 3, 3, 3)
    scales = np.float32([0.01, 0.02, 0.005, 0.01])
    nodes = [
        node("QuantizeLinear", "w s z q", axis=0),
        node("DequantizeLinear", "q s z d", axis=0),
        node("Conv", "x d y"),
    ]
    m = model(nodes, w=w, s=scales, z=np.int8([0] * 4))
    (only,) = import_onnx(m, "m.onnx").graph.nodes
    assert isinstance(only.op, Conv)
    factor = scales.reshape(-1, 1, 1, 1)
    assert np.allclose(only.op.weight.values, np.rint(w / factor).clip(-128, 127) * factor)


@pytest.mark.parametrize("domain", ["onnx.brevitas", "qonnx.custom_op.general"])
@pytest.mark.parametrize(
    ("attributes", "bits", "expected"),
    [
        ({"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}, 2, [-0.5, 0, 0, 0.5, 0.5]),
        ({"signed": 1, "narrow": 0, "rounding_mode": "FLOOR"}, 2, [-1, -0.5, 0, 0.5, 0.5]),
        ({"signed": 0, "narrow": 0, "rounding_mode": "CEIL"}, 3, [0, 0, 0.5, 1, 3.5]),
        ({"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}, 1, [-0.5, -0.5, 0.5, 0.5, 0.5]),
    ],
)
def test_weights_of_few_bits(domain: str, attributes: dict[str, Any], bits: int, expected: list[float]) -> None:
    w = np.float32([-0.8, -0.24, 0.2, 0.9, 4.0]).reshape(5, 1, 1, 1).repeat(3, 1)
    parameters = {"s": np.float32(0.5), "z": np.float32(0), "n": np.float32(bits)}
    m = model([node("Quant", "w s z n v", domain, **attributes), node("Conv", "x v y")], w=w, **parameters)
    (only,) = import_onnx(m, "m.onnx").graph.nodes
    assert isinstance(only.op, Conv)
    assert only.op.weight.values[:, 0, 0, 0].tolist() == pytest.approx(expected)


def test_bipolar_weights() -> None:
    w = np.float32([-3, 0, 2]).reshape(1, 3, 1, 1)
    m = model([node("BipolarQuant", "w s v", "onnx.brevitas"), node("Conv", "x v y")], w=w, s=np.float32(0.5))
    del m.opset_import[1:]  # Brevitas states none
    (only,) = import_onnx(m, "m.onnx").graph.nodes
    assert isinstance(only.op, Conv)
    assert only.op.weight.values.ravel().tolist() == [-0.5, 0.5, 0.5]


def test_activations_of_eight_bits_are_real() -> None:
    parameters = {"s": np.float32(0.5), "z": np.float32(0), "n": np.float32(8), "w": weights(2, 3, 1, 1)}
    quants = [
        node("Quant", f"{a} s z n {b}", "onnx.brevitas", signed=i) for i, a, b in ((1, "x", "q"), (0, "c", "d"))
    ]
    nodes = [quants[0], node("Conv", "q w c"), quants[1], node("GlobalAveragePool", "d y")]
    ops = [n.op for n in import_onnx(model(nodes, **parameters), "m.onnx").graph.nodes]
    assert [type(o).__name__ for o in ops] == ["Conv", "Clip", "GlobalAvgPool"]
    assert ops[1] == Clip(0.0, 127.5)


DEQUANTIZED = node("DequantizeLinear", "r s z y")
POOL = "QLinearAveragePool", "q s z s z r", "com.microsoft"


@pytest.mark.parametrize(
    ("attributes", "bits", "zero_point"),
    [
        ({"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}, 2, 0),
        ({"signed": 0, "narrow": 0, "rounding_mode": "FLOOR"}, 3, 2),
        ({"signed": 1, "narrow": 0, "rounding_mode": "CEIL"}, 4, 0),
        ({"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}, 1, 0),
        (None, 1, 0),
    ],
)
def test_activations_of_few_bits_are_functions(
    attributes: dict[str, Any] | None, bits: int, zero_point: int
) -> None:
    """They make the values that the same operator makes of constants."""
    x = np.concatenate([RNG.standard_normal(354) * 2, [0.25, -0.25, 0.75, 0, -0.0, 0.5]]).astype(np.float32)
    kind, names = ("BipolarQuant", "{} s q") if attributes is None else ("Quant", "{} s zero bits q")
    parameters = {"s": np.float32(0.5), "zero": np.float32(zero_point), "bits": np.float32(bits)}

    def quant(name: str) -> onnx.NodeProto:
        return node(kind, names.format(name), "onnx.brevitas", **(attributes or {}))

    (only,) = import_onnx(model([quant("x"), node("Identity", "q y")], **parameters), "m.onnx").graph.nodes
    assert isinstance(only.op, Function)
    nodes = [quant("w"), node("Conv", "x q y")]
    (conv,) = import_onnx(model(nodes, w=x.reshape(40, 3, 3, 1), **parameters), "m.onnx").graph.nodes
    assert isinstance(conv.op, Conv)
    assert np.array_equal(only.op.evaluate(x.astype(np.float64)), conv.op.weight.values.ravel())


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_1W2A", "TFC_2W2A"])
def test_published_networks_of_one_and_two_bits(shared: Path, name: str) -> None:
    """Accuracy on the first MNIST test digits is near what their authors state of all: 93, 95 and 97 %."""
    graph = load(shared / "data/published" / f"{name}.onnx").graph
    digits = np.load(shared / "data/mnist/mnist.npz")
    x = digits["x_test"][:500].reshape(-1, 1, 28, 28) / 255
    scores = evaluate(graph, {graph.inputs[0].name: x})[graph.outputs[0]].reshape(500, -1)
    assert (scores.argmax(1) == digits["y_test"][:500]).mean() > {
        "TFC_1W1A": 0.9,
        "TFC_1W2A": 0.92,
        "TFC_2W2A": 0.94,
    }[name]


NUMBERS = {"s": np.float32(0.5), "z": np.int8(0), "two": np.float32([0.5, 0.25, 1]), "zs": np.int8([0, 0, 0])}


@pytest.mark.parametrize(
    ("nodes", "constants", "kind", "problem"),
    [
        (
            [node("Quant", "w s zero bits q", "onnx.brevitas"), node("Conv", "x q y")],
            {"w": weights(2, 3, 1, 1), "zero": np.float32(0), "bits": np.float32(99)},
            ModelError,
            "its bit width is 1 to 32, found 99",
        ),
        (
            [node("QuantizeLinear", "x two zs q", axis=1), node("DequantizeLinear", "q two zs y", axis=1)],
            {},
            UnsupportedError,
            r"node the_q \(QuantizeLinear\): one scale for all channels of a computed tensor is supported",
        ),
        (
            [node("QuantizeLinear", "x nothing z q"), node("DequantizeLinear", "q s z y")],
            {"nothing": np.float32(0)},
            ModelError,
            "its scale is 0",
        ),
        (
            [node("QuantizeLinear", "x s z q"), node("Cast", "q y", to=1)],
            {},
            UnsupportedError,
            r"node the_y \(Cast\): reads integers, where supported is: Concat DequantizeLinear",
        ),
        (
            [
                node("QuantizeLinear", "x s z q"),
                node("QuantizeLinear", "x t z r"),
                node("Concat", "q r k", axis=1),
                node("DequantizeLinear", "k s z y"),
            ],
            {"t": np.float32(3)},
            UnsupportedError,
            r"node the_k \(Concat\): its inputs are integers of different scales",
        ),
        (
            [node("DequantizeLinear", "w two zs d", axis=1), node("Conv", "x d y")],
            {"w": np.ones((2, 4, 1, 1), np.int8)},
            UnsupportedError,
            r"node the_d \(DequantizeLinear\): one scale, or one for each of 4 channels is supported",
        ),
        (
            [node("QuantizeLinear", "x s z q"), node("QLinearConv", "q s z w s z s z b r"), DEQUANTIZED],
            {"w": np.ones((4, 3, 1, 1), np.int8), "b": np.zeros((2, 2), np.int32)},
            ModelError,
            r"node the_r \(QLinearConv\): a bias has as many elements as the weight has scales",
        ),
        (
            [node("QuantizeLinear", "x s z q"), node(*POOL, kernel_shape="no"), DEQUANTIZED],
            {},
            ModelError,
            r"node the_r \(QLinearAveragePool\): contradicts itself",
        ),
    ],
)
def test_other_forms_are_refused(
    nodes: list[onnx.NodeProto], constants: dict[str, Any], kind: type[ModelError], problem: str
) -> None:
    with pytest.raises(kind, match=problem) as error:
        import_onnx(model(nodes, **NUMBERS, **constants), "m.onnx")
    assert type(error.value) is kind


@pytest.mark.parametrize("name", ["ad01_autoencoder", "ic01_resnet8", "kws01_dscnn", "vww01_mobilenet"])
def test_published_networks(shared: Path, name: str) -> None:
    path = shared / "data/mlperf_tiny/onnx_qdq" / f"{name}.onnx"
    imported = load(path)
    session = onnxruntime.InferenceSession(path.read_bytes())
    graph = imported.graph
    folder, key = shared / "data/mlperf_tiny", name[:4]
    data = {"ic01": "ic01_200", "kws0": "kws01_300", "vww0": "vww01_250"}.get(key)
    if data is None:
        rows = np.clip(-25 + 12 * RNG.standard_normal((40, 640)), -84, 14).astype(np.float32)
    else:
        rows = np.load(folder / f"{data}.npz")["x"][:40].astype(np.float32) / (255 if key == "vww0" else 1)
    c, h, w = graph.inputs[0].shape
    planes = rows.reshape(-1, h, w, c).transpose(0, 3, 1, 2) if data else rows.reshape(-1, c, 1, 1)
    own = session.get_inputs()[0]
    last = own.shape[-1] == 3
    given = [(row.transpose(1, 2, 0) if last else row).reshape(own.shape) for row in planes]
    expected = np.array([session.run(None, {own.name: row})[0].ravel() for row in given])
    found = evaluate(graph, {graph.inputs[0].name: planes})[graph.outputs[0]].reshape(len(rows), -1)
    if data is None:
        error = np.sqrt(((found - expected) ** 2).mean(0)) / expected.std(0).clip(1e-6)
        assert np.median(error) < 0.15
    else:
        assert imported.head == "softmax"
        assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95


def test_a_published_quantized_classifier(shared: Path) -> None:
    path = shared / "cases/qdq.onnx"
    imported = load(path)
    assert Add not in {type(n.op) for n in imported.graph.nodes}
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    steps = RNG.integers(-128, 128, (1, 3, 20, 20))
    x = (tensors["x_scale"] * (steps - tensors["x_zero_point"])).astype(np.float32)  # what its input can hold
    expected = outputs(onnx.load(path), x).ravel()
    assert np.abs(real_outputs(imported, x).ravel() - expected).max() < 0.05 * np.ptp(expected)
