"""ONNX models (opset 9 to the newest of the installed onnx package) to ``ir.Graph``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.model import Head, ImportedModel
from dcgen.importers.onnx_constants import NOT_COMPUTED, fold
from dcgen.importers.onnx_file import (
    constants,
    data_inputs,
    load_external_data,
    normalize,
    opset_of,
    read,
)
from dcgen.importers.onnx_gathered import ONLY_AVERAGED, follow
from dcgen.importers.onnx_inputs import planes_of
from dcgen.importers.onnx_integers import Quantized, take_integer_input, with_scale_of_input
from dcgen.importers.onnx_live import check_count, live, name_of, pruned, refuse_unknown
from dcgen.importers.onnx_operators import (
    AFTER_HEAD,
    ON_INTEGERS,
    computes_constants,
    handler_of,
    is_standard,
)
from dcgen.importers.onnx_scope import Call, Gathered, Scope, Signal, Value
from dcgen.ir.graph import Graph, Input, Node
from dcgen.ir.verify import verify
from dcgen.limits import LIMITS, Budget
from dcgen.reading import damage

EXPORTERS_NAMES = ("", "main_graph", "torch_jit", "torch-jit-export")
"""Graph names that exporters give to every network; the file's name is used instead."""


def load_onnx(path: str | Path, input_size: int | None = None, default_size: int | None = None) -> ImportedModel:
    """The network in an ONNX file; sizes as in ``onnx_file.normalize``."""
    path = Path(path)
    model, size = read(path)
    with damage(path, ModelError, "is not an ONNX model"):  # names are decoded when they are read first
        model, own = take_integer_input(model, str(path))
        model = pruned(model, str(path))
    size += load_external_data(model, path)
    return _import(model, own, str(path), Budget(path, size, ModelError), input_size, default_size)


def import_onnx(
    model: onnx.ModelProto, source: str, input_size: int | None = None, default_size: int | None = None
) -> ImportedModel:
    """The network in an ONNX model; ``source`` names it in errors, sizes are as in ``onnx_file.normalize``.

    Nodes keep their ONNX names (or take that of their output). Operators that feed no output are
    left out, and so is a Softmax, LogSoftmax, ArgMax or TopK at the end, reported as ``head``.
    """
    budget = Budget(source, model.ByteSize(), ModelError)
    model, own = take_integer_input(model, source)
    return _import(pruned(model, source), own, source, budget, input_size, default_size)


def _import(
    model: onnx.ModelProto,
    own: Quantized | None,
    source: str,
    budget: Budget,
    input_size: int | None,
    default_size: int | None,
) -> ImportedModel:
    """``import_onnx`` of a model of which nothing is left but what its outputs depend on.

    own : what the integers of its input stood for, None where the file's input is of real values
    """
    model = normalize(model, source, budget, input_size, default_size)
    nodes = live(model.graph)
    check_count(nodes, {}, source)
    for node in nodes:
        refuse_unknown(node, source)
    fixed = dict(constants(model.graph, source))
    values: dict[str, Value] = dict(fixed)
    inputs = {i.name: _input_dims(i) for i in data_inputs(model.graph)}
    scope = Scope(_batch(inputs, source))
    for name, dims in inputs.items():
        tensor = scope.unused(name[: LIMITS.name_characters])
        scope.shapes[tensor], axes = planes_of(nodes, fixed, name, dims)
        scope.check_size(f"{source}: input {name}", scope.shapes[tensor])
        values[name] = Signal(tensor, dims).reordered(axes)
    pictures = tuple(Input(name, shape) for name, shape in scope.shapes.items())
    used = {o.name for o in model.graph.output} | {i for n in nodes for i in n.input}
    opset = opset_of(model)
    ends = _ends(nodes, {o.name for o in model.graph.output})
    for node in nodes:
        results = _import_node(node, values, scope, source, opset, budget, ends)
        for i, output in enumerate(node.output):
            if i < len(results):
                values[output] = results[i]
            elif output in used:
                raise UnsupportedError(
                    f"{source}: node {name_of(node)} ({node.op_type})",
                    f"its output {i} ({output}) is not supported",
                )
    outputs, heads = _outputs(model.graph, values, source)
    name = model.graph.name[: LIMITS.name_characters]
    made = _needed(scope, outputs)
    graph = Graph(Path(source).stem if name in EXPORTERS_NAMES else name, pictures, made, tuple(outputs))
    ranges = scope.ranges
    if len(outputs) > 1:
        graph = _called(graph, outputs)
        called = dict(zip(outputs, graph.outputs, strict=True))
        ranges = {called.get(tensor, tensor): found for tensor, found in ranges.items()}
    if own is None:
        return ImportedModel(verify(graph), heads, source, ranges=ranges)
    graph, own_input = with_scale_of_input(graph, own)
    return ImportedModel(verify(graph), heads, source, own_input=own_input, ranges=ranges)


