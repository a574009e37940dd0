"""The two LeNets of Deep Compression (Han et al. 2016, section 5.1) as PyTorch modules, as published."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class LeNet300(nn.Module):
    """LeNet-300-100: two hidden layers. Pictures [N, C, H, W] to scores [N, classes]; 266,610 parameters for 28x28
    and ten classes."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.ip1 = nn.Linear(channels * size[0] * size[1], 300)
        self.ip2 = nn.Linear(300, 100)
        self.ip3 = nn.Linear(100, classes)
        self.drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.ip1(x.flatten(1)).relu())
        scores: Tensor = self.ip3(self.ip2(x).relu())
        return scores


class LeNet5(nn.Module):
    """LeNet-5 as Caffe has it: the convolutions have no ReLU. Pictures [N, C, H, W] to scores [N, classes];
    431,080 parameters for 28x28 and ten classes."""

    def __init__(self, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        high, wide = (((side - 4) // 2 - 4) // 2 for side in size)
        self.ip1 = nn.Linear(50 * high * wide, 500)
        self.ip2 = nn.Linear(500, classes)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.max_pool2d(self.conv2(x), 2)
        scores: Tensor = self.ip2(self.drop(self.ip1(x.flatten(1)).relu()))
        return scores
