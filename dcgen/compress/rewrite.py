"""Changes of a graph's nodes that several passes make."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dcgen.ir.graph import Clip, Graph, Node


def with_replaced(graph: Graph, *nodes: Node) -> Graph:
    """The graph with ``nodes`` in place of those of the same names."""
    new = {n.name: n for n in nodes}
    return graph.with_nodes(new.get(n.name, n) for n in graph.nodes)


def bypassed(graph: Graph, node: Node) -> Graph:
    """The graph without a node whose output has the values of its input; where both are outputs, it becomes a
    copy."""
    source = node.inputs[0]
    if node.name in graph.outputs and source in graph.outputs:
        return with_replaced(graph, replace(node, op=Clip(-np.inf, np.inf)))
    return graph.with_nodes(
        (
            replace(n, inputs=tuple(source if i == node.name else i for i in n.inputs))
            for n in graph.nodes
            if n.name != node.name
        ),
        outputs=tuple(source if o == node.name else o for o in graph.outputs),
    )
