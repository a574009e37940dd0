"""Pictures made anew from few: what a student is shown that a teacher is shown too.

Nothing here needs a label, so nothing here has to keep one: crops may be small and pictures may be mixed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 0.6
"""Share of a picture's area that a crop may leave away, at strength 1."""
ASPECT = 0.29
"""Logarithm of a crop's aspect ratio at most: from 3:4 to 4:3."""
CONTRAST = 0.25
"""Factors of contrast lie between 1 - this and 1 + this."""
BRIGHTNESS = 0.15
"""Shifts of brightness at most, in deviations of the picture's own values."""


def mixed(pictures: Tensor, rng: np.random.Generator, share: float) -> Tensor:
    """A share of the pictures of a batch, mixed with another one of it by a factor of at least a half (mixup:
    Zhang et al. 2018): float32 [N, C, H, W] as ``pictures``."""
    import torch

    if share == 0:
        return pictures
    count = len(pictures)
    factors = np.where(rng.random(count) < share, rng.uniform(0.5, 1.0, count), 1.0)
    own = torch.from_numpy(factors.astype(np.float32)).reshape(-1, 1, 1, 1)
    return own * pictures + (1 - own) * pictures.roll(1, 0)


def augmented(pictures: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """A random crop of each picture, resized back, flipped in half of the cases, of other contrast and
    brightness: float32 [N, C, H, W] as ``pictures``.

    strength : 0 (as they are) to 1
    """
    import torch
    from torch.nn import functional as F

    if strength == 0:
        return pictures
    height, width = int(pictures.shape[2]), int(pictures.shape[3])
    made = []
    for picture in pictures:
        if rng.random() < 0.5:
            picture = picture.flip(-1)
        area = rng.uniform(1 - SMALLEST * strength, 1.0)
        aspect = math.exp(rng.uniform(-ASPECT, ASPECT) * strength)
        rows = min(height, max(1, round(height * math.sqrt(area / aspect))))
        columns = min(width, max(1, round(width * math.sqrt(area * aspect))))
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        cropped = picture[None, :, top : top + rows, left : left + columns]
        resized = F.interpolate(cropped, (height, width), mode="bilinear", align_corners=False)[0]
        factor = 1 + rng.uniform(-CONTRAST, CONTRAST) * strength
        shift = rng.uniform(-BRIGHTNESS, BRIGHTNESS) * strength * float(picture.std(correction=0))
        made.append(resized * factor + shift)
    return torch.stack(made)
