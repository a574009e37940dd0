"""The networks that can be trained by name, as PyTorch modules for any number of channels and classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dcgen.errors import ConfigError
from dcgen.models.catalogue import MODELS

if TYPE_CHECKING:
    from torch import nn

    from dcgen.models.spec import SqueezeNetSpec

Build = Callable[[int, int, int], "nn.Module"]
"""Channels, height and width in pixels, and classes to a module: pictures [N, C, H, W] to scores [N, classes]."""


@dataclass(frozen=True)
class Trainable:
    """One architecture.

    description : one line for people
    build : makes it with random weights
    size : height and width in pixels unless another is asked for
    """

    name: str
    description: str
    build: Build
    size: int


def _lenet300(channels: int, size: int, classes: int) -> nn.Module:
    from dcgen.models.torch_lenet import LeNet300

    return LeNet300(channels, size, classes)


def _lenet5(channels: int, size: int, classes: int) -> nn.Module:
    from dcgen.models.torch_lenet import LeNet5

    return LeNet5(channels, size, classes)


def _squeezenet(spec: SqueezeNetSpec) -> Build:
    def build(channels: int, size: int, classes: int) -> nn.Module:
        from dcgen.models.torch_squeezenet import SqueezeNet

        return SqueezeNet(replace(spec, channels=channels, size=size, classes=classes))

    return build


TRAINABLE = (
    Trainable("lenet300", "LeNet-300-100: two hidden layers (Han et al. 2016)", _lenet300, 28),
    Trainable("lenet5", "LeNet-5 as Caffe has it (Han et al. 2016)", _lenet5, 28),
    *(Trainable(m.name, m.description, _squeezenet(m.spec), m.spec.size) for m in MODELS),
)


def find_trainable(name: str) -> Trainable:
    """The architecture called ``name``; ConfigError listing every name if there is none."""
    for found in TRAINABLE:
        if found.name == name:
            return found
    names = ", ".join(t.name for t in TRAINABLE)
    raise ConfigError(name, f"is not a network that can be trained by name, expected one of {names}")
