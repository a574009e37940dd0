"""What a network is trained on: labelled samples as camera bytes, split once by a seed and named by hashes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import PictureError
from dcgen.inputs.samples import ArrayFile, InputForm, Samples
from dcgen.inputs.tensor import U8, TensorInput, calibrated
from dcgen.pictures import Preprocess
from dcgen.progress import Warn, unheard

I64 = NDArray[np.int64]
HELD_OUT = 0.1
"""Share of the samples that is held out of training, to choose between networks."""
MOST_HELD_OUT = 5_000
"""Most samples that are held out: of so many an error of 1 % has a standard error of 0.14 points."""
AT_ONCE = 500
"""Pictures whose bytes are counted at once: NumPy takes eight bytes for each."""


@dataclass(frozen=True, eq=False)
class Part:
    """Samples with their classes.

    data : bytes, uint8 [N, H, W, C]
    labels : int64 [N]
    """

    data: U8
    labels: I64

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def hash(self) -> str:
        """SHA-256 of the bytes and classes, in hexadecimal."""
        found = hashlib.sha256(np.ascontiguousarray(self.data).data)
        found.update(self.labels.astype("<i8").tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training set, split.

    train : samples that gradients are computed on
    held_out : samples that choices are made on
    classes : number of classes
    form : how bytes become the network's input
    """

    train: Part
    held_out: Part
    classes: int
    form: InputForm

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a sample."""
        return self.train.data.shape[1], self.train.data.shape[2]

    def to_json(self) -> dict[str, Any]:
        """How many samples each part has, and which, by hash."""
        parts = {"train": self.train, "held_out": self.held_out}
        return {
            "classes": self.classes,
            **{name: {"n": len(part), "sha256": part.hash} for name, part in parts.items()},
        }


def labels_of(samples: Samples) -> I64:
    """The classes of all ``samples``, int64 [N]. Raises PictureError where they say none."""
    if samples.labels is None:
        problem = "says no classes of its samples"
        raise PictureError(samples.path, problem, "give class folders, or x_train and y_train in an .npz file")
    return samples.labels


def read_dataset(
    samples: Samples,
    form: InputForm | None,
    size: tuple[int, int],
    seed: int,
    warn: Warn,
    shape: tuple[int, int, int] | None = None,
) -> Dataset:
    """All ``samples``, which must have classes, for an input of (height, width) ``size``.

    form : None for the mean and deviation of each channel of the pictures that are trained on, ``order`` grey or
        rgb as they are; or for the range of real values
    shape : (C, H, W) that real values are for; None for the shape that they have themselves

    Raises PictureError where samples have no classes, are of one class only, or neither pictures nor real values.
    """
    labels = labels_of(samples)
    classes = int(labels.max()) + 1
    if classes < 2:
        raise PictureError(samples.path, "has samples of one class only, expected two or more")
    drawn = np.random.default_rng([seed, 0]).permutation(len(labels))
    n = min(round(HELD_OUT * len(labels)), MOST_HELD_OUT)
    if not 0 < n < len(labels):
        raise PictureError(samples.path, f"has {len(labels)} samples, too few to hold some out")
    measured = form is None
    if form is None:
        form = _values(samples, drawn[n:], shape) if samples.kind(None) == "float32" else _plain(samples, size)
    if isinstance(form, TensorInput):
        size = form.shape[1:]
    data = samples.load(drawn.tolist(), form, size, warn).data
    train, held_out = Part(data[n:], labels[drawn[n:]]), Part(data[:n], labels[drawn[:n]])
    if measured and isinstance(form, Preprocess):
        form = _measured(form, train.data)
    return Dataset(train, held_out, classes, form)


def _values(samples: Samples, which: I64, shape: tuple[int, int, int] | None) -> TensorInput:
    """The form of real values whose bytes cover the range of the samples of these indices, and 0.0."""
    assert isinstance(samples, ArrayFile)
    shape = shape or samples.shape
    return calibrated(samples.values(which.tolist(), shape, unheard), shape, holds_zero=True)


def _plain(samples: Samples, size: tuple[int, int]) -> Preprocess:
    """Bytes as they are, of one channel where the first sample is grey, else of three. Raises PictureError where
    samples are no pictures."""
    if samples.kind(None) != "pictures":
        expected = "uint8 pictures [N, H, W] or [N, H, W, C], or float32 values"
        raise PictureError(samples.path, f"holds neither pictures nor real values, expected {expected}")
    channels = samples.channels
    order = {1: "grey", 3: "rgb"}.get(channels, "as-is")
    longer = max(size)
    return Preprocess("trained", order, (0.0,) * channels, (1.0,) * channels, "squash", longer, longer)  # type: ignore[arg-type]


def _measured(plain: Preprocess, data: U8) -> Preprocess:
    """The preprocessing that gives each channel of ``data`` mean 0 and deviation 1, to a tenth of a byte."""
    values = np.arange(256)
    means, deviations = [], []
    for channel in range(data.shape[3]):
        plane = data[..., channel]
        parts = (plane[i : i + AT_ONCE].reshape(-1) for i in range(0, len(plane), AT_ONCE))
        shares = np.sum([np.bincount(part, minlength=256) for part in parts], 0) / plane.size
        mean = float(shares @ values)
        means.append(round(mean, 1))
        deviations.append(max(1.0, round(float(np.sqrt(shares @ (values - mean) ** 2)), 1)))
    return replace(plain, mean=tuple(means), std=tuple(deviations))


def batches(count: int, size: int, rng: np.random.Generator) -> list[I64]:
    """Indices of the samples of an epoch's steps, in random order; the last that fill no step are left out."""
    order = rng.permutation(count)
    return [order[i : i + size] for i in range(0, max(1, count - size + 1), size)]
