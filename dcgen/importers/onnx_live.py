"""The part of an ONNX model that its outputs depend on, checked before any other code sees it.

The package onnx checks, inlines and converts models in C++, where a small file can take any amount of time and
memory. It is given only nodes that dcgen imports, and no more of them than ``limits.LIMITS`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from dcgen.errors import ModelError, UnsupportedError
from dcgen.importers.onnx_constants import FOLDABLE
from dcgen.importers.onnx_operators import OPERATORS, handler_of, is_standard
from dcgen.limits import LIMITS

_Key = tuple[str, str, str]


def pruned(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """A new model of the nodes, functions and initialisers that some output depends on.

    Raises UnsupportedError for the first node whose operator dcgen neither imports nor folds, ModelError where
    there are too many nodes.
    """
    graph, nodes = model.graph, live(model.graph)
    functions = {_key(f): f for f in model.functions}
    for node in nodes:
        if _called(node) not in functions:
            refuse_unknown(node, source)
    called = _reachable(nodes, functions, source)
    check_count(nodes, called, source)
    used = {o.name for o in graph.output} | {name for node in nodes for name in node.input}
    # From version 4 on, a file need not list its initialisers as inputs.
    found = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    found.opset_import.extend(model.opset_import)
    stated = {o.domain for o in model.opset_import}
    for domain in sorted({n.domain for n in nodes if not is_standard(n)} - stated):
        found.opset_import.append(onnx.helper.make_opsetid(domain, 1))  # brevitas leaves its own out
    found.functions.extend(called.values())
    found.graph.name = graph.name or "graph"
    left_out = {*(t.name for t in graph.initializer), *(t.values.name for t in graph.sparse_initializer)} - used
    found.graph.input.extend(i for i in graph.input if i.name not in left_out)  # old files list initialisers, too
    found.graph.output.extend(graph.output)
    found.graph.value_info.extend(graph.value_info)
    found.graph.node.extend(nodes)
    for node in found.graph.node:
        node.ClearField("doc_string")
        if len(node.name) > LIMITS.name_characters:
            node.name = name_of(node)
    found.graph.initializer.extend(t for t in graph.initializer if t.name in used)
    found.graph.sparse_initializer.extend(t for t in graph.sparse_initializer if t.values.name in used)
    return found


def live(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that some output depends on, in order."""
    needed = {o.name for o in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed.update(node.input)
    return nodes[::-1]


def name_of(node: onnx.NodeProto) -> str:
    """The node's name, or where it has none its first output's; of a long one the beginning."""
    name = str(node.name or next(filter(None, node.output), node.op_type))
    return name[: LIMITS.name_characters]


def refuse_unknown(node: onnx.NodeProto, source: str) -> None:
    """UnsupportedError for a node that dcgen neither imports nor folds, or that holds a graph.

    It is called before the model is converted, as the converter's own messages name no node.
    """
    standard = is_standard(node)
    kind = node.op_type if standard else f"{node.domain}.{node.op_type}"
    where = f"{source}: node {name_of(node)} ({kind[: LIMITS.name_characters]})"
    folded = standard and node.op_type in (*FOLDABLE, "Constant")
    if not folded and handler_of(node) is None:
        raise UnsupportedError(where, "the operator is not supported", f"supported: {' '.join(OPERATORS)}")
    graphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    if any(a.type in graphs or a.HasField("g") or a.graphs for a in node.attribute):
        raise UnsupportedError(where, "an attribute holds a graph, which is not supported")
    if node.op_type == "BatchNormalization" and len([o for o in node.output if o]) > 1:
        found = f"inference (one output) is supported, found training: {len(node.output)} outputs"
        raise UnsupportedError(where, found, "export the network in evaluation mode")


def check_count(nodes: Sequence[onnx.NodeProto], functions: dict[_Key, onnx.FunctionProto], source: str) -> None:
    """Raise ModelError where the nodes become too many, or too long, when functions are inlined."""
    sizes: dict[_Key, tuple[int, int, int]] = {}

    def total(body: Iterable[onnx.NodeProto], depth: int) -> tuple[int, int, int]:
        """Nodes, bytes and further levels of functions in a body."""
        if depth > LIMITS.function_depth:
            raise ModelError(source, f"its functions call each other more than {LIMITS.function_depth} deep")
        count = size = deepest = 0
        for node in body:
            key = _called(node)
            if key in functions:
                if key not in sizes:
                    sizes[key] = total(functions[key].node, depth + 1)
                nodes_in, bytes_in, levels = sizes[key]
                count, size, deepest = count + nodes_in, size + bytes_in, max(deepest, levels + 1)
            own = sum(a.ByteSize() for a in node.attribute) if depth == 0 else 0
            count, size = count + 1, size + node.ByteSize() - own
        if depth + deepest > LIMITS.function_depth:
            raise ModelError(source, f"its functions call each other more than {LIMITS.function_depth} deep")
        return count, size, deepest

    count, size, _ = total(nodes, 0)
    if count > LIMITS.nodes or size > LIMITS.node_bytes:
        problem = f"has {count:,} nodes of {size:,} bytes with those of its functions"
        raise ModelError(source, f"{problem}, expected at most {LIMITS.nodes:,} of {LIMITS.node_bytes:,}")


def _reachable(
    nodes: Sequence[onnx.NodeProto], functions: dict[_Key, onnx.FunctionProto], source: str
) -> dict[_Key, onnx.FunctionProto]:
    """The functions that the nodes call, and those that these call, with nodes that dcgen imports."""
    found: dict[_Key, onnx.FunctionProto] = {}
    pending = [_called(n) for n in nodes if _called(n) in functions]
    while pending:
        key = pending.pop()
        if key in found:
            continue
        found[key] = functions[key]
        for node in functions[key].node:
            if _called(node) in functions:
                pending.append(_called(node))
            else:
                refuse_unknown(node, f"{source}: function {functions[key].name[: LIMITS.name_characters]}")
    return found


def _key(function: onnx.FunctionProto) -> _Key:
    return function.domain, function.name, function.overload


def _called(node: onnx.NodeProto) -> _Key:
    return node.domain, node.op_type, node.overload
