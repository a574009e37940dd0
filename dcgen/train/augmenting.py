"""Varies the pictures of a training step so that their classes stay true: moved, cropped, mirrored."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from dcgen.inputs.samples import InputForm
from dcgen.inputs.tensor import U8
from dcgen.pictures import Preprocess
from dcgen.train.stage import Schedule

SMALL = 64
"""Pixels of a side up to which coloured pictures are moved, by ``SHIFT`` of it; larger ones are cropped."""
SHIFT = 1 / 8
"""4 of 32 pixels, as in He et al. 2016, section 4.2."""
GREY_SHIFT = 2
CROP = 0.35
"""Least share of the area that is kept: a classic of ImageNet is 0.08, which suits longer trainings."""
ASPECT = math.log(4 / 3)
"""Largest natural logarithm of a crop's aspect ratio over the picture's."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to a picture, with limits as in ``Schedule``."""

    shift: int
    crop: float
    mirror: bool


def suited(schedule: Schedule, form: InputForm) -> Schedule:
    """The schedule with its augmentation as suits the samples, where it does not say it.

    Grey pictures, which are mostly of signs, are moved by ``GREY_SHIFT`` pixels; coloured ones are moved or
    cropped, and mirrored; samples that are no pictures stay as they are.
    """
    found = Augmentation(0, 1.0, False)
    if isinstance(form, Preprocess):
        if form.channels == 1:
            found = replace(found, shift=GREY_SHIFT)
        elif form.size <= SMALL:
            found = Augmentation(round(SHIFT * form.size), 1.0, True)
        else:
            found = Augmentation(0, CROP, True)
    return replace(
        schedule,
        shift=found.shift if schedule.shift is None else schedule.shift,
        crop=found.crop if schedule.crop is None else schedule.crop,
        mirror=found.mirror if schedule.mirror is None else schedule.mirror,
    )


def varied(data: U8, rng: np.random.Generator, schedule: Schedule, fill: U8) -> U8:
    """Each picture, uint8 [N, H, W, C], varied as ``schedule`` says.

    fill : uint8 [C], what comes in where a picture is moved
    """
    data = shifted(data, rng, schedule.shift or 0, fill)
    data = cropped(data, rng, schedule.crop or 1.0)
    return mirrored(data, rng) if schedule.mirror else data


def shifted(data: U8, rng: np.random.Generator, most: int, fill: U8) -> U8:
    """Each picture, uint8 [N, H, W, C], moved by up to ``most`` pixels along both axes; ``fill``, uint8 [C], is
    what comes in."""
    if most == 0:
        return data
    count, high, wide, channels = data.shape
    padded = np.empty((count, high + 2 * most, wide + 2 * most, channels), np.uint8)
    padded[:] = fill
    padded[:, most : most + high, most : most + wide] = data
    rows, columns = rng.integers(0, 2 * most + 1, (2, count))
    moved = np.empty_like(data)
    for i in range(count):  # a copy of each is faster than an index of every pixel
        moved[i] = padded[i, rows[i] : rows[i] + high, columns[i] : columns[i] + wide]
    return moved


def cropped(data: U8, rng: np.random.Generator, least: float) -> U8:
    """A part of each picture, uint8 [N, H, W, C], that has at least ``least`` of its area, resized to its size."""
    if least == 1:
        return data
    count = len(data)
    aspects = np.exp(rng.uniform(-ASPECT, ASPECT, count) / 2)
    side = np.sqrt(rng.uniform(least, 1.0, count))
    rows, columns = np.minimum(side / aspects, 1), np.minimum(side * aspects, 1)
    down, right = rng.uniform(-1, 1, (2, count))
    places = np.zeros((count, 2, 3), np.float32)
    places[:, 0, 0], places[:, 0, 2] = columns, right * (1 - columns)
    places[:, 1, 1], places[:, 1, 2] = rows, down * (1 - rows)
    planes = torch.from_numpy(data).permute(0, 3, 1, 2).float()
    grid = F.affine_grid(torch.from_numpy(places), list(planes.shape), align_corners=False)
    made = F.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    return made.round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def mirrored(data: U8, rng: np.random.Generator) -> U8:
    """Each picture, uint8 [N, H, W, C], mirrored left to right in half of the cases."""
    flip = rng.random(len(data)) < 0.5
    found = data.copy()
    found[flip] = found[flip, :, ::-1]
    return found
