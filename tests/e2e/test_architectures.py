"""Small networks of kinds that users have are read as what PyTorch computes, and go through every stage."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dcgen.importers.torch_import import import_program
from dcgen.ir.runner import FloatRunner
from tests.e2e.test_operators import goes_through_every_stage

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

if TYPE_CHECKING:
    from torch import Tensor

pytestmark = pytest.mark.filterwarnings("ignore")


def unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, act: Any = nn.ReLU, **more: Any) -> Any:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False, **more)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), act())


class UNet(nn.Module):
    """Pixels between pixels and a transposed convolution, each beside the planes of the way down."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d, self.e = unit(3, 8), unit(8, 12), unit(12, 16), unit(28, 12), unit(20, 8)
        self.up, self.out = nn.ConvTranspose2d(12, 12, 2, 2), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = F.interpolate(self.c(F.max_pool2d(b, 2)), scale_factor=2, mode="bilinear")
        return self.out(self.e(torch.cat([self.up(self.d(torch.cat([c, b], 1))), a], 1)))


class CoordinateAttention(nn.Module):
    """Means of rows and of columns, of which the latter are turned, joined with the former, convolved, taken apart
    and turned back (Hou et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.both = unit(3, 8, stride=2), unit(8, 8, 1, act=nn.Hardswish)
        self.rows, self.columns, self.out = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        height, width = x.shape[2:]
        rows = F.adaptive_avg_pool2d(x, (None, 1))
        columns = F.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
        rows, columns = torch.split(self.both(torch.cat([rows, columns], 2)), [height, width], 2)
        gates = self.rows(rows).sigmoid(), self.columns(columns.permute(0, 1, 3, 2)).sigmoid()
        return self.out((x * gates[0] * gates[1]).mean((2, 3)))


class ChannelAttention(nn.Module):
    """A convolution along the means of all channels (Wang et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.attention = unit(3, 8, stride=2), nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.out = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        means = F.adaptive_avg_pool2d(x, 1)
        gate = self.attention(means.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return self.out((x * gate.sigmoid().expand_as(x)).mean((2, 3)))


class Pyramid(nn.Module):
    """Averages over bins, of which some differ, enlarged and put side by side (Zhao et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.out = unit(3, 8, stride=2), nn.Conv2d(14, 3, 1)
        self.pools = nn.ModuleList(nn.Sequential(nn.AdaptiveAvgPool2d(n), nn.Conv2d(8, 2, 1)) for n in (1, 3, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        pooled = [F.interpolate(pool(x), size=x.shape[2:], mode="bilinear") for pool in self.pools]
        return self.out(torch.cat([x, *pooled], 1))


class Detector(nn.Module):
    """SiLU, a split stage, maxima of maxima, nearest pixels; predictions of two sizes, of three boxes each."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = unit(3, 8, stride=2, act=nn.SiLU), unit(8, 16, stride=2, act=nn.SiLU)
        self.inner, self.joined = unit(8, 8, act=nn.SiLU), unit(24, 16, 1, act=nn.SiLU)
        self.narrow, self.wide = unit(16, 8, 1, act=nn.SiLU), unit(24, 16, 1, act=nn.SiLU)
        self.large, self.small = nn.Conv2d(24, 21, 1), nn.Conv2d(16, 21, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = self.a(x)
        first, second = self.b(a).chunk(2, 1)
        x = self.narrow(self.joined(torch.cat([first, second, self.inner(second)], 1)))
        once = F.max_pool2d(x, 5, 1, 2)
        x = self.wide(torch.cat([x, once, F.max_pool2d(once, 5, 1, 2)], 1))
        large = self.large(torch.cat([F.interpolate(x, scale_factor=2), a], 1))
        return tuple(y.view(len(y), 3, 7, *y.shape[2:]).permute(0, 1, 3, 4, 2) for y in (large, self.small(x)))  # type: ignore[return-value]


class Causal(nn.Module):
    """Convolutions along time that see the past alone, by padding in front and by cutting behind (Bai et al.)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 8, 3, padding=2), nn.Conv1d(8, 8, 3, dilation=4)
        self.short, self.out = nn.Conv1d(3, 8, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(x)[:, :, :-2])
        return self.out(F.relu(F.relu(self.second(F.pad(y, (8, 0)))) + self.short(x))[:, :, -1])


class Memory(nn.Module):
    """A memory of each channel's neighbours in time, between layers that see one time (Zhang et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(3, 16), nn.Linear(16, 16), nn.Linear(16, 4)
        self.memory = nn.Conv1d(16, 16, 5, padding=2, groups=16, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x)).transpose(1, 2)
        return self.out(F.relu(self.second((x + self.memory(x)).transpose(1, 2))).mean(1))


class Shuffled(nn.Module):
    """A unit of ShuffleNet along time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.out = nn.Conv1d(3, 8, 3, 2, 1), nn.Linear(8, 4)
        self.first, self.second = (nn.Conv1d(8, 8, 1, groups=2) for _ in range(2))
        self.depthwise = nn.Conv1d(8, 8, 3, padding=1, groups=8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        y = F.relu(self.first(x))
        n, channels, length = y.shape
        y = y.view(n, 2, channels // 2, length).transpose(1, 2).reshape(n, channels, length)
        return self.out((x + self.second(self.depthwise(y))).mean(-1))


NETWORKS = {
    UNet: (3, 16, 16),
    CoordinateAttention: (3, 16, 12),
    ChannelAttention: (3, 16, 16),
    Pyramid: (3, 16, 16),
    Detector: (3, 16, 16),
    Causal: (3, 32),
    Memory: (20, 3),
    Shuffled: (3, 32),
}


def statistics(network: Any) -> None:
    """Batch normalisation as after training."""
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.3)
        for tensor in (norm.running_var, norm.weight.data):
            tensor.uniform_(0.5, 1.5)


@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
def test_a_network(kind: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, x = kind(), torch.randn(2, *NETWORKS[kind])
    statistics(network)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        given = network.eval()(x)
        graph = import_program(torch.export.export(network, (x[:1],)), "net").graph
    c, h, w = graph.inputs[0].shape
    planes = x.numpy().reshape(2, c, h, w) if x.shape[1] == c else x.numpy().transpose(0, 2, 1).reshape(2, c, h, w)
    outputs = given if isinstance(given, tuple) else (given,)
    if kind is Detector:  # of which an output is planes, in whatever order the program lists them
        outputs = tuple(y.permute(0, 1, 4, 2, 3) for y in outputs)
    theirs = np.concatenate([y.numpy().reshape(2, -1) for y in outputs], 1)
    np.testing.assert_allclose(FloatRunner(graph).run(planes), theirs, rtol=1e-3, atol=1e-4)
    goes_through_every_stage(graph, tmp_path)
