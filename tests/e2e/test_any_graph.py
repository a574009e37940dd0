"""Random float networks go through every stage: canonical form, levels, integers, blob, C."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgen.encode.blob import encode
from dcgen.encode.reader import decode
from dcgen.ir.graph import Graph
from dcgen.quant.execute import execute
from tests.firmware.build import Program
from tests.graphs import graphs
from tests.quant.test_lower import quantize


def survives(graph: Graph, seed: int, uniform: bool) -> None:
    """Golden model, decoded blob and emitted C give the same scores on random pictures.

    uniform : whether levels are a uniform grid, as ``quantize`` has it
    """
    _, h, w = graph.inputs[0].shape
    pictures = np.random.default_rng(seed).integers(0, 256, (3, h, w, 3), np.uint8)
    _, lowered = quantize(graph, pictures, uniform)
    expected = execute(lowered, pictures)
    np.testing.assert_array_equal(execute(decode(encode(lowered).data), pictures), expected)
    with TemporaryDirectory() as folder:
        _, scores = Program(Path(folder), lowered).trace(pictures)
    np.testing.assert_array_equal(scores, expected)


@given(graphs(), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_network_survives_every_stage(graph: Graph, seed: int, uniform: bool) -> None:
    survives(graph, seed, uniform)


@pytest.mark.slow
@given(graphs(), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_networks_survive_every_stage(graph: Graph, seed: int, uniform: bool) -> None:
    survives(graph, seed, uniform)
