"""The architectures of the zoo, as PyTorch modules: input float32 [N, C, H, W], output [N, outputs]."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


def unit(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    groups: int = 1,
    norm: bool = True,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution that keeps the size (or divides it by ``stride``), BatchNorm where asked, activation."""
    ks = (kernel, kernel) if isinstance(kernel, int) else kernel
    conv = nn.Conv2d(inputs, outputs, ks, stride, (ks[0] // 2, ks[1] // 2), groups=groups, bias=not norm)
    parts: list[nn.Module] = [conv]
    if norm:
        parts.append(nn.BatchNorm2d(outputs))
    if act is not None:
        parts.append(act())
    return nn.Sequential(*parts)


def pooled(features: int, outputs: int) -> list[nn.Module]:
    """Global average, then a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, outputs)]


def plain(
    channels: int,
    widths: Sequence[int],
    outputs: int,
    kernel: int = 3,
    norm: bool = False,
    pool: str = "max",
    act: str = "relu",
    flat: int = 0,
    hidden: int = 0,
) -> nn.Sequential:
    """Convolutions, each but the last followed by ``pool`` ("max", "avg", or "stride" in the convolution).

    flat : pixels of the last plane, all of which the linear layers read; 0 for their average
    hidden : width of a linear layer before the last, 0 for none
    """
    parts: list[nn.Module] = []
    for i, (a, b) in enumerate(zip((channels, *widths), widths, strict=False)):
        last = i == len(widths) - 1
        stride = 2 if pool == "stride" and not last else 1
        parts.append(unit(a, b, kernel, stride, norm=norm, act=ACTIVATIONS[act]))
        if not last and pool != "stride":
            parts.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
    if not flat:
        return nn.Sequential(*parts, *pooled(widths[-1], outputs))
    parts.append(nn.Flatten())
    if hidden:
        return nn.Sequential(*parts, nn.Linear(widths[-1] * flat, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    return nn.Sequential(*parts, nn.Linear(widths[-1] * flat, outputs))


def lenet(channels: int, size: int, widths: tuple[int, int, int], outputs: int, dropout: float = 0.0) -> nn.Module:
    """Two 5x5 convolutions without padding, each with a max pool, then two linear layers."""
    side = ((size - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(channels, widths[0], 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(widths[0], widths[1], 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(widths[1] * side * side, widths[2]), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(widths[2], outputs),
    )  # fmt: skip


def mlp(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers on all pixels."""
    parts: list[nn.Module] = [nn.Flatten()]
    for a, b in zip((inputs, *hidden), hidden, strict=False):
        parts += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(hidden[-1], outputs))


class Residual(nn.Module):
    """``body`` plus its input, or plus ``shortcut`` of it where their shapes differ; then a ReLU or nothing."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, relu: bool = True) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()
        self.end = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.end(self.body(x) + self.shortcut(x))
        return result


class Joined(nn.Module):
    """The outputs of several branches on one input, concatenated; with ``keep`` behind the input itself."""

    def __init__(self, *branches: nn.Module, keep: bool = False) -> None:
        super().__init__()
        self.branches, self.keep = nn.ModuleList(branches), keep

    def forward(self, x: Tensor) -> Tensor:
        found = [branch(x) for branch in self.branches]
        return torch.cat([x, *found] if self.keep else found, 1)


def resnet(channels: int, widths: Sequence[int], outputs: int, norm: bool = True, stem: int = 1) -> nn.Sequential:
    """A block of two 3x3 convolutions for each width; each block but the first halves the planes.

    stem : stride of the first convolution
    """
    parts: list[nn.Module] = [unit(channels, widths[0], 3, stem, norm=norm)]
    for i, (a, b) in enumerate(zip((widths[0], *widths), widths, strict=False)):
        stride = 2 if i else 1
        body = nn.Sequential(unit(a, b, 3, stride, norm=norm), unit(b, b, norm=norm, act=None))
        parts.append(Residual(body, unit(a, b, 1, stride, norm=norm, act=None) if stride > 1 or a != b else None))
    return nn.Sequential(*parts, *pooled(widths[-1], outputs))


def mobile(channels: int, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """A stem, then depthwise 3x3 and pointwise convolutions; every second one halves the planes."""
    act = nn.ReLU6
    parts: list[nn.Module] = [unit(channels, widths[0], 3, 2, act=act)]
    for i, (a, b) in enumerate(pairwise(widths)):
        parts += [unit(a, a, 3, 1 + i % 2, groups=a, act=act), unit(a, b, 1, act=act)]
    return nn.Sequential(*parts, *pooled(widths[-1], outputs))


def inverted(channels: int, widths: Sequence[int], outputs: int, expand: int = 3) -> nn.Sequential:
    """Blocks that widen (1x1), filter (depthwise 3x3) and narrow again; plus their input where shapes allow."""
    parts: list[nn.Module] = [unit(channels, widths[0], 3, 2)]
    for a, b in pairwise(widths):
        wide, stride = a * expand, 1 if a == b else 2
        depthwise = unit(wide, wide, 3, stride, groups=wide)
        body = nn.Sequential(unit(a, wide, 1), depthwise, unit(wide, b, 1, act=None))
        parts.append(Residual(body, relu=False) if a == b else body)
    return nn.Sequential(*parts, *pooled(widths[-1], outputs))


def grouped(channels: int, widths: Sequence[int], outputs: int, groups: int, norm: bool = True) -> nn.Sequential:
    """Grouped 3x3 convolutions with a 1x1 convolution behind each, and max pools between them."""
    parts: list[nn.Module] = [unit(channels, widths[0], 3, norm=norm), nn.MaxPool2d(2)]
    for i, (a, b) in enumerate(pairwise(widths)):
        parts += [unit(a, b, 3, groups=groups, norm=norm), unit(b, b, 1, norm=norm)]
        if i + 2 < len(widths):
            parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts, *pooled(widths[-1], outputs))


def fire(inputs: int, squeeze: int, expand: int, norm: bool) -> nn.Sequential:
    """SqueezeNet's module: a 1x1 convolution, then a 1x1 and a 3x3 side by side, ``2 * expand`` outputs."""
    branches = Joined(unit(squeeze, expand, 1, norm=norm), unit(squeeze, expand, 3, norm=norm))
    return nn.Sequential(unit(inputs, squeeze, 1, norm=norm), branches)


def squeezenet(
    channels: int, stem: int, fires: Sequence[tuple[int, int]], outputs: int, norm: bool = False
) -> nn.Sequential:
    """A stem of stride 2, fire modules (squeeze, expand), a max pool behind every second, 1x1 scores, average."""
    parts: list[nn.Module] = [unit(channels, stem, 3, 2, norm=norm)]
    width = stem
    for i, (squeeze, expand) in enumerate(fires):
        parts.append(fire(width, squeeze, expand, norm))
        width = 2 * expand
        if i % 2 and i + 1 < len(fires):
            parts.append(nn.MaxPool2d(3, 2, ceil_mode=True))
    return nn.Sequential(*parts, nn.Conv2d(width, outputs, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def dense(channels: int, growth: int, blocks: Sequence[int], outputs: int) -> nn.Sequential:
    """DenseNet's: each layer reads what all layers before it in its block gave; 1x1 and average pool between."""
    width = 2 * growth
    parts: list[nn.Module] = [unit(channels, width, 3)]
    for i, layers in enumerate(blocks):
        for _ in range(layers):
            parts.append(Joined(unit(width, growth, 3), keep=True))
            width += growth
        if i + 1 < len(blocks):
            parts += [unit(width, width // 2, 1), nn.AvgPool2d(2)]
            width //= 2
    return nn.Sequential(*parts, *pooled(width, outputs))


def inception(channels: int, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """Modules of 1x1, 3x3, 5x5 and a pooled 1x1 convolution side by side; max pools between the modules."""
    parts: list[nn.Module] = [unit(channels, widths[0], 3), nn.MaxPool2d(2)]
    before = widths[0]
    for i, w in enumerate(widths[1:]):
        middle = nn.Sequential(unit(before, w, 1), unit(w, 2 * w, 3))
        large = nn.Sequential(unit(before, w, 1), unit(w, w, 5))
        pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(before, w, 1))
        parts.append(Joined(unit(before, w, 1), middle, large, pool))
        before = 5 * w
        if i + 2 < len(widths):
            parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts, *pooled(before, outputs))


def vgg(
    channels: int, widths: Sequence[int], outputs: int, flat: int, hidden: int, norm: bool = False
) -> nn.Sequential:
    """Pairs of 3x3 convolutions, each pair followed by a max pool, then two linear layers on ``flat`` pixels."""
    parts: list[nn.Module] = []
    for a, b in zip((channels, *widths), widths, strict=False):
        parts += [unit(a, b, norm=norm), unit(b, b, norm=norm), nn.MaxPool2d(2)]
    linear = [nn.Flatten(), nn.Linear(widths[-1] * flat, hidden), nn.ReLU(), nn.Linear(hidden, outputs)]
    return nn.Sequential(*parts, *linear)


def split_kernels(channels: int, widths: Sequence[int], outputs: int) -> nn.Sequential:
    """Each 5x5 convolution as one of 1x5 and one of 5x1, with an average pool between the pairs."""
    parts: list[nn.Module] = []
    for i, (a, b) in enumerate(zip((channels, *widths), widths, strict=False)):
        parts += [unit(a, b, (1, 5)), unit(b, b, (5, 1))]
        if i + 1 < len(widths):
            parts.append(nn.AvgPool2d(2))
    return nn.Sequential(*parts, *pooled(widths[-1], outputs))


def bottleneck(channels: int, width: int, outputs: int, blocks: int) -> nn.Sequential:
    """Residual blocks: 1x1 to a quarter of the width, 3x3, 1x1 back; no BatchNorm; a max pool halfway."""
    parts: list[nn.Module] = [unit(channels, width, 5, 2, norm=False)]
    for i in range(blocks):
        narrow = width // 4
        parts.append(Residual(nn.Sequential(
            unit(width, narrow, 1, norm=False), unit(narrow, narrow, 3, norm=False),
            unit(narrow, width, 1, norm=False, act=None),
        )))  # fmt: skip
        if i + 1 == blocks // 2:
            parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts, *pooled(width, outputs))
