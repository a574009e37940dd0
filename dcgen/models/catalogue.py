"""The networks that dcgen knows by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dcgen.errors import ConfigError
from dcgen.models.spec import SqueezeNetSpec


@dataclass(frozen=True)
class Model:
    """One named network.

    description : one line for people
    preprocess : name of the preprocessing preset that it is compiled for unless another is asked for
    checkpoint : file beside this module that holds its trained parameters, None if none ships with dcgen
    """

    spec: SqueezeNetSpec
    description: str
    preprocess: str
    checkpoint: str | None = None

    @property
    def name(self) -> str:
        """What users call it."""
        return self.spec.name

    @property
    def checkpoint_path(self) -> Path | None:
        """Where the shipped checkpoint lies, None if the model has none."""
        return Path(__file__).parent / self.checkpoint if self.checkpoint else None


V1_0 = SqueezeNetSpec("squeezenet1_0")
V1_1 = SqueezeNetSpec("squeezenet1_1", conv1_channels=64, conv1_kernel=3, pool_after=(1, 3, 5))
V1_0_CAFFE = replace(V1_0, name="squeezenet1_0_caffe", size=227, conv10_pad=1)
DIGITS = SqueezeNetSpec(
    "digits",
    base_e=32,
    incr_e=32,
    squeeze_ratio=0.25,
    fires=4,
    conv1_channels=16,
    conv1_kernel=3,
    conv1_stride=1,
    conv1_pad=1,
    pool_after=(1, 3),
    classes=10,
    channels=1,
    size=16,
)

MODELS = (
    Model(V1_0, "SqueezeNet v1.0 as in torchvision", "torchvision"),
    Model(V1_1, "SqueezeNet v1.1: the accuracy of v1.0 at 2.4 times fewer operations", "torchvision"),
    Model(V1_0_CAFFE, "SqueezeNet v1.0 as published for Caffe, conv10 padded by 1", "caffe"),
    Model(
        replace(V1_0, name="squeezenet1_0_simple_bypass", bypass="simple"),
        "SqueezeNet v1.0 with identity bypass around fire modules 3, 5, 7 and 9",
        "torchvision",
    ),
    Model(
        replace(V1_0, name="squeezenet1_0_complex_bypass", bypass="complex"),
        "SqueezeNet v1.0 with bypass around every fire module, 1x1 convolutions where channels differ",
        "torchvision",
    ),
    Model(DIGITS, "a small SqueezeNet for handwritten digits, 16x16 grey", "digits", "digits.npz"),
)


def find(name: str) -> Model:
    """The model called ``name``; ConfigError listing every name if there is none."""
    for model in MODELS:
        if model.name == name:
            return model
    raise ConfigError(name, f"is not a known model, expected one of {', '.join(m.name for m in MODELS)}")
