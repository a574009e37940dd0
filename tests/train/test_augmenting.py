"""Pictures of a training step are varied as far as the schedule allows, by default as suits them."""

from __future__ import annotations

import numpy as np
import pytest

from dcgen.inputs.tensor import TensorInput
from dcgen.pictures import explicit
from dcgen.train.augmenting import cropped, mirrored, shifted, suited, varied
from dcgen.train.stage import Schedule

ROWS, COLUMNS = np.mgrid[:16, :12]
RAMPS = np.broadcast_to(np.stack([8 * ROWS, 8 * COLUMNS], 2).astype(np.uint8), (200, 16, 12, 2)).copy()
"""Pictures whose channels say the row and the column of a pixel, times 8."""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_defaults_suit_the_samples() -> None:
    def default(form: object) -> tuple[object, ...]:
        found = suited(Schedule(), form)  # type: ignore[arg-type]
        return found.shift, found.crop, found.mirror

    assert default(explicit("grey", [0.0], [1.0], "squash", None, 28)) == (2, 1.0, False)
    assert default(explicit("rgb", [0.0] * 3, [1.0] * 3, "squash", None, 32)) == (4, 1.0, True)
    assert default(explicit("rgb", [0.0] * 3, [1.0] * 3, "squash", None, 128)) == (0, 0.35, True)
    assert default(TensorInput("float32", 1.0, 0.0, (1, 49, 10))) == (0, 1.0, False)


def test_what_a_stage_says_is_kept() -> None:
    colour = explicit("rgb", [0.0] * 3, [1.0] * 3, "squash", None, 32)
    found = suited(Schedule(shift=0, mirror=False), colour)
    assert (found.shift, found.mirror) == (0, False)


def test_without_augmentation_samples_stay_as_they_are() -> None:
    schedule = Schedule(shift=0, crop=1.0, mirror=False)
    assert varied(RAMPS, rng(), schedule, np.zeros(2, np.uint8)) is RAMPS


def test_shifts_are_uniform_and_filled() -> None:
    moved = shifted(RAMPS + 1, rng(), 2, np.array([0, 255], np.uint8))
    inside = moved[:, 4:12, 4:8].astype(int) - 1
    down = inside[..., 0] - 8 * ROWS[4:12, 4:8]
    assert sorted(set(down.reshape(-1) // 8)) == [-2, -1, 0, 1, 2]
    assert (down == down[:, :1, :1]).all()
    filled = moved[down[:, 0, 0] == 16]
    assert (filled[:, -2:] == (0, 255)).all()


def test_half_of_the_pictures_are_mirrored() -> None:
    found = mirrored(RAMPS, rng())
    flipped = (found == RAMPS[:, :, ::-1]).all((1, 2, 3))
    assert 70 < flipped.sum() < 130 and ((found == RAMPS).all((1, 2, 3)) ^ flipped).all()


@pytest.mark.parametrize("least", [0.3, 0.8])
def test_crops_keep_their_share_of_the_area(least: float) -> None:
    """A ramp stays a ramp when it is resized; its slope says how much was cut off."""
    found = cropped(RAMPS, rng(), least).astype(float)
    inner = found[:, 4:12, 3:9]  # the border repeats the outermost pixels
    high = (inner[:, -1, :, 0] - inner[:, 0, :, 0]).mean(1) / (8 * 7)
    wide = (inner[:, :, -1, 1] - inner[:, :, 0, 1]).mean(1) / (8 * 5)
    area = high * wide
    assert least * 0.85 - 0.02 < area.min() < least + 0.1 and 0.9 < area.max() < 1.04
    assert 0.7 < (high / wide).min() < 0.95 and 1.05 < (high / wide).max() < 1.4
    assert np.ptp(found[:, 8, 6, 0]) > 8 and np.ptp(found[:, 8, 6, 1]) > 4


def test_the_same_seed_gives_the_same_pictures() -> None:
    schedule = Schedule(shift=1, crop=0.5, mirror=True)
    first, second = (varied(RAMPS, rng(), schedule, np.zeros(2, np.uint8)) for _ in range(2))
    assert np.array_equal(first, second)
