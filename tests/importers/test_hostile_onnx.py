"""ONNX files that claim more than they hold end in one line, with little memory and in little time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dcgen.errors import DcgenError, ModelError, UnsupportedError
from dcgen.importers.onnx_import import import_onnx, load_onnx
from dcgen.importers.onnx_wire import count_fields
from dcgen.limits import LIMITS, Budget
from tests.process import ROOT

OPSET = 13
PICTURE = [1, 1, 16, 16]
MORE_MEGABYTES = 500
"""Memory that a hostile file may take beyond what dcgen takes without one."""
SECONDS = 5
"""Of processor time: tests run beside others."""


def model(
    nodes: list[onnx.NodeProto], dims: list[int] = PICTURE, opset: int = OPSET, **constants: np.ndarray
) -> onnx.ModelProto:
    """A model from picture ``x`` to output ``y``."""
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in (("x", dims), ("y", PICTURE))]
    tensors = [numpy_helper.from_array(a, n) for n, a in constants.items()]
    graph = helper.make_graph(nodes, "net", values[:1], values[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), output.split(), name=f"the_{output}", **attributes)


SINK = node("Shape", "c", "shape_of_c"), node("Reshape", "x shape_of_c", "y")
"""Nodes that make the output depend on a constant ``c`` of any shape."""
SCALAR = np.zeros((), np.float32)
ROW, COLUMN = np.zeros((1, 40_000), np.float32), np.zeros((40_000, 1), np.float32)


def sparse() -> onnx.ModelProto:
    m = model([node("Add", "x w", "y")])
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    m.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 20, 1 << 20]))
    return m


def sparse_constant() -> onnx.ModelProto:
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    value = helper.make_sparse_tensor(values, indices, [1 << 20, 1 << 20])
    return model([node("Constant", "", "c", sparse_value=value), *SINK])


def broadcast(kind: str) -> onnx.ModelProto:
    return model([node(kind, "a b", "c"), *SINK], a=ROW, b=COLUMN)


def expand() -> onnx.ModelProto:
    return model([node("Expand", "a s", "c"), *SINK], a=SCALAR, s=np.array([1 << 20, 1 << 20]))


def chain_of_expands() -> onnx.ModelProto:
    nodes = [node("Expand", "a s", f"c{i}") for i in range(50)]
    nodes += [node("Add", f"{f's{i}' if i else 'c0'} c{i}", f"s{i + 1}") for i in range(50)]
    return model([*nodes, node("Identity", "s50", "c"), *SINK], a=SCALAR, s=np.array([1, 1, 1 << 11, 1 << 11]))


def constant_of_shape() -> onnx.ModelProto:
    return model([node("ConstantOfShape", "s", "c"), *SINK], s=np.array([1 << 40]))


def gather() -> onnx.ModelProto:
    nodes = [node("Gather", "a i", "c"), *SINK]
    return model(nodes, a=np.zeros((1, 100_000), np.float32), i=np.zeros(100_000, np.int64))


def doubled() -> onnx.ModelProto:
    nodes = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(40)]
    return model([*nodes, node("Identity", "c40", "c"), *SINK], c0=np.zeros(1, np.float32))


def doubled_shape() -> onnx.ModelProto:
    nodes = [node("Concat", f"s{i} s{i}", f"s{i + 1}", axis=0) for i in range(40)]
    return model([*nodes, node("Reshape", "x s40", "y")], s0=np.ones(1, np.int64))


def doubled_channels() -> onnx.ModelProto:
    nodes = [node("Concat", f"x{i} x{i}", f"x{i + 1}", axis=1) for i in range(40)]
    return model([node("Relu", "x", "x0"), *nodes, node("Relu", "x40", "y")])


def function_bomb(width: int, depth: int) -> onnx.ModelProto:
    m = model([helper.make_node(f"F{depth}", ["x"], ["y"], domain="own")])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    for i in range(depth + 1):
        kind, domain = (f"F{i - 1}", "own") if i else ("Relu", "")
        names = ["a", *(f"t{k}" for k in range(width - 1)), "b"]
        body = [helper.make_node(kind, [p], [q], domain=domain) for p, q in pairwise(names)]
        m.functions.append(helper.make_function("own", f"F{i}", ["a"], ["b"], body, opsets))
    m.opset_import.append(helper.make_opsetid("own", 1))
    return m


def function_that_calls_itself() -> onnx.ModelProto:
    m = model([helper.make_node("F", ["x"], ["y"], domain="own")])
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    body = [helper.make_node("F", ["a"], ["b"], domain="own")]
    m.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, opsets))
    m.opset_import.append(helper.make_opsetid("own", 1))
    return m


def nested_graphs() -> onnx.ModelProto:
    condition = numpy_helper.from_array(np.array(True), "c")
    body = [node("Relu", "x", "y")]
    for _ in range(12):
        graph = helper.make_graph(body, "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        body = [node("If", "c", "y", then_branch=graph, else_branch=graph)] if len(body) < 3 else body
        if graph.ByteSize() > 1 << 20:
            break
    m = model(body)
    m.graph.initializer.append(condition)
    return m


def huge_input() -> onnx.ModelProto:
    return model([node("Add", "x c", "y")], [1, 1 << 40, 1, 1], c=SCALAR)


def huge_padding() -> onnx.ModelProto:
    pads = [20_000] * 4
    weight = np.zeros((1, 1, 32_000, 1), np.float32)
    return model([node("Conv", "x w", "y", pads=pads, strides=[32_000, 32_000])], w=weight)


def spread_many_times() -> onnx.ModelProto:
    nodes = [node("Add", f"{f's{i}' if i else 'x'} c", f"s{i + 1}") for i in range(200)]
    return model([*nodes, node("Relu", "s200", "y")], [1, 1 << 20, 1, 1], c=np.ones((), np.float32))


def shared_weight() -> onnx.ModelProto:
    nodes = [node("Conv", f"{f's{i}' if i else 'x'} w", f"s{i + 1}") for i in range(2_000)]
    return model([*nodes, node("Relu", "s2000", "y")], [1, 300, 4, 4], w=np.zeros((300, 300, 1, 1), np.float32))


def declared() -> onnx.ModelProto:
    m = model([node("Add", "x w", "y")], w=SCALAR)
    m.graph.initializer[0].dims.extend([1 << 31, 1 << 31])
    return m


def negative() -> onnx.ModelProto:
    m = model([node("Add", "x w", "y")], w=np.zeros(4, np.float32))
    m.graph.initializer[0].dims[0] = -1
    return m


def many_nodes() -> onnx.ModelProto:
    nodes = [node("Relu", f"{f's{i}' if i else 'x'}", f"s{i + 1}") for i in range(20_000)]
    return model([*nodes, node("Relu", "s20000", "y")])


def text_cast() -> onnx.ModelProto:
    nodes = [node("Cast", "c", "t", to=TensorProto.STRING), node("Cast", "t", "f", to=1), node("Add", "x f", "y")]
    return model(nodes, c=SCALAR)


def packed_dimensions() -> onnx.ModelProto:
    m = model([node("Add", "x w", "y")], w=SCALAR)
    m.graph.initializer[0].dims.extend([1] * 300_000)
    return m


def long_list(kind: str) -> onnx.ModelProto:
    return model([node(kind, "x n", "y")], opset=18, n=np.full(2_000_000, 1 if kind == "Reshape" else 2))


def sum_of_many() -> onnx.ModelProto:
    return model([node("Sum", " ".join("x" * 20_000), "y")])


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "sparse": (sparse, "sparse constant w would take"),
    "sparse constant": (sparse_constant, "sparse constant w would take"),
    "sum": (lambda: broadcast("Add"), r"node the_c \(Add\) would take"),
    "quotient": (lambda: broadcast("Div"), r"node the_c \(Div\) would take"),
    "expand": (expand, r"node the_c \(Expand\) would take"),
    "many expands": (chain_of_expands, r"node the_c\d+ \(Expand\) would take"),
    "fill": (constant_of_shape, r"node the_c \(ConstantOfShape\) would take"),
    "gather": (gather, r"node the_c \(Gather\) would take"),
    "doubled constant": (doubled, r"node the_c\d+ \(Concat\) would take"),
    "doubled shape": (doubled_shape, r"node the_s\d+ \(Concat\) would take"),
    "doubled channels": (doubled_channels, r"node the_x\d+ \(Concat\): a tensor has shape"),
    "functions": (lambda: function_bomb(2, 30), "nodes of .* bytes with those of its functions"),
    "wide functions": (lambda: function_bomb(300, 3), "nodes of .* bytes with those of its functions"),
    "deep functions": (lambda: function_bomb(1, 3_000), "call each other more than 64 deep"),
    "recursion": (function_that_calls_itself, "call each other more than 64 deep"),
    "nested graphs": (nested_graphs, r"node the_y \(If\): the operator is not supported"),
    "input": (huge_input, "input x: a tensor has shape"),
    "padding": (huge_padding, r"node the_y \(Conv\): a tensor has shape"),
    "spread": (spread_many_times, "would take|is one too many"),
    "shared weight": (shared_weight, "is one too many, expected at most"),
    "declared": (declared, "m.onnx"),
    "negative": (negative, "m.onnx"),
    "nodes": (many_nodes, "has 20,001 nodes"),
    "dimensions": (packed_dimensions, "has more than 250,000 fields"),
    "long shape": (lambda: long_list("Reshape"), r"its shape \(input 1\) are 2,000,000 numbers"),
    "long axes": (lambda: long_list("ReduceMean"), r"its axes \(input 1\) are 2,000,000 numbers"),
    "long sum": (sum_of_many, r"node the_y \(Sum\): is one too many, expected at most 5,000 nodes"),
    "text": (text_cast, "numbers are computed, found a cast to STRING"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_in_one_line_soon(name: str, tmp_path: Path) -> None:
    make, pattern = HOSTILE[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(make().SerializeToString())
    started = time.process_time()
    with pytest.raises((ModelError, UnsupportedError), match=pattern) as error:
        load_onnx(path)
    assert time.process_time() - started < SECONDS
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_none_of_them_takes_much_memory(tmp_path: Path) -> None:
    """One process imports them all; its largest size tells the largest of all."""
    for name, (make, _) in HOSTILE.items():
        (tmp_path / f"{name}.onnx").write_bytes(make().SerializeToString())
    code = """
