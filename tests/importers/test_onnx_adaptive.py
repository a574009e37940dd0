"""Adaptive pools are PyTorch's, in its programs and in the ONNX files that it writes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.onnx_import import import_onnx
from dcgen.importers.torch_import import import_program
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Graph
from tests.e2e.test_operators import Writer, goes_through_every_stage

torch = pytest.importorskip("torch")
nn = torch.nn


def written(kind: str, shape: tuple[int, ...], **attributes: object) -> ModelProto:
    """A model of one operator of dcgen's domain on an input (2, *shape)."""
    node = helper.make_node(kind, ["x"], ["y"], name="pool", domain="dcgen", **attributes)
    dims = (2, *shape), (2, shape[0], *[None] * (len(shape) - 1))
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip("xy", dims, strict=True)]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def outputs(graph: Graph, x: np.ndarray) -> np.ndarray:
    (given_,) = graph.inputs
    return evaluate(graph, {given_.name: x.reshape(len(x), *given_.shape)})[graph.outputs[0]]


SIZE = st.integers(1, 12)


@given(st.tuples(SIZE, SIZE), st.tuples(SIZE, SIZE), st.booleans())
@settings(max_examples=30, deadline=None)
def test_any_size_of_any_planes(size: tuple[int, int], made: tuple[int, int], maximum: bool) -> None:
    kind = "AdaptiveMaxPool" if maximum else "AdaptiveAveragePool"
    graph = import_onnx(written(kind, (2, *size), output_size=made), "net").graph
    x = torch.randn(2, 2, *size)
    pool = nn.functional.adaptive_max_pool2d if maximum else nn.functional.adaptive_avg_pool2d
    np.testing.assert_allclose(outputs(graph, x.numpy()), pool(x, made).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "made", "kinds"),
    [
        ((6, 8), (3, 2), ["AvgPool"]),
        ((7, 7), (3, 3), ["AvgPool"]),  # bins of three pixels, which overlap
        ((7, 7), (1, 1), ["GlobalAvgPool"]),
        ((2, 3), (4, 3), ["Upsample"]),
        ((8, 8), (3, 4), ["Pad", "Conv", "Upsample", "AvgPool"]),
    ],
)
def test_what_a_pool_becomes(size: tuple[int, int], made: tuple[int, int], kinds: list[str]) -> None:
    graph = import_onnx(written("AdaptiveAveragePool", (2, *size), output_size=made), "net").graph
    assert [type(n.op).__name__ for n in graph.nodes] == kinds


POOLS = (nn.AdaptiveAvgPool2d((3, 5)), nn.AdaptiveAvgPool2d((6, 6)), nn.AdaptiveMaxPool2d((3, 5)))
POOLS += (nn.AdaptiveAvgPool2d((None, 3)), nn.AdaptiveAvgPool1d(5), nn.AdaptiveMaxPool1d(3))


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_a_program(pool: nn.Module) -> None:
    """As dcgen reads it; averages also from the file that torch.onnx makes of it, which has no maxima."""
    conv, shape = (nn.Conv1d, (8,)) if "1d" in str(pool) else (nn.Conv2d, (8, 7))
    network = nn.Sequential(conv(3, 4, 1), pool, conv(4, 2, 1)).eval()
    x = torch.randn(2, 3, *shape)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        theirs = network(x).numpy()
        program = torch.export.export(network, (x[:1],))
        graphs = [import_program(program, "net").graph]
        if "Avg" in str(pool):
            exported = torch.onnx.export(program, dynamo=True, verbose=False).model_proto
            graphs.append(import_onnx(exported, "net").graph)
            assert [n.op for n in graphs[0].nodes if "conv" not in n.name and n.op.selects] == [
                n.op for n in graphs[1].nodes if "conv" not in n.name and n.op.selects
            ]
    for graph in graphs:
        np.testing.assert_allclose(outputs(graph, x.numpy()).reshape(theirs.shape), theirs, rtol=1e-4, atol=1e-5)


def test_every_stage(tmp_path: Path) -> None:
    w = Writer()
    w.conv("x", 3, 8, 3, pads=[1, 1, 1, 1], strides=[2, 2])
    features = w.add("Relu")
    w.add("AdaptiveAveragePool", features, output_size=[3, 5], domain="dcgen")
    averages = w.conv(w.last, 8, 6, 1)
    w.add("AdaptiveMaxPool", features, output_size=[3, 5], domain="dcgen")
    w.add("Concat", averages, w.conv(w.last, 8, 6, 1), axis=1)
    w.conv(w.last, 12, 4, 3)
    model = w.model()  # of an operator that ONNX does not know no shape follows
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(w.last, TensorProto.FLOAT, ["N", 4, 1, 3]))
    goes_through_every_stage(import_onnx(model, "net").graph, tmp_path)


def test_other_sizes_are_refused() -> None:
    for size in ([3], [3, 0], [3, 3, 3]):
        with pytest.raises(ModelError, match=r"pool \(AdaptiveMaxPool\): has an output_size for each axis"):
            import_onnx(written("AdaptiveMaxPool", (2, 8, 8), output_size=size), "net")
    with pytest.raises(UnsupportedError, match="at most 64 different bins are supported, found 67"):
        import_onnx(written("AdaptiveMaxPool", (1, 1, 131), output_size=[1, 67]), "net")


Operator = tuple[str, tuple[str, ...], dict[str, object]]


def gathering(*behind: Operator) -> ModelProto:
    """Two pixels of the input (1, 2, 3, 4) for each channel, and operators behind them."""
    w = Writer()
    w.constants.append(numpy_helper.from_array(np.array([2]), "axes"))
    w.add("Transpose", "x", perm=[2, 3, 0, 1])
    w.add("GatherND", w.last, w.constant([[0, 1], [2, 3]], np.int64))
    for kind, inputs, attributes in behind:
        w.add(kind, w.last, *inputs, **attributes)
    model = w.model(shape=(2, 3, 4))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    return model


@pytest.mark.parametrize(
    "behind",
    [
        (),
        (("Transpose", (), {"perm": [1, 2, 0]}),),
        (("Transpose", (), {"perm": [1, 2, 0]}), ("Unsqueeze", ("axes",), {})),
        (("Relu", (), {}),),
    ],
)
def test_other_gathered_pixels_are_refused(
    behind: tuple[tuple[str, tuple[str, ...], dict[str, object]], ...],
) -> None:
    with pytest.raises(UnsupportedError, match="gathered pixels are supported as torch"):
        import_onnx(gathering(*behind), "net")
