"""MobileNetV1 and DS-CNN as PyTorch modules: depthwise convolutions, each before a 1x1 convolution."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn


def _normalised(conv: nn.Conv2d) -> list[nn.Module]:
    return [conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU()]


def _separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """A 3x3 depthwise and a 1x1 convolution, each normalised."""
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
    return [*_normalised(depthwise), *_normalised(nn.Conv2d(inputs, outputs, 1, bias=False))]


@dataclass(frozen=True)
class MobileNetSpec:
    """Settings.

    width : factor of all numbers of filters, the paper's alpha
    """

    width: float = field(default=1.0, metadata={"min": 0.05, "max": 4.0})


MOBILENET = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
"""Filters, at width 1, and stride of each separable convolution (Howard et al. 2017, table 1)."""


class MobileNet(nn.Module):
    """MobileNetV1 of Howard et al. 2017. Pictures [N, C, H, W] to scores [N, classes]; 4,231,976 parameters for
    three channels and 1,000 classes."""

    def __init__(self, spec: MobileNetSpec, channels: int, classes: int) -> None:
        super().__init__()
        filters = max(1, round(32 * spec.width))
        layers = _normalised(nn.Conv2d(channels, filters, 3, 2, 1, bias=False))
        for wide, stride in MOBILENET:
            outputs = max(1, round(wide * spec.width))
            layers += _separable(filters, outputs, stride)
            filters = outputs
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Linear(filters, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(x).flatten(1))
        return scores


@dataclass(frozen=True)
class DsCnnSpec:
    """Settings.

    blocks : separable convolutions
    filters : of every convolution
    """

    blocks: int = field(default=4, metadata={"min": 1, "max": 100})
    filters: int = field(default=64, metadata={"min": 1, "max": 1024})


class DsCnn(nn.Module):
    """DS-CNN of Zhang et al. 2017, section 4.2, as MLPerf Tiny has it: features [N, 1, 49, 10] of a spoken word to
    scores [N, classes]; 23,180 parameters for twelve classes."""

    def __init__(self, spec: DsCnnSpec, channels: int, classes: int) -> None:
        super().__init__()
        filters = spec.filters
        first = nn.Conv2d(channels, filters, (10, 4), 2, (5, 1), bias=False)
        layers = [*_normalised(first), nn.Dropout(0.2)]
        for _ in range(spec.blocks):
            layers += _separable(filters, filters, 1)
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Dropout(0.4))
        self.classifier = nn.Linear(filters, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.features(x).flatten(1))
        return scores
