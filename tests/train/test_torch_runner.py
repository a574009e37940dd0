"""The PyTorch runner means what ``evaluate`` means, and its gradients are those of that function."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.errors import ToolError
from dcgen.ir.evaluate import evaluate
from dcgen.ir.graph import Weight
from dcgen.train.torch_runner import TorchRunner
from tests.graphs import graphs

torch = pytest.importorskip("torch")


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 2**32 - 1))
def test_every_tensor_of_any_graph_is_that_of_evaluate(graph, seed):
    x = np.random.default_rng(seed).normal(size=(2, *graph.inputs[0].shape)).astype(np.float32)
    wanted = evaluate(graph, {graph.inputs[0].name: x})
    names = [n.name for n in graph.nodes]
    found = TorchRunner(graph).run(torch.from_numpy(x), names)
    for name, tensor in zip(names, found, strict=True):
        np.testing.assert_allclose(tensor.numpy(), wanted[name], rtol=2e-4, atol=2e-4)


@settings(max_examples=20, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 2**32 - 1))
def test_gradients_are_differences_of_the_function(graph, seed):
    """Of a parameter that a step of is seen at the output, in the direction of its own gradient."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, *graph.inputs[0].shape)).astype(np.float32)
    convs = list(graph.convs())
    if not convs:
        return
    node, conv = convs[int(rng.integers(len(convs)))]
    output = graph.outputs[0]
    towards = rng.normal(size=(2, *graph.shapes[output]))
    weight, bias = (torch.from_numpy(a.copy()).requires_grad_() for a in (conv.weight.values, conv.bias))
    (found,) = TorchRunner(graph).run(torch.from_numpy(x), [output], {node.name: (weight, bias)})
    (found * torch.from_numpy(towards.astype(np.float32))).sum().backward()

    def value(size: float) -> float:
        moved = (conv.bias + size * bias.grad.numpy()).astype(np.float32)
        changed = graph.with_weights({node.name: Weight(conv.weight.values)}, {node.name: moved})
        return float((evaluate(changed, {graph.inputs[0].name: x})[output] * towards).sum())

    square = float((bias.grad.numpy() ** 2).sum())
    size = 1e-3 / max(1.0, square) ** 0.5  # small: few clips and maxima change hands
    risen = (value(size) - value(-size)) / (2 * size)
    assert abs(risen - square) <= 0.05 * square + 1e-3 * max(1.0, square) ** 0.5


def test_a_missing_torch_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    from tests.compress.nets import net

    with pytest.raises(ToolError, match=r"torch: is needed .* \(pip install dcgen\[torch\]\)"):
        TorchRunner(net())