import resource, sys
from dcgen.errors import DcgenError
from dcgen.importers.onnx_import import load_onnx
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        load_onnx(path)
    except DcgenError:
        pass
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    command = [sys.executable, "-c", code, *sorted(map(str, tmp_path.glob("*.onnx")))]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert int(done.stdout) < MORE_MEGABYTES


def test_packed_numbers_count_unless_they_are_data() -> None:
    """Dimensions may be one field of many numbers, which all become a list; a weight's data become an array."""
    for name, counted in (("dims", True), ("int64_data", False)):
        number = TensorProto.DESCRIPTOR.fields_by_name[name].number
        data = bytes([number << 3 | 2, 100, *[1] * 100])
        assert (count_fields(data, TensorProto.DESCRIPTOR, 1000) > 100) is counted


@pytest.mark.parametrize("place", ["graph", "producer", "input"])
def test_names_that_are_no_text(place: str, tmp_path: Path) -> None:
    m = model([node("Relu", "QQQQ" if place == "input" else "x", "y")])
    match place:
        case "graph":
            m.graph.name = "QQQQ"
        case "producer":
            m.producer_name = "QQQQ"
        case "input":
            m.graph.input[0].name = "QQQQ"
    path = tmp_path / "m.onnx"
    path.write_bytes(m.SerializeToString().replace(b"QQQQ", b"\xff\xfe\xffQ"))
    with pytest.raises(ModelError, match=r"m.onnx: is not an ONNX model: 'utf-8' codec can't decode"):
        load_onnx(path)


