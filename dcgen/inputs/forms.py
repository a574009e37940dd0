"""Whether samples suit a network, and how they become the bytes that it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from dcgen.errors import ConfigError, PictureError
from dcgen.inputs.labels import I64
from dcgen.inputs.picture_files import MODES
from dcgen.inputs.samples import InputForm, Kind
from dcgen.inputs.tensor import TensorInput
from dcgen.pictures import Preprocess
from dcgen.progress import Warn

_TRAINING = re.compile(r"(?<![a-z])train(ing)?(?![a-z])", re.IGNORECASE)


def warn_of_training(path: Path, warn: Warn) -> None:
    """A warning where a path names a training set, such as ``data/train``: a network answers right more often on
    what it was trained on than on anything else, and so does what is made from it."""
    if found := _TRAINING.search(str(path)):
        warn(f"{path}: by its name ({found[0]}) a training set, on which accuracy may be better than elsewhere")


def check_classes(path: Path, found: I64 | None, scores: int, *, asked: bool) -> I64 | None:
    """Classes of samples of a network with that many scores; None where they say nothing of it.

    asked : whether the user named a file of labels; else they come with the samples, and are left out where the
        network has one score, and so no classes

    Raises PictureError naming ``path`` for a class that the network does not have.
    """
    if found is None or (scores == 1 and not asked):
        return None
    if len(found) and found.max() >= scores:
        raise PictureError(path, f"names class {found.max()}, the network has {scores}")
    return found


def choose_form(
    path: Path, kind: Kind, chosen: InputForm | None, default: Preprocess | None, own: TensorInput | None
) -> InputForm | None:
    """How samples of a ``kind`` become the bytes of a network; None where real values are still to be calibrated.

    path : names the samples in errors
    chosen : preprocessing that the user asks for, or the form of values that a training has fixed
    default : preprocessing that the model states, for pictures
    own : the network's own input where that is of integers

    Raises ConfigError or PictureError where the kind does not suit the network or the preprocessing.
    """
    if isinstance(chosen, TensorInput):
        if kind != chosen.given:
            raise PictureError(path, f"holds {kind}, the network takes {chosen.name}", "give these")
        return chosen
    if kind == "pictures":
        if chosen or default or own is None:
            return chosen or default
        return own_preprocess(own)
    if chosen is not None:
        problem = f"holds {kind} values, which go to the network as they are"
        raise ConfigError(path, problem, "leave out `preprocess`, `mean`, `std` and `order`")
    if kind == "float32" or (own is not None and own.given == kind):
        return own
    takes = "float values" if own is None else f"{own.given} values"
    raise PictureError(path, f"x is {kind}, the network takes {takes}", "give float32 values, or uint8 pictures")


def own_preprocess(own: TensorInput) -> Preprocess | None:
    """The preprocessing of pictures for a network that takes integers; None where these can be no picture."""
    channels = own.channels
    if channels not in MODES:
        return None
    order: Literal["grey", "rgb", "as-is"] = "grey" if channels == 1 else "rgb" if channels == 3 else "as-is"
    size = max(own.shape[1:])
    return Preprocess("own", order, (own.byte_zero,) * channels, own.std, "squash", size, size)
