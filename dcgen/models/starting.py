"""A network as a training starts with it: of random weights, or with those of a file but for its classifier."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dcgen.errors import ConfigError, DcgenError
from dcgen.limits import LIMITS
from dcgen.models.trainable import Size, Trainable
from dcgen.models.weights import check_arrays, read_arrays

LARGEST = 256
"""Largest size that is tried where pictures are too small."""
_COUNTER = "num_batches_tracked"
"""What batch normalisations keep beside their arrays; nothing depends on it."""


def started(network: Trainable, channels: int, size: Size, classes: int, weights: Path | None) -> nn.Module:
    """A module of that network, float32 [N, channels, H, W] to scores [N, classes].

    weights : file of a state dict to start from, of any number of classes; None for random weights

    Raises ConfigError where inputs are too small for the network, which has more weights than dcgen compiles, or
    does not give one score for each class. WeightsError where an array of the file does not fit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch, about layers without elements; such inputs are too small
            module = network.build(network.settings, channels, size, classes)
            _check_parameters(network, module, size)
            shape = tuple(_scores(module, channels, size).shape)
    except DcgenError:
        raise
    except Exception as e:  # whatever the module raises
        if (least := _least(network, channels, size, classes)) is not None:
            problem = f"inputs of {size[0]}x{size[1]} are too small for it, expected at least {least}x{least}"
            raise ConfigError(network.name, problem, "give `input_size`") from None
        problem = f"cannot take inputs of {channels} x {size[0]} x {size[1]}"
        raise ConfigError(network.name, f"{problem}: {e}") from None
    if shape != (1, classes):
        problem = f"gives scores of shape {list(shape[1:])} for a sample"
        raise ConfigError(network.name, f"{problem}, expected [{classes}], one for each class")
    if weights is not None:
        _load(module, network, (channels, size, classes), weights)
    return module


def _check_parameters(network: Trainable, module: nn.Module, size: Size) -> None:
    count = sum(p.numel() for p in module.parameters())
    if count > LIMITS.parameters:
        problem = f"has {count:,} parameters for inputs of {size[0]}x{size[1]}, expected at most"
        raise ConfigError(network.name, f"{problem} {LIMITS.parameters:,}", "a smaller `input_size`")


def _scores(module: nn.Module, channels: int, size: Size) -> Tensor:
    """The scores of an input of zeros."""
    module.eval()
    with torch.no_grad():
        found: Tensor = module(torch.zeros(1, channels, *size))
    module.train()
    return found


def _least(network: Trainable, channels: int, size: Size, classes: int) -> int | None:
    """The least square size above ``size`` that the network takes; None where none up to ``LARGEST`` is."""
    for side in range(max(size) + 1, LARGEST + 1):
        try:
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _scores(network.build(network.settings, channels, (side, side), classes), channels, (side, side))
            return side
        except Exception:  # whatever the module raises
            continue
    return None


def _load(module: nn.Module, network: Trainable, made_of: tuple[int, Size, int], path: Path) -> None:
    """Take over the arrays in ``path``. Those whose shape depends on the number of classes stay as they are where
    the file has another one.

    made_of : channels, size and classes of the module
    """
    channels, size, classes = made_of
    with torch.device("meta"):
        wider = network.build(network.settings, channels, size, classes + 1).state_dict()
    own = {k: tuple(v.shape) for k, v in module.state_dict().items() if not k.endswith(_COUNTER)}
    arrays = {k: v for k, v in read_arrays(path).items() if not k.endswith(_COUNTER)}
    new = {k for k, s in own.items() if tuple(wider[k].shape) != s and k in arrays and arrays[k].shape != s}
    expected = {k: s for k, s in own.items() if k not in new}
    given = {k: v for k, v in arrays.items() if k not in new}
    found = check_arrays(given, expected, network.name, path)
    state = {k: torch.from_numpy(np.array(v)) for k, v in found.items()}
    module.load_state_dict({**module.state_dict(), **state})
