"""AlexNet and VGG-16 as PyTorch modules: convolutions, then three layers that hold most of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

HIDDEN = 4096
"""Neurons of the two hidden layers behind the convolutions."""


class AlexNet(nn.Module):
    """AlexNet of Krizhevsky et al. 2012 with the layers of its Caffe form. Pictures [N, C, H, W] to scores
    [N, classes]; 60,965,224 parameters for 227x227 and 1,000 classes.

    Its local response normalisations are left out: they have no effect on accuracy (Simonyan & Zisserman 2015,
    section 4.1), and none of the weights is theirs.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(channels, 96, 11, 4), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )
        high, wide = size
        for kernel, stride in ((11, 4), (3, 2), (3, 2), (3, 2)):
            high, wide = (high - kernel) // stride + 1, (wide - kernel) // stride + 1
        dense = (nn.Linear(256 * high * wide, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, classes))
        self.classifier = _classifier(*dense)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(x).flatten(1))
        return scores


@dataclass(frozen=True)
class VggSpec:
    """Settings of VGG-16.

    batch_norm : whether each convolution is normalised, as in torchvision's vgg16_bn
    """

    batch_norm: bool = False


VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the convolutions of each part, behind which planes are halved."""


class Vgg(nn.Module):
    """Configuration D of Simonyan & Zisserman 2015. Pictures [N, C, H, W] to scores [N, classes]; 138,357,544
    parameters for 224x224 and 1,000 classes, named as in torchvision."""

    def __init__(self, spec: VggSpec, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for part in VGG16:
            for inputs, outputs in pairwise((channels, *part)):
                layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
                layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if spec.batch_norm else [nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            channels = part[-1]
        self.features = nn.Sequential(*layers)
        high, wide = (side // 2 ** len(VGG16) for side in size)
        dense = (nn.Linear(channels * high * wide, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, classes))
        self.classifier = nn.Sequential(
            *(dense[0], nn.ReLU(), nn.Dropout(), dense[1], nn.ReLU(), nn.Dropout(), dense[2])
        )
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(x).flatten(1))
        return scores


def _classifier(first: nn.Linear, second: nn.Linear, last: nn.Linear) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(), first, nn.ReLU(), nn.Dropout(), second, nn.ReLU(), last)


def _initialise(network: nn.Module) -> None:
    """He-normal weights of the convolutions, normal ones of deviation 0.01 of the other layers, zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
