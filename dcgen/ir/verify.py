"""The rules that a Graph keeps between any two passes."""

from __future__ import annotations

import numpy as np

from dcgen.errors import GraphError, UnsupportedError
from dcgen.ir.graph import Affine, Conv, Graph


def verify(graph: Graph) -> Graph:
    """Return ``graph`` if it is well formed, else raise GraphError naming the offending node.

    Names are unique, every input is produced earlier, shapes agree, arrays are float32 and
    finite, and levels reproduce the weights they belong to.
    """
    known: set[str] = set()
    for name in (i.name for i in graph.inputs):
        _add(known, name, graph)
    for node in graph.nodes:
        missing = [i for i in node.inputs if i not in known]
        if missing:
            raise GraphError(node.name, f"reads {missing[0]!r}, which no earlier node makes")
        _add(known, node.name, graph)
    for name in graph.outputs:
        if name not in known:
            raise GraphError(graph.name, f"output {name!r} is not made by any node")
    _ = graph.shapes
    for node in graph.nodes:
        if isinstance(node.op, Conv):
            _arrays(node.name, node.op.weight.values, node.op.bias)
            if node.op.bias.shape != node.op.weight.values.shape[:1]:
                raise GraphError(node.name, f"bias {node.op.bias.shape} for weight {node.op.weight.values.shape}")
            _levels(node.name, node.op)
        elif isinstance(node.op, Affine):
            _arrays(node.name, node.op.scale, node.op.shift)
    return graph


def of_one_input(graph: Graph) -> Graph:
    """``graph`` if it has one input, and an output or more. Raises UnsupportedError for any other."""
    if len(graph.inputs) != 1 or not graph.outputs:
        found = f"has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs"
        raise UnsupportedError(graph.name, found, "one input and at least one output are supported")
    return graph


def _add(known: set[str], name: str, graph: Graph) -> None:
    """Add a tensor to those that are known. GraphError where one has its name."""
    if name in known:
        raise GraphError(graph.name, f"two tensors are called {name!r}")
    known.add(name)


def _arrays(name: str, *arrays: np.ndarray) -> None:
    for a in arrays:
        if a.dtype != np.float32:
            raise GraphError(name, f"holds {a.dtype} parameters, expected float32")
        if not np.isfinite(a).all():
            raise GraphError(name, "holds a NaN or infinite parameter")


def _levels(name: str, conv: Conv) -> None:
    levels = conv.weight.levels
    if levels is None:
        return
    if not 1 <= len(levels.codebook) <= 256 or levels.codebook[0] != 0:
        raise GraphError(name, "a codebook holds 1 to 256 levels, the first of them zero")
    if levels.indices.shape != conv.weight.values.shape or levels.indices.max(initial=0) >= len(levels.codebook):
        raise GraphError(name, "level indices do not fit the weight or the codebook")
    if not np.array_equal(levels.values(), conv.weight.values):
        raise GraphError(name, "the weight's values are not those of its levels")
