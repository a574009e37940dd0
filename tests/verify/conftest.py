"""The small network of ``small.py`` and its firmware, built once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dcgen.quant.qgraph import U8, QGraph
from tests.verify.small import small_graph, write_firmware


@pytest.fixture(scope="session")
def graph() -> QGraph:
    return small_graph()


@pytest.fixture(scope="session")
def pictures(graph: QGraph) -> U8:
    """uint8 [3, H, W, C]."""
    c, h, w = graph.input.shape
    return np.random.default_rng(1).integers(0, 256, (3, h, w, c)).astype(np.uint8)


@pytest.fixture(scope="session")
def out_dir(graph: QGraph, pictures: U8, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_firmware(graph, pictures[0], tmp_path_factory.mktemp("small"))
