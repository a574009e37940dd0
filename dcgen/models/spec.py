"""SqueezeNet's macro-architecture as data (Iandola et al. 2016, section 5).

The fire modules are numbered from 2, as in the paper. Module i has ``e = base_e + incr_e * ((i - 2) // freq)``
expand filters, of which a share ``pct3x3`` is 3x3 and the others 1x1; they read ``squeeze_ratio * e`` squeeze
filters. Parameters are named like those of torchvision's state dict, where every convolution, ReLU, pool and fire
module of ``features`` takes one index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dcgen.errors import ConfigError

Bypass = Literal["none", "simple", "complex"]
WeightShape = tuple[int, ...]


@dataclass(frozen=True)
class ConvLayer:
    """A square convolution followed by a ReLU.

    prefix : what its parameters' names begin with
    inputs, outputs : channels
    """

    name: str
    prefix: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    pad: int = 0

    @property
    def weight_shape(self) -> WeightShape:
        """(O, I, KH, KW)."""
        return self.outputs, self.inputs, self.kernel, self.kernel


@dataclass(frozen=True)
class PoolLayer:
    """Max pooling in ceil mode, without padding."""

    name: str
    kernel: int
    stride: int


@dataclass(frozen=True)
class FireLayer:
    """A fire module: squeeze, then two expand convolutions side by side.

    bypass : how the module's input is added to its output: not at all, as it is, or, where the channels differ,
        through this 1x1 convolution without ReLU
    """

    name: str
    squeeze: ConvLayer
    expand1x1: ConvLayer
    expand3x3: ConvLayer
    bypass: Literal["none", "identity"] | ConvLayer = "none"

    @property
    def convs(self) -> tuple[ConvLayer, ...]:
        """Its convolutions in order, the bypass last."""
        own = (self.squeeze, self.expand1x1, self.expand3x3)
        return (*own, self.bypass) if isinstance(self.bypass, ConvLayer) else own

    @property
    def outputs(self) -> int:
        """Channels of the module's output."""
        return self.expand1x1.outputs + self.expand3x3.outputs


Layer = ConvLayer | PoolLayer | FireLayer

# Fields that are at least 1, and at least 0.
_POSITIVE = (
    *("base_e", "freq", "fires", "conv1_channels", "conv1_kernel", "conv1_stride"),
    *("pool_kernel", "pool_stride", "classes", "channels", "size"),
)
_NOT_NEGATIVE = ("incr_e", "conv1_pad", "conv10_pad")


@dataclass(frozen=True)
class SqueezeNetSpec:
    """The metaparameters of one SqueezeNet.

    base_e, incr_e, freq, pct3x3, squeeze_ratio : filters of each fire module, see above
    fires : number of fire modules
    pool_after : numbers of the layers that a pool follows: 1 is conv1, i >= 2 is fire module i
    bypass : ``simple`` adds the input of a module to its output where the channels are equal, ``complex`` in every
        module, through a 1x1 convolution where they differ
    channels : of the input picture
    size : height and width of the input picture
    conv10_pad : padding of the classifier's 1x1 convolution: 1 in Caffe's v1.0, else 0

    Raises ConfigError for values that make no network.
    """

    name: str = "squeezenet"
    base_e: int = 128
    incr_e: int = 128
    freq: int = 2
    pct3x3: float = 0.5
    squeeze_ratio: float = 0.125
    fires: int = 8
    conv1_channels: int = 96
    conv1_kernel: int = 7
    conv1_stride: int = 2
    conv1_pad: int = 0
    pool_after: tuple[int, ...] = (1, 4, 8)
    pool_kernel: int = 3
    pool_stride: int = 2
    bypass: Bypass = "none"
    classes: int = 1000
    channels: int = 3
    size: int = 224
    conv10_pad: int = 0

    def __post_init__(self) -> None:
        for field in _POSITIVE + _NOT_NEGATIVE:
            least = int(field in _POSITIVE)
            if getattr(self, field) < least:
                raise ConfigError(self.name, f"{field} is at least {least}, found {getattr(self, field)}")
        if not 0 < self.pct3x3 < 1 or not 0 < self.squeeze_ratio <= 1:
            raise ConfigError(
                self.name,
                f"pct3x3 lies between 0 and 1 and squeeze_ratio in (0, 1], found {self.pct3x3} and "
                f"{self.squeeze_ratio}",
            )
        if self.bypass not in ("none", "simple", "complex"):
            raise ConfigError(self.name, f"bypass is none, simple or complex, found {self.bypass!r}")
        stray = [n for n in self.pool_after if not 1 <= n <= self.fires + 1]
        if stray:
            raise ConfigError(self.name, f"pools follow layers 1 to {self.fires + 1}, found {stray[0]}")

    def layers(self) -> tuple[Layer, ...]:
        """The layers in order, from conv1 to the classifier's convolution (conv10 of eight fires).

        A ReLU and a global average pool follow the last one.
        """
        layers: list[Layer] = []
        conv1 = ConvLayer(
            "conv1", "features.0", self.channels, self.conv1_channels,
            self.conv1_kernel, self.conv1_stride, self.conv1_pad,
        )  # fmt: skip
        layers.append(conv1)
        index, channels = 2, conv1.outputs  # features.1 is conv1's ReLU
        for number in range(1, self.fires + 2):
            if number > 1:
                fire = self._fire(number, f"features.{index}", channels)
                layers.append(fire)
                index, channels = index + 1, fire.outputs
            if number in self.pool_after:
                layers.append(PoolLayer(f"pool{number}", self.pool_kernel, self.pool_stride))
                index += 1
        last = f"conv{self.fires + 2}"
        layers.append(ConvLayer(last, "classifier.1", channels, self.classes, 1, 1, self.conv10_pad))
        return tuple(layers)

    def convs(self) -> tuple[ConvLayer, ...]:
        """Every convolution in order; a bypass convolution follows its module's own three."""
        found: list[ConvLayer] = []
        for layer in self.layers():
            if isinstance(layer, FireLayer):
                found += layer.convs
            elif isinstance(layer, ConvLayer):
                found.append(layer)
        return tuple(found)

    def parameters(self) -> dict[str, WeightShape]:
        """Name and shape of every array of the state dict, in order."""
        shapes: dict[str, WeightShape] = {}
        for conv in self.convs():
            shapes[f"{conv.prefix}.weight"] = conv.weight_shape
            shapes[f"{conv.prefix}.bias"] = (conv.outputs,)
        return shapes

    def _fire(self, number: int, prefix: str, inputs: int) -> FireLayer:
        name = f"fire{number}"
        expand = self.base_e + self.incr_e * ((number - 2) // self.freq)
        wide = round(expand * self.pct3x3)
        squeeze = max(1, round(expand * self.squeeze_ratio))
        if not 0 < wide < expand:
            raise ConfigError(self.name, f"pct3x3 {self.pct3x3} leaves {name} a side without filters")
        bypass: Literal["none", "identity"] | ConvLayer = "none"
        if self.bypass != "none" and inputs == expand:
            bypass = "identity"
        elif self.bypass == "complex":
            bypass = ConvLayer(f"{name}.bypass", f"{prefix}.bypass", inputs, expand, 1)
        return FireLayer(
            name,
            ConvLayer(f"{name}.squeeze", f"{prefix}.squeeze", inputs, squeeze, 1),
            ConvLayer(f"{name}.expand1x1", f"{prefix}.expand1x1", squeeze, expand - wide, 1),
            ConvLayer(f"{name}.expand3x3", f"{prefix}.expand3x3", squeeze, wide, 3, 1, 1),
            bypass,
        )
