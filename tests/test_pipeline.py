"""What outputs are taken for, and float networks that no compressed one could be compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dcgen.compress.point import Point, point_bytes
from dcgen.compress.recipes import SecondOrder
from dcgen.errors import ConfigError, NumericError
from dcgen.ir.graph import Graph, Input, Node
from dcgen.pictures import preset
from dcgen.pipeline import check_moves, check_training, compare, compressed, output_kinds
from dcgen.progress import unheard
from tests.compress.nets import net
from tests.graphs import conv


def one_output() -> Graph:
    node = Node("a", conv(np.random.default_rng(0), 1, 3, (4, 4)), ("x",))
    return Graph("one", (Input("x", (3, 4, 4)),), (node,), ("a",))


def test_each_output_is_what_its_shape_suggests_unless_a_user_says_otherwise() -> None:
    assert output_kinds(None, one_output()) == ("values",) and output_kinds(None, net()) == ("classes",)
    assert output_kinds(("values",), net()) == ("values",)
    with pytest.raises(ConfigError, match=r"outputs: classes need two scores or more, a has one \(say values\)"):
        output_kinds(("classes",), one_output())
    planes, scores = net().nodes[0].name, net().outputs[0]
    several = replace(net(), outputs=(planes, scores))
    assert output_kinds(None, several) == ("values", "classes")
    assert output_kinds(None, replace(net(), outputs=(planes,))) == ("values",)
    assert output_kinds(("classes",), several) == ("classes", "classes")
    assert output_kinds(("classes", "values"), several) == ("classes", "values")
    said = rf"outputs: says what 3 outputs are, the network has 2: {planes}, {scores} \(say classes or"
    with pytest.raises(ConfigError, match=said):
        output_kinds(("classes", "values", "values"), several)


def test_a_network_of_several_outputs_is_not_trained() -> None:
    several = replace(net(), outputs=(net().nodes[0].name, *net().outputs))
    with pytest.raises(ConfigError, match=r"distill: trains networks of one output, .* has 2"):
        check_training(SecondOrder(distill=True), several)


def test_a_float_network_whose_outputs_never_change_is_refused() -> None:
    moving = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    check_moves("net", moving)
    check_moves("net", moving[:1])
    with pytest.raises(
        NumericError, match=r"net: gives the same outputs for all 5 calibration pictures .*\(check its"
    ):
        check_moves("net", np.tile(moving[:1], (5, 1)))
    with pytest.raises(NumericError, match=r"net: gives outputs that are not finite on calibration pictures"):
        check_moves("net", np.where(moving > 0, np.inf, moving))


def test_a_float_network_that_overflows_is_compared_with_nothing() -> None:
    """``eval`` reads the float network from a file of the output folder, which may be another by then."""
    graph = one_output()
    form, samples = preset("torchvision"), np.zeros((2, 4, 4, 3), np.uint8)
    with pytest.raises(NumericError, match=r"one: gives outputs that are not finite on some pictures"):
        compare(graph, form, None, samples, None, unheard, reference=np.full((2, 1), np.inf, np.float32))  # type: ignore[arg-type]


def test_a_point_of_weights_without_levels_is_refused(tmp_path: Path) -> None:
    """As ``trained.npz`` is where no stage has shared weights: without levels nothing could be encoded."""
    graph, file = net(), tmp_path / "trained.npz"
    convs = {node.name: conv for node, conv in graph.convs()}
    point = Point({n: c.weight for n, c in convs.items()}, {n: c.bias for n, c in convs.items()}, 0.0)
    file.write_bytes(point_bytes(point, graph))
    job, bench = SimpleNamespace(point=file, recipe=SecondOrder()), SimpleNamespace(graph=graph)
    with pytest.raises(
        ConfigError, match=rf"{file}: holds weights without levels \({next(iter(convs))}\), .*folder"
    ):
        compressed(job, bench)