def _import_node(
    node: onnx.NodeProto,
    values: dict[str, Value],
    scope: Scope,
    source: str,
    opset: int,
    budget: Budget,
    ends: frozenset[str],
) -> tuple[Value, ...]:
    """The outputs of one node of operator set ``opset``; ``values`` are the ONNX tensors so far, by name.

    ends : as ``_ends`` gives them
    """
    args = tuple(values[i] if i else None for i in node.input)
    budget.charge(0, f"node {name_of(node)}")
    with damage(f"{source}: node {name_of(node)} ({node.op_type})", ModelError, "has a faulty attribute"):
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    final, outputs = ends.issuperset(node.output), len(node.output)
    call = Call(source, name_of(node), node.op_type, attributes, args, budget, final, outputs)
    signals = [a for a in args if isinstance(a, Signal)]
    if any(isinstance(a, Gathered) for a in args):
        return (follow(call, scope, node, opset),)
    if not signals:
        if (compute := computes_constants(node)) is not None:
            with damage(call.where, ModelError, NOT_COMPUTED), np.errstate(all="ignore"):
                return (compute(call),)
        if is_standard(node):
            return (fold(call, node, opset),)
    head = next((s.head for s in signals if s.head != "none"), None)
    if head and node.op_type not in AFTER_HEAD:
        raise call.unsupported(f"reads a {head}, which is supported at the end of the graph only")
    handler = handler_of(node)
    if handler is None:
        raise call.unsupported("is supported on constants only, found a computed input")
    if any(s.integers for s in signals) and node.op_type not in ON_INTEGERS:
        raise call.unsupported("reads integers, where supported is: " + " ".join(sorted(ON_INTEGERS)))
    # Numbers beyond float32 give no warning; ``Call.parameter`` refuses what is not finite.
    if is_standard(node):
        with np.errstate(all="ignore"):
            result = handler(call, scope)
    else:  # the package onnx has not checked its attributes
        with np.errstate(all="ignore"), damage(call.where, ModelError, "contradicts itself"):
            result = handler(call, scope)
    return result if isinstance(result, tuple) else (result,)


def _ends(nodes: Sequence[onnx.NodeProto], outputs: set[str]) -> frozenset[str]:
    """The tensors that nothing computes with: the network's outputs are these, or other views of them."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        for i in node.input:
            readers.setdefault(i, []).append(node)
    ends: set[str] = set(outputs - readers.keys())
    for node in reversed(nodes):
        for output in node.output:
            users = readers.get(output, [])
            if users and all(u.op_type in AFTER_HEAD and ends.issuperset(filter(None, u.output)) for u in users):
                ends.add(output)
    return frozenset(ends)


def _input_dims(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(int(d.dim_value) for d in value.type.tensor_type.shape.dim)


def _needed(scope: Scope, outputs: Iterable[str]) -> tuple[Node, ...]:
    """The nodes that the outputs depend on, in order. Where two ONNX nodes became one, the first may be idle."""
    needed = set(outputs)
    for node in reversed(scope.made.values()):
        if node.name in needed:
            needed.update(node.inputs)
    return tuple(n for n in scope.made.values() if n.name in needed)


def _batch(inputs: dict[str, tuple[int, ...]], source: str) -> int:
    """The batch size that all inputs have. UnsupportedError where they differ."""
    batches = {dims[0] if len(dims) > 1 else 1 for dims in inputs.values()}
    if len(batches) > 1:
        raise UnsupportedError(source, f"inputs of one batch size are supported, found {sorted(batches)}")
    return batches.pop() if batches else 1


def _called(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The graph with other names of tensors that nodes make, as far as no tensor has them yet."""
    names = {old: new for old, new in names.items() if old in graph.by_name and new not in graph.shapes}
    nodes = (
        replace(n, name=names.get(n.name, n.name), inputs=tuple(names.get(i, i) for i in n.inputs))
        for n in graph.nodes
    )
    return graph.with_nodes(nodes, outputs=tuple(names.get(o, o) for o in graph.outputs))


def _outputs(
    graph: onnx.GraphProto, values: dict[str, Value], source: str
) -> tuple[dict[str, str], tuple[Head, ...]]:
    """The IR tensors that the outputs are views of, each once and in its own order of elements, with the outputs'
    names; and the head that was left out behind each."""
    names: dict[str, str] = {}
    heads: dict[str, Head] = {}
    for output in graph.output:
        value = values.get(output.name)
        if value is None:
            raise ModelError(source, f"output {output.name} is made by no node")
        if isinstance(value, np.ndarray):
            raise UnsupportedError(source, f"output {output.name} is computed where supported, found a constant")
        if isinstance(value, Gathered):
            raise UnsupportedError(f"{source}: output {output.name}", ONLY_AVERAGED)
        names.setdefault(value.tensor, output.name[: LIMITS.name_characters])
        if heads.get(value.tensor, "none") == "none":
            heads[value.tensor] = value.head
    return names, tuple(heads.values())
