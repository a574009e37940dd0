"""The networks that can be trained by name, for any number of channels and classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from dcgen.compress.settings import configured
from dcgen.errors import ConfigError
from dcgen.models.catalogue import MODELS
from dcgen.models.spec import SqueezeNetSpec
from dcgen.models.torch_alexnet import AlexNet, Vgg, VggSpec
from dcgen.models.torch_lenet import LeNet5, LeNet300
from dcgen.models.torch_resnet import ResNet, ResNetSpec
from dcgen.models.torch_separable import DsCnn, DsCnnSpec, MobileNet, MobileNetSpec
from dcgen.models.torch_squeezenet import SqueezeNet
from dcgen.train.stage import Schedule

Size = tuple[int, int]
"""Height and width of an input; of pictures, in pixels."""
Build = Callable[[Any, int, Size, int], nn.Module]
"""Settings, channels, size and classes to a module: inputs float32 [N, C, H, W] to scores [N, classes]."""


SMALL = Schedule(epochs=20)
NORMALISED = Schedule(
    epochs=30, optimizer="sgd", rate=0.1, warmup=0.2, decay="cosine", weight_decay=5e-4
)  # fmt: skip
"""For networks with batch normalisation: one cycle (Smith & Topin 2018)."""
PLAIN = Schedule(epochs=40, rate=3e-4, warmup=0.05, decay="cosine")
"""For deep networks without batch normalisation, whose first steps must be small."""


@dataclass(frozen=True)
class NoSettings:
    """The settings of an architecture that has none."""


@dataclass(frozen=True)
class Trainable:
    """One architecture.

    description : one line for people
    build : makes it with random weights
    size : of its input unless another is asked for
    settings : a dataclass
    schedule : how it is trained from random weights unless a stage says otherwise
    """

    name: str
    description: str
    build: Build
    size: Size
    settings: Any = NoSettings()
    schedule: Schedule = NORMALISED


FROM_DATA = ("name", "channels", "size", "classes")
"""Fields of a SqueezeNet's specification that follow from what it is trained on."""


def _squeezenet(spec: SqueezeNetSpec, channels: int, size: Size, classes: int) -> nn.Module:
    return SqueezeNet(replace(spec, channels=channels, size=max(size), classes=classes))


def _of_any_size(kind: Callable[[Any, int, int], nn.Module]) -> Build:
    """What makes a network of settings, channels and classes, whatever the size of its input."""
    return lambda settings, channels, _, classes: kind(settings, channels, classes)


def _without_settings(kind: Callable[[int, Size, int], nn.Module]) -> Build:
    """What makes a network of channels, size and classes, which has no settings."""
    return lambda _, channels, size, classes: kind(channels, size, classes)


TRAINABLE = (
    Trainable(
        "lenet300",
        "LeNet-300-100: two hidden layers (Han et al. 2016)",
        _without_settings(LeNet300),
        (28, 28),
        schedule=SMALL,
    ),
    Trainable(
        "lenet5",
        "LeNet-5 as Caffe has it (Han et al. 2016)",
        _without_settings(LeNet5),
        (28, 28),
        schedule=SMALL,
    ),
    Trainable(
        "alexnet",
        "AlexNet (Krizhevsky et al. 2012)",
        _without_settings(AlexNet),
        (227, 227),
        schedule=PLAIN,
    ),
    Trainable("vgg16", "VGG-16 (Simonyan & Zisserman 2015)", Vgg, (224, 224), VggSpec(), PLAIN),
    Trainable(
        "vgg16_bn", "VGG-16 with batch normalisation", Vgg, (224, 224), VggSpec(batch_norm=True), NORMALISED
    ),
    Trainable(
        "resnet8",
        "ResNet-8 of MLPerf Tiny's image classification",
        _of_any_size(ResNet),
        (32, 32),
        ResNetSpec(blocks=1, projection=True),
        NORMALISED,
    ),
    Trainable("resnet20", "ResNet-20 (He et al. 2016)", _of_any_size(ResNet), (32, 32), ResNetSpec(), NORMALISED),
    *(
        Trainable(
            f"mobilenet1-{width:g}",
            f"MobileNetV1 of width {width:g} (Howard et al. 2017)",
            _of_any_size(MobileNet),
            (96, 96) if width == 0.25 else (224, 224),
            MobileNetSpec(width),
            NORMALISED,
        )
        for width in (0.25, 0.5, 0.75, 1.0)
    ),
    Trainable(
        "dscnn",
        "DS-CNN of MLPerf Tiny's keyword spotting (Zhang et al. 2017)",
        _of_any_size(DsCnn),
        (49, 10),
        DsCnnSpec(),
        Schedule(epochs=30, warmup=0.1, decay="cosine", weight_decay=0.01),
    ),
    Trainable(
        "squeezenet",
        "a SqueezeNet by its metaparameters (Iandola et al. 2016, section 5)",
        _squeezenet,
        (224, 224),
        SqueezeNetSpec(),
        PLAIN,
    ),
    *(Trainable(m.name, m.description, _squeezenet, (m.spec.size, m.spec.size), m.spec, PLAIN) for m in MODELS),
)
NAMES = tuple(t.name for t in TRAINABLE)


def find_trainable(name: str, settings: Mapping[str, str]) -> Trainable:
    """The architecture called ``name``, with its ``settings`` changed.

    Raises ConfigError listing every name, or every setting, if there is none of that name; and for a setting that
    is out of its range.
    """
    for found in TRAINABLE:
        if found.name == name:
            if settings and isinstance(found.settings, NoSettings):
                raise ConfigError(name, "has no settings", "leave out `settings`")
            fixed = [key for key in settings if key in FROM_DATA]
            if fixed:
                raise ConfigError(fixed[0], "follows from what is trained on", "leave it out")
            return replace(found, settings=configured(found.settings, name, settings))
    problem = f"is not a network that can be trained by name, expected one of {', '.join(NAMES)}"
    raise ConfigError(name, problem, "or name a Python file or a model file")
