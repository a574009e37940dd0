"""Networks in spellings that users have go through every stage, and C computes what the golden model does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from dcgen.compress.fold import canonical
from dcgen.errors import UnsupportedError
from dcgen.importers import load
from dcgen.importers.onnx_import import import_onnx
from dcgen.ir.graph import Graph
from dcgen.ir.runner import FloatRunner
from dcgen.pictures import explicit
from dcgen.quant.execute import execute
from dcgen.quant.lower import lower
from dcgen.quant.qgraph import QConv, QGraph
from dcgen.quant.ranges import calibrate
from dcgen.quant.scales import with_copies
from tests.firmware.build import Program
from tests.quant.test_lower import shared as with_levels

PRE = {
    3: explicit("rgb", (127.5,) * 3, (64.0,) * 3, "squash", None, 16),
    4: explicit("as-is", (127.5,) * 4, (64.0,) * 4, "squash", None, 16),
}
CASES = ("act_hardswish", "act_leakyrelu", "squeeze_excite", "globalmax", "dilated")
CASES += ("sigmoid_head", "max", "four_channels", "two_heads")
ERROR = 0.04
"""Root mean square of the error of the scores, relative to their own spread, where all weights keep 255 levels and
this is more than one step of the scores."""


def compiled(graph: Graph, pictures: np.ndarray) -> tuple[QGraph, np.ndarray]:
    """The integer network of ``graph``, and the float network's scores of uint8 ``pictures`` [N, H, W, C]."""
    preprocess = PRE[graph.inputs[0].shape[0]]
    reference = FloatRunner(graph).run(preprocess.normalise(pictures))
    ready = with_copies(with_levels(canonical(graph, preprocess)))
    names = [n.name for n in ready.nodes]
    centred = preprocess.centred(pictures)
    ranges = calibrate(lambda: FloatRunner(ready, names).batches(centred), "minmax")
    return lower(ready, ranges, preprocess.camera_mean), reference


def goes_through_every_stage(graph: Graph, folder: Path) -> QGraph:
    """Assert that scores follow the float network's and that C equals the golden model; the integer network."""
    c, h, w = graph.inputs[0].shape
    pictures = np.random.default_rng(0).integers(0, 256, (8, h, w, c), np.uint8)
    found, reference = compiled(graph, pictures)
    expected: dict[str, np.ndarray] = {}
    scores = execute(found, pictures, expected)
    start = 0
    for size, scale in zip(map(prod, found.score_shapes.values()), found.score_scales, strict=True):
        wanted, given = (x[:, start : start + size] for x in (reference, scores * found.scales))
        error = np.sqrt(np.mean((given - wanted) ** 2))
        assert error <= max(ERROR * wanted.std(), scale), (error, wanted.std())
        start += size
    assert start == reference.shape[1]
    tensors, run = Program(folder, found).trace(pictures)
    np.testing.assert_array_equal(run, scores)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_user_s_network(case: str, shared: Path, tmp_path: Path) -> None:
    goes_through_every_stage(load(shared / "cases" / f"{case}.onnx").graph, tmp_path)


# ---- Networks as PyTorch exports them


