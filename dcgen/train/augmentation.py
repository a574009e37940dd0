"""Varies the pictures that a network is trained on, so that it does not learn the few it has by heart.

The student learns what the teacher answers to the same picture. No label has to stay true, so crops may be small
and pictures may be mixed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

CUT_OFF = 0.6
"""Largest share of a picture's area that a crop cuts off, at strength 1."""
ASPECT = 0.29
"""Largest natural logarithm of a crop's aspect ratio over the picture's, at strength 1: from 3:4 to 4:3."""
CONTRAST = 0.25
"""At strength 1, contrast changes by a factor from 1 - this to 1 + this."""
BRIGHTNESS = 0.15
"""Largest shift of brightness, at strength 1, in standard deviations of the picture's values."""


def mixed(pictures: Tensor, rng: np.random.Generator, share: float) -> Tensor:
    """The pictures of a batch, float32 [N, C, H, W], some of them mixed with another one of the batch (mixup:
    Zhang et al. 2018): at least half of each is still its own.

    share : probability that a picture is mixed
    """
    import torch

    if share == 0:
        return pictures
    count = len(pictures)
    factors = np.where(rng.random(count) < share, rng.uniform(0.5, 1.0, count), 1.0)
    own = torch.from_numpy(factors.astype(np.float32)).reshape(-1, 1, 1, 1)
    return own * pictures + (1 - own) * pictures.roll(1, 0)


def augmented(pictures: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Each picture, float32 [N, C, H, W], cropped at random and resized to its size again, mirrored in half of
    the cases, and changed in contrast and brightness.

    strength : 0 (pictures as they are) to 1
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
        area = rng.uniform(1 - CUT_OFF * strength, 1.0)
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
