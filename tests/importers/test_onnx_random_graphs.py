"""Random ONNX models in the spellings of many opsets are imported as what onnxruntime says they compute."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.evaluate import evaluate

OPSETS = (7, 8, 9, 10, 11, 12, 13, 15, 17, 18, 20, 22)


class Writer:
    """Appends ONNX nodes to a chain; ``last`` is its end, of NCHW or NCL shape ``shape`` without N."""

    def __init__(self, draw: st.DrawFn, opset: int, shape: tuple[int, ...]) -> None:
        self.draw, self.opset, self.shape, self.last = draw, opset, shape, "picture"
        self.rank = 1 + len(shape)
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self.seen: list[tuple[str, tuple[int, ...]]] = [(self.last, shape)]

    def floats(self, *size: int) -> np.ndarray:
        return self.rng.normal(size=size).astype(np.float32)

    def constant(self, array: Any) -> str:
        """A constant as an initialiser, a Constant node, or computed from one."""
        array = np.asarray(array)
        name = f"c{len(self.nodes)}_{len(self.initialisers)}"
        match self.draw(st.sampled_from(["initialiser", "initialiser", "node", "computed"])):
            case "initialiser":
                self.initialisers.append(numpy_helper.from_array(array, name))
            case "node":
                value = numpy_helper.from_array(array)
                self.nodes.append(helper.make_node("Constant", [], [name], value=value))
            case "computed":
                self.initialisers.append(numpy_helper.from_array(array, name + "_raw"))
                self.nodes.append(helper.make_node("Identity", [name + "_raw"], [name]))
        return name

    def push(self, kind: str, constants: Sequence[str] = (), first: str | None = None, **attributes: Any) -> None:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [first or self.last, *constants], [name], **attributes))
        self.last = name

    def measure(self, batch: int) -> None:
        """Read the shape of ``last`` off onnxruntime."""
        x = np.zeros((batch, *self.seen[0][1]), np.float32)
        self.shape = run(self.model("N"), x).shape[1:]
        self.seen.append((self.last, self.shape))

    def model(self, batch: int | str) -> onnx.ModelProto:
        picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [batch, *self.seen[0][1]])
        out = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, [None] * self.rank)
        graph = helper.make_graph(self.nodes, "random", [picture], [out], self.initialisers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options).run(None, {"picture": x})[0]


def window(w: Writer, pool: bool) -> dict[str, Any]:
    """Kernel, strides and padding in some spelling."""
    draw = w.draw
    kernel = [draw(st.integers(1, min(3, n))) for n in w.shape[1:]]
    found: dict[str, Any] = {"kernel_shape": kernel, "strides": [draw(st.integers(1, 2)) for _ in kernel]}
    match draw(st.sampled_from(["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"])):
        case "pads":
            most = [k - 1 if pool else 2 for k in kernel]
            found["pads"] = [draw(st.integers(0, m)) for m in most + most]
            if pool and w.opset >= 10:
                found["ceil_mode"] = draw(st.integers(0, 1))
        case "none":
            pass
        case auto:
            found["auto_pad"] = auto
    return found


def layer(w: Writer, kind: str) -> None:
    draw, channels, plane = w.draw, w.shape[0], (1,) * len(w.shape[1:])
    match kind:
        case "Conv":
            attributes = window(w, pool=False)
            groups = draw(st.sampled_from([g for g in (1, channels) if channels % g == 0]))
            out = groups * draw(st.integers(1, 2))
            kernel = attributes["kernel_shape"]
            if "auto_pad" not in attributes and draw(st.booleans()):
                attributes["dilations"] = [draw(st.integers(1, 2)) for _ in kernel]
            if draw(st.booleans()):
                del attributes["kernel_shape"]
            weights = [w.constant(w.floats(out, channels // groups, *kernel))]
            weights += [w.constant(w.floats(out))] if draw(st.booleans()) else []
            w.push("Conv", weights, group=groups, **attributes)
        case "ConvTranspose":
            stride = [draw(st.integers(1, 2)) for _ in plane]
            weights = [w.constant(w.floats(channels, draw(st.integers(1, 3)), *(s + 1 for s in stride)))]
            w.push(kind, weights, strides=stride, pads=[0] * len(plane) + [draw(st.integers(0, 1)) for _ in plane])
        case "Resize" if w.opset < 11:
            w.push("Identity")
        case "Resize":
            scales = w.constant(np.array([1, 1, *(draw(st.integers(1, 2)) for _ in plane)], np.float32))
            mode = draw(st.sampled_from(["nearest", "linear"]))
            places = draw(st.sampled_from(["asymmetric", "half_pixel"]))
            w.push(
                kind,
                [w.constant(np.zeros(0, np.float32)), scales],
                mode=mode,
                coordinate_transformation_mode=places,
            )
        case "BatchNormalization":
            parameters = [w.constant(w.floats(channels)) for _ in range(3)]
            w.push(kind, [*parameters, w.constant(w.floats(channels) ** 2 + 0.5)], epsilon=1e-3)
        case "Clip" if w.opset < 11:
            w.push("Clip", min=0.0, max=6.0)
        case "Clip":
            bounds = draw(st.sampled_from([(-1.0, 1.0), (0.0, 6.0)]))
            w.push("Clip", [w.constant(np.float32(b)) for b in bounds])
        case "MaxPool":
            w.push(kind, **window(w, pool=True))
        case "AveragePool":
            w.push(kind, **window(w, pool=True), count_include_pad=draw(st.integers(0, 1)))
        case "Pad":
            begin, end = ([draw(st.integers(0, 2)) for _ in plane] for _ in range(2))
            pads = [0, 0, *begin, 0, 0, *end]
            if w.opset < 11:
                w.push("Pad", pads=pads, value=0.5)
            else:
                w.push("Pad", [w.constant(np.array(pads, np.int64)), w.constant(np.float32(-0.5))])
        case "Add" | "Sub" | "Mul" | "Div":
            size = draw(st.sampled_from([(), (1,), (channels, *plane), (1, channels, *plane)]))
            c = w.constant(np.abs(w.floats(*size)) + np.float32(0.5))
            if kind != "Div" and draw(st.booleans()):
                w.push(kind, [w.last], first=c)
            else:
                w.push(kind, [c])
        case "ReduceMean":
            axes = draw(st.lists(st.integers(1, w.rank - 1), unique=True, min_size=1))
            if w.opset < 18:
                w.push(kind, axes=axes)
            else:
                w.push(kind, [w.constant(np.array(axes, np.int64))])
        case "LRN":
            size, alpha, beta = (
                draw(st.integers(1, 4)),
                draw(st.sampled_from([1e-4, 0.5])),
                draw(st.sampled_from([0.75, 1.0])),
            )
            w.push(kind, size=size, alpha=alpha, beta=beta, bias=draw(st.sampled_from([1.0, 2.0])))
        case "PRelu":
            w.push(kind, [w.constant(w.floats(*draw(st.sampled_from([(1,), (channels, *plane)]))))])
        case "pair":
            other = draw(st.sampled_from([name for name, shape in w.seen if shape == w.shape]))
            w.push(draw(st.sampled_from(["Sub", "Mul", "Max", "Min"])), [other])
        case "gate":
            planes = w.last
            w.push("GlobalMaxPool")
            w.push("Sigmoid")
            w.push("Mul", [w.last], first=planes)
        case "join":
            other, shape = draw(st.sampled_from([s for s in w.seen if s[1][1:] == w.shape[1:]]))
            if shape == w.shape and draw(st.booleans()):
                w.push(draw(st.sampled_from(["Add", "Sum"])), [other])
            else:
                w.push("Concat", [other], axis=draw(st.sampled_from([1, 1 - w.rank])))
        case _:
            w.push(kind)


def tail(w: Writer, batch: int | str) -> None:
    """Perhaps a global mean, a flattening in some spelling, a matrix product, a softmax."""
    draw = w.draw
    mean = draw(st.sampled_from(["none", "GlobalAveragePool", "ReduceMean"]))
    planes = w.rank == 4
    axes = draw(st.sampled_from([[2, 3], [-2, -1], [3, 2]] if planes else [[2], [-1]]))
    if mean == "GlobalAveragePool":
        w.push(mean)
    elif mean == "ReduceMean" and w.opset < 18:
        w.push(mean, axes=axes, keepdims=1)
    elif mean == "ReduceMean":
        w.push(mean, [w.constant(np.array(axes, np.int64))])
    size = w.shape[0] if mean != "none" else int(np.prod(w.shape))
    spelling = draw(st.sampled_from(["none", "Flatten", "Reshape", "Squeeze", "view"]))
    if spelling == "none":
        return
    w.rank = 2
    match spelling:
        case "Squeeze" if mean != "none" and w.opset < 13:
            w.push("Squeeze", axes=[2, 3] if planes else [2])
        case "Squeeze" if mean != "none":
            w.push("Squeeze", [w.constant(np.array([2, 3] if planes else [2], np.int64))])
        case "Reshape":
            first = draw(st.sampled_from([(0, -1), (-1, size), (0, size)]))
            w.push("Reshape", [w.constant(np.array(first, np.int64))])
        case "view":  # the batch read off the tensor, as PyTorch exports x.view(x.size(0), -1)
            flat = w.last
            w.push("Shape")
            w.push("Gather", [w.constant(np.array([0], np.int64))], axis=0)
            w.push("Concat", [w.constant(np.array([-1], np.int64))], axis=0)
            w.push("Reshape", [w.last], first=flat)
        case _:
            w.push("Flatten")
    if draw(st.booleans()):
        outputs = draw(st.integers(1, 4))
        matrix = w.floats(size, outputs)
        match draw(st.sampled_from(["Gemm", "Gemm transposed", "MatMul"])):
            case "Gemm":
                w.push("Gemm", [w.constant(matrix), w.constant(w.floats(outputs))], alpha=0.5, beta=2.0)
            case "Gemm transposed":
                w.push("Gemm", [w.constant(matrix.T.copy()), w.constant(w.floats(1, outputs))], transB=1)
            case _:
                w.push("MatMul", [w.constant(matrix)])
                w.push("Add", [w.constant(w.floats(outputs))])
    if draw(st.booleans()):
        w.push(draw(st.sampled_from(["Softmax", "LogSoftmax"])), axis=draw(st.sampled_from([1, -1])))


@st.composite
def models(draw: st.DrawFn) -> tuple[onnx.ModelProto, np.ndarray]:
    """A model and a batch of pictures for it."""
    rank = draw(st.sampled_from([3, 4, 4]))
    shape = (draw(st.integers(1, 3)), *(draw(st.integers(1, 8)) for _ in range(rank - 2)))
    w = Writer(draw, draw(st.sampled_from(OPSETS)), shape)
    kinds = ["Conv", "BatchNormalization", "Relu", "Clip", "MaxPool", "AveragePool", "Pad", "Add", "Sub"]
    kinds += [
        "Mul",
        "Div",
        "join",
        "Identity",
        "Dropout",
        "PRelu",
        "LRN",
        "pair",
        "gate",
        "ReduceMean",
        "ConvTranspose",
        "Resize",
    ]
    kinds += ["Abs", "Elu", "LeakyRelu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh"]
    for _ in range(draw(st.integers(1, 6))):
        layer(w, draw(st.sampled_from(kinds)))
        try:
            w.measure(2)
        except Exception:  # a shape that onnxruntime refuses, as a SAME pool with strides past the end
            assume(False)
    batch = draw(st.sampled_from(["N", 1, 2]))
    tail(w, batch)
    count = batch if isinstance(batch, int) else 2
    return w.model(batch), w.rng.normal(size=(count, *shape)).astype(np.float32)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(models())
def test_the_imported_graph_computes_what_onnxruntime_does(case: tuple[onnx.ModelProto, np.ndarray]) -> None:
    model, x = case
    try:
        expected = run(model, x).reshape(len(x), -1)
    except ort.capi.onnxruntime_pybind11_state.Fail:  # its shape inference contradicts its own ceil_mode
        assume(False)
    imported = import_onnx(model, "random")
    (picture,) = imported.graph.inputs
    outputs = evaluate(imported.graph, {"picture": x.reshape(-1, *picture.shape)})
    found = outputs[imported.graph.outputs[0]].reshape(len(x), -1)
    if imported.head == "sigmoid":
        found = 1 / (1 + np.exp(-found))
    elif imported.head != "none":
        found = found - found.max(1, keepdims=True)
        found -= np.log(np.exp(found).sum(1, keepdims=True))
        found = np.exp(found) if imported.head == "softmax" else found
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * (1 + abs(expected).max()))