@pytest.mark.parametrize(
    ("nodes", "constants", "problem"),
    [
        (
            [node("Clip", "x n", "y")],
            {"n": np.zeros(2, np.float32)},
            r"its minimum is one number, found shape \(2,\)",
        ),
        ([node("Clip", "x n n", "y")], {"n": np.zeros(0, np.float32)}, r"its minimum is one number, found shape"),
        (
            [node("Pad", "x p n", "y")],
            {"p": np.zeros(8, int), "n": np.zeros(2, np.float32)},
            "its value is one number",
        ),
    ],
)
def test_constants_of_another_shape(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], problem: str
) -> None:
    with pytest.raises(ModelError, match=problem):
        import_onnx(model(nodes, opset=18, **constants), "m.onnx")


def test_numbers_beyond_float32_are_refused_without_a_warning() -> None:
    """The test suite takes a warning for an error."""
    cast = node("Cast", "x", "d", to=TensorProto.DOUBLE), node("Cast", "e", "y", to=TensorProto.FLOAT)
    for kind, number in (("Div", 5e-324), ("Mul", 1e300), ("Add", -1e300), ("Clip", 1e300)):
        m = model([cast[0], node(kind, "d n", "e"), cast[1]], n=np.array(number))
        with pytest.raises(ModelError, match=r"holds a NaN or infinite value|clips to NaN or infinity"):
            import_onnx(m, "m.onnx")


