"""How exact integers are for each recipe."""

from __future__ import annotations

import numpy as np
import pytest

from dcgen.compress.recipes import DeepCompression, Keep, Recipe, keep
from dcgen.integers import as_integers
from dcgen.ir.graph import Clip, Graph, Input, Node
from dcgen.quant.qgraph import QConv
from tests.graphs import conv


@pytest.mark.parametrize(
    ("recipe", "own", "shift"),
    [
        (Keep(), {"x": (0.0, 1.0)}, 0),
        (Keep(), {}, 1),  # of weights alone
        (DeepCompression(), {"x": (0.0, 1.0)}, 1),
    ],
)
def test_biases_are_rounded_less_where_the_integers_of_activations_are_kept(
    recipe: Recipe, own: dict[str, tuple[float, float]], shift: int
) -> None:
    rng = np.random.default_rng(0)
    nodes = (
        Node("a", conv(rng, 4, 8, (3, 3)), ("x",)),
        Node("r", Clip(0, np.inf), ("a",)),
        Node("b", conv(rng, 3, 4, (2, 2)), ("r",)),
    )
    graph = Graph("net", (Input("x", (8, 4, 4)),), nodes, ("b",))
    pictures = rng.integers(-128, 128, (20, 8, 4, 4)).astype(np.float32)
    _, _, qgraph, _ = as_integers(keep(graph), pictures, np.full(8, 128.0), recipe, lambda *_: None, own)
    first = qgraph.nodes[0].op
    assert isinstance(first, QConv) and first.bias_shift == shift, "17 bits fit 16 without the last one"
