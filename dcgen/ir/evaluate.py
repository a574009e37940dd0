"""Runs a float graph in plain NumPy, float64: the reference that other evaluators are compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import GraphError
from dcgen.ir.graph import F64, Graph


def evaluate(graph: Graph, inputs: Mapping[str, NDArray[np.floating]]) -> dict[str, F64]:
    """Every tensor of the graph by name, float64 [N, C, H, W].

    inputs : by name [N, C, H, W], of any batch size N. Raises GraphError for one that is missing or misshapen.
    """
    tensors: dict[str, F64] = {}
    for i in graph.inputs:
        if i.name not in inputs or inputs[i.name].shape[1:] != i.shape:
            found = inputs[i.name].shape if i.name in inputs else "nothing"
            raise GraphError(i.name, f"is an input of shape {('N', *i.shape)}, found {found}")
        tensors[i.name] = np.asarray(inputs[i.name], np.float64)
    for node in graph.nodes:
        tensors[node.name] = node.op.evaluate(*(tensors[i] for i in node.inputs))
    return tensors