def test_an_attribute_of_a_function_outside_of_one(tmp_path: Path) -> None:
    m = model([node("Conv", "x w", "y")], w=np.zeros((1, 1, 1, 1), np.float32))
    m.graph.node[0].attribute.append(onnx.AttributeProto(name="group", type=2, ref_attr_name="of_none"))
    with pytest.raises(ModelError, match=r"node the_y \(Conv\)"):
        import_onnx(m, "m.onnx")


def test_a_model_without_an_output() -> None:
    m = model([node("Relu", "x", "y")])
    del m.graph.output[:]
    with pytest.raises(ModelError, match=r"m.onnx: has no output"):
        import_onnx(m, "m.onnx")


def test_an_unknown_key_of_external_data(tmp_path: Path) -> None:
    m = model([node("Add", "x w", "y")], w=SCALAR)
    m.graph.initializer[0].data_location = TensorProto.EXTERNAL
    m.graph.initializer[0].external_data.add(key="colour", value="blue")
    (tmp_path / "m.onnx").write_bytes(m.SerializeToString())
    with pytest.raises(ModelError, match=r"m.onnx: external data cannot be read"):
        load_onnx(tmp_path / "m.onnx")


def test_what_no_output_depends_on_is_not_read() -> None:
    """Dead nodes may hold what would be refused; the package onnx does not see them."""
    dead = [*expand().graph.node][:1]
    m = model([*dead, node("Loop", "x", "z"), node("Relu", "x", "y")], a=SCALAR, s=np.array([1 << 20, 1 << 20]))
    assert [n.name for n in import_onnx(m, "m.onnx").graph.nodes] == ["the_y"]


def test_long_and_equal_names(tmp_path: Path) -> None:
    long = "n" * 5_000
    nodes = [
        helper.make_node("Relu", ["x" if i == 0 else f"s{i}"], [f"s{i + 1}"], name=long) for i in range(3_000)
    ]
    m = model([*nodes, node("Relu", "s3000", "y")])
    started = time.process_time()
    names = [n.name for n in import_onnx(m, "m.onnx").graph.nodes]
    assert time.process_time() - started < SECONDS
    assert len(set(names)) == 3_001 and max(map(len, names)) <= LIMITS.name_characters + 6


def test_a_file_of_empty_messages_is_not_parsed(tmp_path: Path) -> None:
    """600,000 empty nodes are 1.2 MB in the file and 60 MB in memory."""
    body = b"\x0a\x00" * 600_000
    graph = helper.make_model(helper.make_graph([], "", [], [])).SerializeToString()
    path = tmp_path / "m.onnx"
    path.write_bytes(
        graph + b"\x3a" + bytes([0x80 | len(body) & 127, 0x80 | len(body) >> 7 & 127, len(body) >> 14]) + body
    )
    with pytest.raises(ModelError, match="has more than 250,000 fields"):
        load_onnx(path)


