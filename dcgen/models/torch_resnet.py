"""ResNets for small pictures as PyTorch modules: those of He et al. 2016, section 4.2, and that of MLPerf Tiny."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ResNetSpec:
    """Settings.

    blocks : blocks of each of the three parts; the network has ``6 * blocks + 2`` layers
    width : filters of the first part; each further part has twice as many
    projection : whether a shortcut to more channels is a 1x1 convolution, as in MLPerf Tiny, or the input with
        channels of zeros (option A of the paper)
    """

    blocks: int = field(default=3, metadata={"min": 1, "max": 100})
    width: int = field(default=16, metadata={"min": 1, "max": 1024})
    projection: bool = False


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int, projection: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs
        projected = projection and inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if projected else None

    def forward(self, x: Tensor) -> Tensor:
        made = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.more:
            half = self.more // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.more - half))
        result: Tensor = (made + x).relu()
        return result


class ResNet(nn.Module):
    """A convolution, three parts of blocks, a mean over each plane and a classifier. Pictures [N, C, H, W] to
    scores [N, classes]. Three channels and ten classes: ResNet-20 has 269,722 parameters."""

    def __init__(self, spec: ResNetSpec, channels: int, classes: int) -> None:
        super().__init__()
        width = spec.width
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks: list[Block] = []
        for part in range(3):
            for number in range(spec.blocks):
                first = part > 0 and number == 0
                outputs = width << part
                blocks.append(Block(outputs // 2 if first else outputs, outputs, 1 + first, spec.projection))
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(width << 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        planes = self.blocks(self.bn1(self.conv1(x)).relu())
        scores: Tensor = self.linear(F.adaptive_avg_pool2d(planes, 1).flatten(1))
        return scores