class Writer:
    """An ONNX model node by node, each reading the one before unless it names others."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "x"

    def constant(self, values: object, kind: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs or [self.last], [f"t{len(self.nodes)}"], **attributes))
        self.nodes[-1].name = f"{kind.lower()}{len(self.nodes)}"
        self.last = self.nodes[-1].output[0]
        return self.last

    def conv(self, source: str, inputs: int, outputs: int, kernel: int, **attributes: object) -> str:
        groups = int(attributes.get("group", 1))  # type: ignore[call-overload]
        fan = inputs // groups * kernel * kernel
        weight = self.rng.normal(size=(outputs, inputs // groups, kernel, kernel)) * np.sqrt(2 / fan)
        bias = self.rng.normal(size=outputs) / 4
        return self.add("Conv", source, self.constant(weight), self.constant(bias), **attributes)

    def model(
        self, opset: int = 18, shape: tuple[int, ...] = (3, 16, 16), outputs: Sequence[str] = ()
    ) -> onnx.ModelProto:
        """The model; its outputs are the last tensor where none are named."""
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])
        ys = [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs or (self.last,)]
        graph = helper.make_graph(self.nodes, "net", [x], ys, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def silu(w: Writer) -> None:
    x = w.last
    w.add("Mul", x, w.add("Sigmoid", x))


def hard_swish(w: Writer) -> None:
    x = w.last
    w.add("Clip", w.add("Add", x, w.constant(3.0)), w.constant(0.0), w.constant(6.0))
    w.add("Div", w.add("Mul", x, w.last), w.constant(6.0))


def gelu(w: Writer) -> None:
    x = w.last
    w.add("Erf", w.add("Div", x, w.constant(np.sqrt(2))))
    w.add("Mul", w.add("Mul", x, w.add("Add", w.last, w.constant(1.0))), w.constant(0.5))


def gelu_tanh(w: Writer) -> None:
    x = w.last
    w.add("Mul", w.add("Pow", x, w.constant(3.0)), w.constant(0.044715))
    w.add("Tanh", w.add("Mul", w.add("Add", x, w.last), w.constant(np.sqrt(2 / np.pi))))
    w.add("Mul", w.add("Mul", w.constant(0.5), x), w.add("Add", w.constant(1.0), w.last))


def mish(w: Writer) -> None:
    x = w.last
    w.add("Mul", x, w.add("Tanh", w.add("Softplus", x)))


def prelu(w: Writer) -> None:
    w.add("PRelu", w.last, w.constant(np.linspace(-0.5, 0.9, 12).reshape(12, 1, 1)))


def one_slope(w: Writer) -> None:
    w.add("PRelu", w.last, w.constant([0.25]))


def maxout(w: Writer) -> None:
    x = w.last
    w.add("Max", w.conv(x, 12, 12, 1), w.conv(x, 12, 12, 1))


def plain(kind: str) -> Callable[[Writer], object]:
    return lambda w: w.add(kind)


ACTIVATIONS = {
    "silu": (silu, 1),
    "hard swish": (hard_swish, 1),
    "gelu": (gelu, 1),
    "gelu tanh": (gelu_tanh, 1),
    "mish": (mish, 1),
    "one slope": (one_slope, 1),
    "prelu": (prelu, 0),
    "maxout": (maxout, 0),
    **{
        kind: (plain(kind), 1)
        for kind in ("Elu", "Selu", "Softplus", "Softsign", "Tanh", "HardSwish", "Abs", "Exp")
    },
}
"""What writes an activation, and how many tables the integer network has for it."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation(name: str, tmp_path: Path) -> None:
    activation, tables = ACTIVATIONS[name]
    w = Writer()
    w.conv("x", 3, 12, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    activation(w)
    w.conv(w.last, 12, 12, 3, group=12, pads=[2, 2, 2, 2], dilations=[2, 2])
    w.add("GlobalMaxPool")
    w.conv(w.last, 12, 5, 1)
    model = w.model()
    graph = import_onnx(model, "net").graph
    x = w.rng.normal(size=(2, 3, 16, 16)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"x": x})[0].reshape(2, -1)
    np.testing.assert_allclose(FloatRunner(graph).run(x), expected, rtol=1e-4, atol=1e-5)
    found = goes_through_every_stage(graph, tmp_path)
    assert [type(n.op).__name__ for n in found.nodes].count("QTable") == tables


