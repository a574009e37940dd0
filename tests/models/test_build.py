"""``build_graph`` and the PyTorch module of one specification compute the same."""

from dataclasses import replace

import numpy as np
import pytest

from dcgen.errors import ConfigError
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import F32, Levels, Weight
from dcgen.models.build import INPUT, build_graph
from dcgen.models.catalogue import DIGITS, MODELS, V1_0_CAFFE, V1_1, Model
from dcgen.models.spec import SqueezeNetSpec


def random_params(spec: SqueezeNetSpec) -> dict[str, F32]:
    rng = np.random.default_rng(3)
    return {k: (0.1 * rng.normal(size=s)).astype(np.float32) for k, s in spec.parameters().items()}


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_it_computes_what_the_pytorch_module_does(model: Model) -> None:
    torch = pytest.importorskip("torch")
    from dcgen.models.torch_squeezenet import SqueezeNet

    spec = replace(model.spec, size=min(model.spec.size, 49))
    params = random_params(spec)
    net = SqueezeNet(spec).load_params(params).eval()
    assert list(net.state_dict()) == list(spec.parameters())
    x = np.random.default_rng(4).normal(size=(2, spec.channels, spec.size, spec.size)).astype(np.float32)
    graph = build_graph(spec, net.params())
    with torch.no_grad():
        theirs = net(torch.from_numpy(x)).numpy()
    ours = evaluate(graph, {INPUT: x})[graph.outputs[0]][:, :, 0, 0]
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5 * abs(ours).max())


def test_names_and_sizes_of_v1_1() -> None:
    graph = build_graph(V1_1, random_params(V1_1))
    names = [n.name for n in graph.nodes]
    assert names[:5] == ["conv1", "conv1.relu", "pool1", "fire2.squeeze", "fire2.squeeze.relu"]
    assert names[-3:] == ["conv10", "conv10.relu", "pool10"]
    assert graph.shapes["pool5"] == (256, 13, 13)  # 27 rows: the last window is partial
    assert graph.shapes["pool10"] == (1000, 1, 1)


def test_caffe_pads_conv10() -> None:
    graph = build_graph(V1_0_CAFFE, random_params(V1_0_CAFFE))
    assert graph.shapes["fire9.concat"] == (512, 13, 13)
    assert graph.shapes["conv10"] == (1000, 15, 15)


def test_levels_take_the_place_of_values() -> None:
    levels = Levels(np.array([0.0, 0.5]), np.ones((16, 1, 3, 3), np.uint8))
    graph = build_graph(DIGITS, random_params(DIGITS), {"conv1": Weight.of(levels)})
    op = dict((n.name, op) for n, op in graph.convs())["conv1"]
    assert op.weight.levels is levels
    assert (op.weight.values == 0.5).all()


def test_too_small_pictures_are_refused() -> None:
    spec = replace(V1_1, size=12)
    with pytest.raises(ConfigError, match="squeezenet1_1: pictures of 12x12 are too small for it, at pool"):
        build_graph(spec, random_params(spec))
