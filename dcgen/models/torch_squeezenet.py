"""SqueezeNet as a PyTorch module: what is trained, and what ``build_graph`` is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dcgen.models.spec import ConvLayer, FireLayer, PoolLayer, SqueezeNetSpec


def _conv(layer: ConvLayer) -> nn.Conv2d:
    return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.pad)


class Fire(nn.Module):
    """One fire module, [N, inputs, H, W] to [N, outputs, H, W]."""

    def __init__(self, layer: FireLayer) -> None:
        super().__init__()
        self.squeeze = _conv(layer.squeeze)
        self.expand1x1 = _conv(layer.expand1x1)
        self.expand3x3 = _conv(layer.expand3x3)
        self.is_bypassed = layer.bypass != "none"
        self.bypass = _conv(layer.bypass) if isinstance(layer.bypass, ConvLayer) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.squeeze(x).relu()
        merged = torch.cat([self.expand1x1(squeezed).relu(), self.expand3x3(squeezed).relu()], 1)
        return self.bypass(x) + merged if self.is_bypassed else merged


class SqueezeNet(nn.Module):
    """The network that ``spec`` describes; its state dict is named like torchvision's.

    It takes float pictures [N, channels, H, W] and gives scores [N, classes], without a softmax.

    dropout : share of the classifier's inputs that are zeroed in training
    """

    def __init__(self, spec: SqueezeNetSpec, dropout: float = 0.5) -> None:
        super().__init__()
        *layers, last = spec.layers()
        modules: list[nn.Module] = []
        for layer in layers:
            match layer:
                case ConvLayer():
                    modules += [_conv(layer), nn.ReLU()]
                case PoolLayer(_, kernel, stride):
                    modules.append(nn.MaxPool2d(kernel, stride, ceil_mode=True))
                case FireLayer():
                    modules.append(Fire(layer))
        assert isinstance(last, ConvLayer)
        self.features = nn.Sequential(*modules)
        self.classifier = nn.Sequential(nn.Dropout(dropout), _conv(last), nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)))
        self._initialise(self.classifier[1])

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)

    def params(self) -> dict[str, np.ndarray]:
        """The parameters as float32 arrays, as ``build_graph`` takes them."""
        return {k: v.detach().cpu().to(torch.float32).numpy() for k, v in self.state_dict().items()}

    def load_params(self, params: Mapping[str, np.ndarray]) -> SqueezeNet:
        """Take over ``params`` (names as in the state dict) and return self."""
        self.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in params.items()})
        return self

    def _initialise(self, last: nn.Module) -> None:
        """He-uniform weights (normal with deviation 0.01 in the classifier) and zero biases."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, 0.0, 0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