@pytest.mark.parametrize("reshaped", [False, True])
def test_squeeze_and_excite(reshaped: bool, tmp_path: Path) -> None:
    """With convolutions on the averages, or with matrices on the flattened ones."""
    w = Writer()
    x = w.conv("x", 3, 12, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    w.add("GlobalAveragePool", x)
    if reshaped:
        w.add("Flatten", w.last)
        w.add("MatMul", w.last, w.constant(w.rng.normal(size=(12, 4)) / 2))
        w.add("Relu")
        w.add("MatMul", w.last, w.constant(w.rng.normal(size=(4, 12))))
        w.add("Reshape", w.last, w.constant([-1, 12, 1, 1], np.int64))
    else:
        w.conv(w.last, 12, 4, 1)
        w.add("Relu")
        w.conv(w.last, 4, 12, 1)
    gate = w.add("HardSigmoid")
    w.add("Mul", gate, x)
    w.add("GlobalAveragePool")
    w.conv(w.last, 12, 5, 1)
    found = goes_through_every_stage(import_onnx(w.model(), "net").graph, tmp_path)
    assert [type(n.op).__name__ for n in found.nodes].count("QMul") == 1


def test_convolutions_along_one_axis(tmp_path: Path) -> None:
    """Signals are planes of one row."""
    w = Writer()

    def conv(inputs: int, outputs: int, kernel: int, **attributes: object) -> None:
        weight = w.rng.normal(size=(outputs, inputs // int(attributes.get("group", 1)), kernel))
        w.add("Conv", w.last, w.constant(weight / np.sqrt(weight[0].size)), **attributes)

    conv(3, 12, 5, strides=[2], pads=[2, 2])
    w.add("BatchNormalization", w.last, *(w.constant(w.rng.uniform(0.5, 1.5, 12)) for _ in range(4)))
    w.add("Relu")
    w.add("MaxPool", kernel_shape=[3], strides=[2], pads=[1, 1])
    conv(12, 12, 3, group=12, pads=[2, 2], dilations=[2])
    w.add("AveragePool", kernel_shape=[2], strides=[2])
    conv(12, 8, 1)
    w.add("HardSwish")
    w.add("GlobalAveragePool")
    conv(8, 5, 1)
    graph = import_onnx(w.model(shape=(3, 50)), "net").graph
    assert graph.inputs[0].shape == (3, 1, 50)
    goes_through_every_stage(graph, tmp_path)


def test_a_decoder(tmp_path: Path) -> None:
    """Transposed convolutions and shuffled pixels, with batch normalisation and rectifiers, and a shortcut."""
    w = Writer()
    first = w.conv("x", 3, 8, 3, pads=[1, 1, 1, 1])
    w.conv(first, 8, 12, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    weight = w.constant(w.rng.normal(size=(12, 8, 4, 4)) / 7)
    w.add("ConvTranspose", w.last, weight, strides=[2, 2], pads=[1, 1, 1, 1])
    w.add("BatchNormalization", w.last, *(w.constant(w.rng.uniform(0.5, 1.5, 8)) for _ in range(4)))
    w.add("Relu")
    w.add("Concat", w.last, first, axis=1)
    w.conv(w.last, 16, 16, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    w.add("DepthToSpace", blocksize=2)
    w.add("HardSwish")
    w.conv(w.last, 4, 2, 3, pads=[1, 1, 1, 1])
    w.add("ConvTranspose", w.last, w.constant(w.rng.normal(size=(2, 1, 3, 3))), strides=[2, 2], pads=[0, 1, 2, 1])
    found = goes_through_every_stage(import_onnx(w.model(), "net").graph, tmp_path)
    kinds = [type(n.op).__name__ for n in found.nodes]
    assert kinds.count("QUpsample") == 3 and "QAdd" not in kinds, "a rectifier is part of the convolution"
    assert kinds.index("QTable") < len(kinds) - 1 - kinds[::-1].index("QUpsample")


def test_planes_are_enlarged(tmp_path: Path) -> None:
    """By repeated pixels, and between pixels, with the nearest one beyond the edge."""
    w = Writer()
    first = w.conv("x", 3, 8, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    w.conv(first, 8, 6, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    scales = w.constant([1.0, 1.0, 2.0, 2.0])
    w.add("Resize", w.last, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric")
    w.add("Concat", w.last, first, axis=1)
    w.conv(w.last, 14, 4, 3, pads=[1, 1, 1, 1])
    w.add("Resize", w.last, "", scales, mode="linear")
    found = goes_through_every_stage(import_onnx(w.model(), "net").graph, tmp_path)
    assert [type(n.op).__name__ for n in found.nodes].count("QUpsample") == 2


def shuffled(w: Writer, groups: int) -> str:
    """A shuffle of 12 channels on planes of 8x8."""
    w.add("Reshape", w.last, w.constant([0, groups, 12 // groups, 8, 8], np.int64))
    w.add("Transpose", perm=[0, 2, 1, 3, 4])
    return w.add("Reshape", w.last, w.constant([0, 12, 8, 8], np.int64))


def test_a_split_a_shuffle_and_a_crop(tmp_path: Path) -> None:
    """Units of ShuffleNet v2 and of ShuffleNet, and the middle of the planes; copies are exact."""
    w = Writer()
    w.conv("x", 3, 12, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    w.add("Relu")
    for _ in range(2):
        w.add("Split", w.last, w.constant([6, 6], np.int64), axis=1)
        left, right = w.last, f"{w.last}.right"
        w.nodes[-1].output.append(right)
        w.add("Concat", left, w.conv(right, 6, 6, 3, pads=[1, 1, 1, 1]), axis=1)
        shuffled(w, 2)
    w.conv(w.last, 12, 12, 1, group=3)
    w.conv(shuffled(w, 3), 12, 12, 1, group=3)
    cut = [w.constant(numbers, np.int64) for numbers in ([1, 2], [-2, 8], [2, 3], [1, 2])]
    w.add("Slice", w.last, *cut)
    w.add("GlobalAveragePool", w.add("Gather", w.last, w.constant([7, 2, 2, 11], np.int64), axis=1))
    model = w.model()
    graph = import_onnx(model, "net").graph
    x = w.rng.normal(size=(2, 3, 16, 16)).astype(np.float32)
    expected = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0].reshape(2, -1)
    np.testing.assert_allclose(FloatRunner(graph).run(x), expected, rtol=1e-4, atol=1e-5)
    found = goes_through_every_stage(graph, tmp_path)
    copies = [n for n in found.nodes if isinstance(n.op, QConv) and n.op.nonzeros == len(n.op.bias)]
    assert len(copies) == 6  # the left half of two units, what groups read twice, the crop, the gathered channels
    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    tensors: dict[str, np.ndarray] = {}
    execute(found, pictures, tensors)
    crop = copies[-2]
    np.testing.assert_array_equal(tensors[crop.name], tensors[crop.inputs[0]][:, :, 1:6, 2::2])


def test_channels_that_suppress_each_other(tmp_path: Path) -> None:
    """Local response normalization as AlexNet and GoogLeNet have it, and a stronger one."""
    w = Writer()
    w.conv("x", 3, 12, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    w.add("Relu")
    w.add("LRN", size=5, alpha=1e-4, beta=0.75, bias=1.0)
    w.add("MaxPool", w.last, kernel_shape=[2, 2], strides=[2, 2])
    w.conv(w.last, 12, 8, 3, pads=[1, 1, 1, 1])
    w.add("LRN", size=4, alpha=0.5, beta=1.0, bias=2.0)
    w.conv(w.last, 8, 5, 1)
    w.add("GlobalAveragePool")
    found = goes_through_every_stage(import_onnx(w.model(), "net").graph, tmp_path)
    kinds = [type(n.op).__name__ for n in found.nodes]
    assert kinds.count("QMul") == 2 and kinds.count("QTable") == 4


def test_a_normalization_that_may_divide_by_zero_is_refused() -> None:
    w = Writer()
    w.add("LRN", size=3, bias=0.0)
    with pytest.raises(UnsupportedError, match=r"lrn1 \(LRN\): a size of 1 or more, .* found .* bias 0"):
        import_onnx(w.model(), "net")