@pytest.mark.parametrize(
    "data", [b"\x3a\x05\x0a", b"\x0f", b"\x08", b"\x08" + b"\xff" * 11, b"\x0d\x00", b"\x3b\x3c"]
)
def test_broken_encodings_are_no_messages(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends behind|unknown|does not end"):
        count_fields(data, onnx.ModelProto.DESCRIPTOR, 10)


def test_the_fields_of_a_model_are_counted() -> None:
    m = model([node("Relu", "x", "y")])
    data = m.SerializeToString()
    assert count_fields(data, onnx.ModelProto.DESCRIPTOR, 1_000) == count_fields(
        data, onnx.ModelProto.DESCRIPTOR, 50
    )
    assert count_fields(data, onnx.ModelProto.DESCRIPTOR, 5) == 6


def external(tmp_path: Path, tensors: int) -> Path:
    nodes = [node("Add", f"{f's{i}' if i else 'x'} w{i}", f"s{i + 1}") for i in range(tensors)]
    m = model(
        [*nodes, node("Relu", f"s{tensors}", "y")], **{f"w{i}": np.zeros(1, np.float32) for i in range(tensors)}
    )
    for tensor in m.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="data.bin")
    path = tmp_path / "m.onnx"
    path.write_bytes(m.SerializeToString())
    return path


def test_external_data_counts_once_for_each_tensor(tmp_path: Path) -> None:
    path = external(tmp_path, 30)
    with (tmp_path / "data.bin").open("wb") as file:
        file.truncate(50 << 20)
    with pytest.raises(ModelError, match="external data has more than 268,435,456 bytes"):
        load_onnx(path)


@pytest.mark.parametrize("location", ["../data.bin", "/etc/passwd", "data.bin", "", "a\x00b"])
def test_external_data_is_a_file_beside_the_model(tmp_path: Path, location: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "data.bin").write_bytes(bytes(4))
    path = external(tmp_path / "in", 1)
    os.mkfifo(tmp_path / "in/data.bin")
    m = onnx.ModelProto.FromString(path.read_bytes())
    m.graph.initializer[0].external_data[0].value = location
    path.write_bytes(m.SerializeToString())
    with pytest.raises(ModelError, match="external data cannot be read"):
        load_onnx(path)


@pytest.mark.parametrize(
    ("key", "value"), [("offset", "-1"), ("length", "99"), ("offset", "x"), ("length", "9" * 5000)]
)
def test_places_outside_of_external_data(tmp_path: Path, key: str, value: str) -> None:
    path = external(tmp_path, 1)
    (tmp_path / "data.bin").write_bytes(bytes(4))
    m = onnx.ModelProto.FromString(path.read_bytes())
    m.graph.initializer[0].external_data.add(key=key, value=value)
    path.write_bytes(m.SerializeToString())
    with pytest.raises(DcgenError, match=str(path)):
        load_onnx(path)


def test_an_import_that_takes_too_long_ends() -> None:
    budget = Budget("m.onnx", 0, ModelError, replace(LIMITS, seconds=-1))
    with pytest.raises(ModelError, match=r"m.onnx: node y is not read after -1 seconds"):
        budget.charge(0, "node y")


def test_training_mode_is_refused_by_the_node_s_name() -> None:
    ones = {n: np.ones(1, np.float32) for n in "abcd"}
    batch = helper.make_node("BatchNormalization", ["x", *"abcd"], ["y", "m", "v", "sm", "sv"], name="norm")
    pattern = r"node norm \(BatchNormalization\): inference \(one output\) is supported, found training: 5 outputs"
    with pytest.raises(UnsupportedError, match=pattern):
        import_onnx(model([batch], **ones), "m.onnx")


def test_an_output_s_missing_shape_is_inferred() -> None:
    for opset in (13, 18):
        m = model([node("Relu", "x", "y")], opset=opset)
        m.graph.output[0].ClearField("type")
        assert import_onnx(m, "m.onnx").graph.outputs == ("the_y",)
