"""What a recipe that keeps a network's integers takes over of its input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dcgen.calibration import canonical_model, kept_input
from dcgen.compress.fold import canonical
from dcgen.compress.recipes import DeepCompression, Keep
from dcgen.importers import ImportedModel
from dcgen.inputs.tensor import TensorInput
from dcgen.ir.graph import Graph, Input, Node
from tests.graphs import conv

SHAPE = 3, 4, 4
ONLY = Node("a", conv(np.random.default_rng(0), 2, 3, (4, 4)), ("x",))
GRAPH = Graph("net", (Input("x", SHAPE),), (ONLY,), ("a",))
MODEL = ImportedModel(GRAPH, ranges={"x": (-32.0, 31.75)})
OWN = TensorInput("float32", 0.25, 128.0, SHAPE)


def test_an_input_is_kept_by_the_recipe_that_keeps_integers_where_the_source_rounds_it() -> None:
    assert kept_input(MODEL, Keep()) == OWN
    assert kept_input(MODEL, DeepCompression()) is None
    assert kept_input(replace(MODEL, ranges={"a": (-1.0, 1.0)}), Keep()) is None


@pytest.mark.parametrize(
    ("form", "apart"),
    [
        (OWN, False),
        (replace(OWN, given="uint8"), False),
        (replace(OWN, scale=0.25 * (1 + 1e-6)), False),
        (replace(OWN, scale=0.251), True),
        (replace(OWN, zero_point=127.5), True),
    ],
)
def test_bytes_of_other_values_are_rounded_by_a_convolution(form: TensorInput, apart: bool) -> None:
    graph, ranges = canonical_model(MODEL, form, Keep())
    assert [n.name for n in graph.nodes] == (["x.scaled", "a"] if apart else ["a"])
    assert ranges == {"x": (-32.0, 31.75), "x.scaled": (-32.0, 31.75)}


def test_other_recipes_round_nothing() -> None:
    form = replace(OWN, scale=0.251)
    graph, ranges = canonical_model(MODEL, form, DeepCompression())
    assert ranges is MODEL.ranges
    assert [n.name for n in graph.nodes] == [n.name for n in canonical(GRAPH, form).nodes] == ["a"]
