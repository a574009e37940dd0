"""A float graph as a PyTorch module: each convolution is a layer whose weight a method may parametrize."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dcgen.compress.joined import I64, numbered
from dcgen.compress.recipes import fully_connected
from dcgen.inputs.tensor import U8
from dcgen.ir.graph import F32, Clip, Conv, Graph
from dcgen.methods.method import Channels, Given, Method, parametrized
from dcgen.train.torch_runner import TorchRunner

SOME = 32
"""Samples of which all tensors are held at a time where methods look at activations."""
NORMAL = 0.05
"""Root mean square of a layer's weights that are not zero, for which learning rates are meant."""


class Layer(nn.Module):
    """The weight, float32 OIHW, and the bias, float32 [O], of one convolution.

    scale : size of the weights, where 1 is that of ``NORMAL``. The layer that reads the input takes bytes, and the
        factors of normalisations are part of weights: these are of any size, and a step is in proportion to it.
    """

    def __init__(self, weight: F32, bias: F32) -> None:
        super().__init__()
        kept = weight[weight != 0]
        self.scale = float(np.sqrt(np.square(kept, dtype=np.float64).mean())) / NORMAL if len(kept) else 1.0
        self.weight = nn.Parameter(torch.from_numpy(weight.copy()))
        self.bias = nn.Parameter(torch.from_numpy(bias.copy()))


class GraphNetwork(nn.Module):
    """The network of ``graph``: pictures float32 [N, C, H, W] to the scores of its first output, float32 [N, S].

    layers : one for each Conv node, in order; ``names`` are the nodes'
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.names = tuple(node.name for node, _ in graph.convs())
        self.layers = nn.ModuleList(Layer(conv.weight.values, conv.bias) for _, conv in graph.convs())
        self._runner = TorchRunner(graph)

    def forward(self, x: Tensor) -> Tensor:
        parameters = {name: (layer.weight, layer.bias) for name, layer in self.named()}
        return self._runner.run(x, self.graph.outputs[:1], parameters)[0].flatten(1)

    def named(self) -> Iterator[tuple[str, Layer]]:
        """The layers with their Conv nodes' names."""
        for name, layer in zip(self.names, self.layers, strict=True):
            assert isinstance(layer, Layer)
            yield name, layer

    def parametrize(self, method: Method, samples: F32) -> None:
        """Make each layer's weight as ``method`` says, which may look at what the network gives for ``samples``,
        float32 [N, C, H, W]."""
        numbers = numbered(self.graph)
        layers = [
            (
                layer,
                Given(
                    layer.weight.detach().clone(),
                    fully_connected(self.graph, name),
                    self._channels(name, layer, numbers, samples),
                ),
            )
            for name, layer in self.named()
        ]
        made = method.parametrizations([given for _, given in layers])
        for (layer, _), parametrization in zip(layers, made, strict=True):
            if parametrization is not None:
                parametrize.register_parametrization(layer, "weight", parametrization)

    def _channels(self, name: str, layer: Layer, numbers: Mapping[str, I64], samples: F32) -> Channels:
        """What methods are told of the channels of layer ``name``."""
        node = self.graph.by_name[name]
        assert isinstance(node.op, Conv)
        reads = numbers[node.inputs[0]] if node.op.groups == 1 else np.zeros(0, np.int64)
        users = self.graph.consumers[name]
        end = users[0].name if len(users) == 1 and isinstance(users[0].op, Clip) else name

        def outputs() -> Tensor:
            given = {n: (w.weight.detach(), w.bias.detach()) for n, w in self.named()}
            parts = torch.split(torch.from_numpy(samples), SOME)
            return torch.cat([self._runner.run(part, [end], given)[0] for part in parts])

        _, height, width = self.graph.shapes[name]
        made, read = torch.from_numpy(numbers[name]), torch.from_numpy(reads)
        return Channels(made, read, layer.bias.detach().clone(), height * width, outputs)

    def scales(self) -> dict[int, float]:
        """``Layer.scale`` by the id of each parameter that is the layer's weight, or that values of weights are
        made of."""
        found = {}
        for _, layer in self.named():
            own = next(parametrized(layer), None)
            if own is None:
                found[id(layer.weight)] = layer.scale
                continue
            made, original = own
            like = made.parameters() if made.like_weights else ()
            found |= {id(p): layer.scale for p in (original, *like)}
        return found


def scores_of(network: nn.Module, data: U8, inputs: Callable[[U8], F32], batch: int = 500) -> F32:
    """The scores of samples, bytes uint8 [N, H, W, C]: float32 [N, S]. Meanwhile the network is in evaluation
    mode.

    inputs : what the network takes, float32 [N, C, H, W], for such bytes
    """
    training, device = network.training, next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        parts = (torch.from_numpy(inputs(data[i : i + batch])).to(device) for i in range(0, len(data), batch))
        found = [network(part).cpu().numpy() for part in parts]
    network.train(training)
    return np.concatenate(found)
