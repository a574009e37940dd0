"""What the networks of the zoo learn: pictures drawn by formulas, each with its class or its values.

Each public function takes a random generator, a number of samples and its settings. It returns pictures uint8
[N, H, W, C] and their targets: class indices int64 [N], or values float32 [N, O]. What makes a class what it is (a
glyph's strokes, a texture's frequencies) comes from a seed of the task, so that all draws have the same classes.
Noise and overlap keep the tasks from being trivial.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Size = tuple[int, int]
Samples = tuple[U8, NDArray[Any]]


def _grid(size: Size) -> tuple[F64, F64]:
    """Coordinates y [1, H, 1] and x [1, 1, W] of the pixels, -1 to 1 along the longer side."""
    height, width = size
    longest = max(size)
    y = (np.arange(height) * 2 + 1 - height) / longest
    x = (np.arange(width) * 2 + 1 - width) / longest
    return y[None, :, None], x[None, None, :]


def _uniform(rng: np.random.Generator, n: int, low: float, high: float) -> F64:
    """One number for each of ``n`` pictures: [N, 1, 1]."""
    return rng.uniform(low, high, (n, 1, 1))


def _bytes(planes: F64, rng: np.random.Generator, noise: float) -> U8:
    """Pictures uint8 [N, H, W, C] of values 0 to 1, [N, H, W] or [N, H, W, C], with Gaussian noise added."""
    planes = planes if planes.ndim == 4 else planes[..., None]
    noisy = planes + noise * rng.standard_normal(planes.shape)
    return np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)


def _painted(mask: F64, rng: np.random.Generator, channels: int, contrast: float) -> F64:
    """``mask`` [N, H, W] of 0 to 1 as pictures [N, H, W, C]: a light figure on a dark ground, or the reverse.

    contrast : least difference of figure and ground, in at least one channel
    """
    n = len(mask)
    ground = rng.uniform(0, 1 - contrast, (n, channels))
    figure = ground + (contrast + (1 - contrast - ground) * rng.uniform(0, 1, (n, channels)))
    swapped = rng.random((n, 1)) < 0.5
    ground, figure = np.where(swapped, figure, ground), np.where(swapped, ground, figure)
    return ground[:, None, None] + (figure - ground)[:, None, None] * mask[..., None]


def gratings(
    rng: np.random.Generator, n: int, *, size: Size, classes: int, channels: int, jitter: float, noise: float
) -> Samples:
    """Stripes; the class is their direction. ``jitter`` is the angle's deviation, in steps between classes."""
    y, x = _grid(size)
    labels = rng.integers(0, classes, n)
    angle = (labels + jitter * rng.standard_normal(n))[:, None, None] * np.pi / classes
    across = np.cos(angle) * x + np.sin(angle) * y
    waves = np.sin(across * _uniform(rng, n, 7, 13) + _uniform(rng, n, 0, 2 * np.pi))
    picture = 0.5 + _uniform(rng, n, 0.15, 0.45) * waves
    tint = rng.uniform(0.5, 1, (n, 1, 1, channels)) if channels > 1 else np.ones((n, 1, 1, 1))
    return _bytes(picture[..., None] * tint, rng, noise), labels


def _turned(rng: np.random.Generator, n: int, size: Size, radius: tuple[float, float]) -> tuple[F64, F64]:
    """Coordinates (u, v), [N, H, W] each, of a figure of radius 1 that is moved, turned and scaled at random."""
    y, x = _grid(size)
    r = _uniform(rng, n, *radius)
    extent = [s / max(size) for s in size]
    cy, cx = ((e - 0.9 * r) * _uniform(rng, n, -1, 1) for e in extent)
    angle = _uniform(rng, n, 0, 2 * np.pi)
    u = ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)) / r
    v = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) / r
    return u, v


SHAPES: tuple[Callable[[F64, F64], F64], ...] = (
    lambda u, v: 0.85 - np.hypot(u, v),
    lambda u, v: 0.75 - np.maximum(abs(u), abs(v)),
    lambda u, v: np.minimum(v + 0.5, 0.5 - abs(u) * 0.87 - v * 0.5),
    lambda u, v: np.maximum(np.minimum(0.95 - abs(u), 0.25 - abs(v)), np.minimum(0.95 - abs(v), 0.25 - abs(u))),
    lambda u, v: 0.17 - abs(np.hypot(u, v) - 0.75),
    lambda u, v: np.minimum(1 - abs(u), 0.22 - abs(v)),
    lambda u, v: np.minimum(0.9 - np.hypot(u, v), v),
    lambda u, v: np.maximum(0.38 - np.hypot(u - 0.6, v), 0.38 - np.hypot(u + 0.6, v)),
    lambda u, v: np.minimum(0.9 - np.hypot(u, v), np.hypot(u - 0.5, v) - 0.7),
    lambda u, v: 0.62 + 0.33 * np.cos(5 * np.arctan2(v, u)) - np.hypot(u, v),
    lambda u, v: np.maximum(
        np.minimum(0.9 - abs(u), 0.2 - abs(v + 0.7)), np.minimum(0.9 - abs(v), 0.2 - abs(u - 0.7))
    ),
    lambda u, v: np.minimum(0.85 - np.maximum(abs(u), abs(v)), np.maximum(abs(u), abs(v)) - 0.45),
)
"""Functions of (u, v) that are positive inside a shape of radius 1."""


def shapes(
    rng: np.random.Generator,
    n: int,
    *,
    size: Size,
    classes: int,
    channels: int,
    radius: tuple[float, float],
    noise: float,
) -> Samples:
    """One shape anywhere, of any colour, size and direction; the class is the shape."""
    labels = rng.integers(0, classes, n)
    u, v = _turned(rng, n, size, radius)
    mask = np.empty(u.shape)
    for k in range(classes):
        mask[labels == k] = SHAPES[k](u[labels == k], v[labels == k])
    soft = 1 / (1 + np.exp(-np.clip(mask * max(size) * 0.7, -30, 30)))
    return _bytes(_painted(soft, rng, channels, 0.35), rng, noise), labels


def glyphs(
    rng: np.random.Generator,
    n: int,
    *,
    size: Size,
    classes: int,
    channels: int,
    seed: int,
    tilt: float,
    noise: float,
) -> Samples:
    """Made-up letters of 6 x 6 cells, moved, scaled, turned by up to ``tilt`` radians; the class is the letter."""
    letters = np.pad(np.random.default_rng(seed).random((classes, 6, 6)) < 0.45, ((0, 0), (1, 2), (1, 2)))
    labels = rng.integers(0, classes, n)
    y, x = _grid(size)
    angle, scale = _uniform(rng, n, -tilt, tilt), _uniform(rng, n, 0.75, 0.95)
    dy, dx = _uniform(rng, n, -0.12, 0.12), _uniform(rng, n, -0.12, 0.12)
    row = ((y - dy) * np.cos(angle) - (x - dx) * np.sin(angle)) / scale * 3 + 3.5
    column = ((x - dx) * np.cos(angle) + (y - dy) * np.sin(angle)) / scale * 3 + 3.5
    row, column = np.clip(row, 0, 7.999), np.clip(column, 0, 7.999)
    top, left = row.astype(np.int64), column.astype(np.int64)
    a, b = row - top, column - left
    k = labels[:, None, None]
    upper = (1 - b) * letters[k, top, left] + b * letters[k, top, left + 1]
    lower = (1 - b) * letters[k, top + 1, left] + b * letters[k, top + 1, left + 1]
    return _bytes(_painted((1 - a) * upper + a * lower, rng, channels, 0.4), rng, noise), labels


def textures(
    rng: np.random.Generator, n: int, *, size: Size, classes: int, channels: int, seed: int, noise: float
) -> Samples:
    """Three waves of fixed directions, lengths and colours in each class, at random phases and strengths."""
    fixed = np.random.default_rng(seed)
    frequency = fixed.uniform(3, 0.35 * np.pi * max(size), (classes, 3))
    angle = fixed.uniform(0, np.pi, (classes, 3))
    colour = fixed.uniform(-1, 1, (classes, 3, channels))
    colour /= np.abs(colour).max(axis=2, keepdims=True)
    labels = rng.integers(0, classes, n)
    y, x = _grid(size)
    picture = np.full((n, *size, channels), 0.5)
    for wave in range(3):
        turned = angle[labels, wave][:, None, None] + 0.05 * rng.standard_normal((n, 1, 1))
        across = np.cos(turned) * x + np.sin(turned) * y
        phase = across * frequency[labels, wave][:, None, None] + _uniform(rng, n, 0, 2 * np.pi)
        strength = _uniform(rng, n, 0.08, 0.2) * np.sin(phase)
        picture += strength[..., None] * colour[labels, wave][:, None, None]
    return _bytes(picture, rng, noise), labels


def counts(
    rng: np.random.Generator,
    n: int,
    *,
    size: Size,
    most: int,
    channels: int,
    noise: float,
    as_values: bool = False,
) -> Samples:
    """One to ``most`` bright spots on a dark ground, which may overlap; the class (or value) is their number."""
    numbers = rng.integers(1, most + 1, n)
    y, x = _grid(size)
    spots = np.zeros((n, *size))
    extent = [0.8 * s / max(size) for s in size]
    for i in range(most):
        cy, cx = (e * _uniform(rng, n, -1, 1) for e in extent)
        spot = _uniform(rng, n, 0.6, 1) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 0.09**2))
        spots = np.maximum(spots, np.where((i < numbers)[:, None, None], spot, 0))
    tint = rng.uniform(0.6, 1, (n, 1, 1, channels))
    picture = _bytes(0.1 + 0.8 * spots[..., None] * tint, rng, noise)
    return picture, numbers[:, None].astype(np.float32) if as_values else numbers - 1


def presence(rng: np.random.Generator, n: int, *, size: Size, channels: int, noise: float) -> Samples:
    """A faint disc or ring on uneven ground (1), or the ground alone (0): float32 [N, 1]."""
    present = rng.integers(0, 2, n)
    y, x = _grid(size)
    ground = 0.5 + 0.2 * _uniform(rng, n, -1, 1) * x + 0.2 * _uniform(rng, n, -1, 1) * y
    u, v = _turned(rng, n, size, (0.3, 0.6))
    radius = np.hypot(u, v)
    figure = np.where(_uniform(rng, n, 0, 1) < 0.5, radius < 0.8, abs(radius - 0.65) < 0.2)
    strength = _uniform(rng, n, 0.12, 0.3) * np.where(_uniform(rng, n, 0, 1) < 0.5, -1, 1)
    picture = ground + strength * figure * present[:, None, None]
    tint = rng.uniform(0.8, 1, (n, 1, 1, channels))
    return _bytes(picture[..., None] * tint, rng, noise), present[:, None].astype(np.float32)


def ball(rng: np.random.Generator, n: int, *, size: Size, channels: int, noise: float, unit: float) -> Samples:
    """A ball: float32 [N, 3] of its column and row (0 to ``unit``) and its radius in pixels."""
    y, x = _grid(size)
    r = _uniform(rng, n, 0.15, 0.4)
    extent = [s / max(size) for s in size]
    cy, cx = ((e - 0.5 * r) * _uniform(rng, n, -1, 1) for e in extent)
    inside = (r - np.hypot(x - cx, y - cy)) * max(size) * 0.7
    soft = 1 / (1 + np.exp(-np.clip(inside, -30, 30)))
    values = [(cx + 1) / 2 * unit, (cy + 1) / 2 * unit, r / 2 * max(size)]
    targets = np.concatenate([v[:, :, 0] for v in values], axis=1)
    return _bytes(_painted(soft, rng, channels, 0.35), rng, noise), targets.astype(np.float32)


def stripes(rng: np.random.Generator, n: int, *, size: Size, channels: int, noise: float) -> Samples:
    """Stripes: float32 [N, 3] of the cosine and sine of twice their angle, and of how many fit side by side."""
    y, x = _grid(size)
    angle, number = _uniform(rng, n, 0, np.pi), _uniform(rng, n, 2, 5)
    across = np.cos(angle) * x + np.sin(angle) * y
    waves = np.sin(across * number * np.pi + _uniform(rng, n, 0, 2 * np.pi))
    picture = 0.5 + _uniform(rng, n, 0.25, 0.45) * waves
    tint = rng.uniform(0.7, 1, (n, 1, 1, channels))
    targets = np.concatenate([v[:, :, 0] for v in (np.cos(2 * angle), np.sin(2 * angle), number)], axis=1)
    return _bytes(picture[..., None] * tint, rng, noise), targets.astype(np.float32)


def light(rng: np.random.Generator, n: int, *, size: Size, noise: float) -> Samples:
    """A coloured disc in bright or dim light: float32 [N, 4] of its red, green and blue (0 to 255) in full light,
    and of the light's strength (0.5 to 1)."""
    u, v = _turned(rng, n, size, (0.35, 0.7))
    inside = 1 / (1 + np.exp(-np.clip((0.9 - np.hypot(u, v)) * max(size) * 0.5, -30, 30)))[..., None]
    colour, strength = rng.uniform(0.1, 1, (n, 3)), rng.uniform(0.5, 1, (n, 1))
    picture = (0.9 * (1 - inside) + colour[:, None, None] * inside) * strength[:, None, None]
    return _bytes(picture, rng, noise), np.concatenate([colour * 255, strength], axis=1).astype(np.float32)


def same(rng: np.random.Generator, n: int, *, size: Size, channels: int, noise: float) -> Samples:
    """Two shapes side by side, of five kinds: are they alike (1) or not (0)? float32 [N, 1]."""
    half = (size[0], size[1] // 2)
    alike = rng.integers(0, 2, n)
    first = rng.integers(0, 5, n)
    second = np.where(alike, first, (first + rng.integers(1, 5, n)) % 5)
    masks = []
    for labels in (first, second):
        u, v = _turned(rng, n, half, (0.55, 0.8))
        masks.append(np.stack([SHAPES[k](u[i], v[i]) for i, k in enumerate(labels)]))
    mask = np.concatenate(masks, axis=2)
    soft = 1 / (1 + np.exp(-np.clip(mask * max(half), -30, 30)))
    return _bytes(_painted(soft, rng, channels, 0.5), rng, noise), alike[:, None].astype(np.float32)


def clouds(rng: np.random.Generator, n: int, *, size: Size, classes: int, channels: int) -> Samples:
    """Random clouds whose spectrum falls with a power of the frequency; the class is the power."""
    labels = rng.integers(0, classes, n)
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])
    frequency[0, 0] = 1
    power = (0.3 + 0.45 * labels + 0.06 * rng.standard_normal(n))[:, None, None, None]
    white = np.fft.rfft2(rng.standard_normal((n, *size, channels)), axes=(1, 2))
    planes = np.fft.irfft2(white * frequency[None, ..., None] ** -power, s=size, axes=(1, 2))
    planes -= planes.mean((1, 2), keepdims=True)
    planes /= planes.std((1, 2), keepdims=True)
    return _bytes(0.5 + planes * rng.uniform(0.12, 0.2, (n, 1, 1, 1)), rng, 0.0), labels


def segments(rng: np.random.Generator, n: int, *, size: Size, channels: int, noise: float) -> Samples:
    """Digits of seven bars, slanted, of any thickness; each bar is missing or faint in few of the pictures."""
    lit = np.array([0x3F, 0x06, 0x5B, 0x4F, 0x66, 0x6D, 0x7D, 0x07, 0x7F, 0x6F])
    bars = ((0, -1, 1), (0.5, -0.5, 0), (0.5, 0.5, 0), (0, 1, 1), (-0.5, 0.5, 0), (-0.5, -0.5, 0), (0, 0, 1))
    labels = rng.integers(0, 10, n)
    y, x = _grid(size)
    scale = _uniform(rng, n, 0.55, 0.8)
    v = (y - _uniform(rng, n, -0.15, 0.15)) / scale
    u = (x - _uniform(rng, n, -0.25, 0.25)) / scale + _uniform(rng, n, -0.2, 0.3) * v
    thickness = _uniform(rng, n, 0.12, 0.22)
    mask = np.zeros((n, *size))
    for i, (cx, cy, lying) in enumerate(bars):
        long, short = (u - cx, v - cy) if lying else (v - cy, u - cx)
        inside = np.minimum(0.5 - abs(long), thickness - abs(short)) * max(size) * 0.7
        bar = 1 / (1 + np.exp(-np.clip(inside, -30, 30))) * _uniform(rng, n, 0.3, 1)
        mask = np.maximum(mask, np.where((lit[labels] >> i & 1)[:, None, None] == 1, bar, 0))
    return _bytes(_painted(mask, rng, channels, 0.4), rng, noise), labels


def clock(rng: np.random.Generator, n: int, *, size: Size, channels: int, noise: float) -> Samples:
    """One hand of a clock: float32 [N, 3] of the sine and cosine of its angle, and of its length (30 to 280)."""
    y, x = _grid(size)
    angle, length = _uniform(rng, n, 0, 2 * np.pi), _uniform(rng, n, 0.35, 0.9)
    along = x * np.sin(angle) - y * np.cos(angle)
    beside = x * np.cos(angle) + y * np.sin(angle)
    inside = np.minimum(np.minimum(along + 0.05, length - along), 0.12 - abs(beside)) * max(size) * 0.7
    soft = 1 / (1 + np.exp(-np.clip(inside, -30, 30)))
    values = [np.sin(angle), np.cos(angle), 30 + (length - 0.35) / 0.55 * 250]
    targets = np.concatenate([v[:, :, 0] for v in values], axis=1)
    return _bytes(_painted(soft, rng, channels, 0.35), rng, noise), targets.astype(np.float32)


def handwriting(rng: np.random.Generator, n: int, *, first: int, last: int) -> Samples:
    """scikit-learn's handwritten digits ``first`` to ``last`` of a fixed shuffle, 8 x 8 grey: all, or ``n`` drawn
    with repetition where there are fewer, moved by a pixel or not."""
    from sklearn.datasets import load_digits

    source = load_digits()
    numbers = np.random.default_rng(17).permutation(len(source.images))[first:last]
    pictures = np.rint(source.images[numbers] * 255 / 16).astype(np.uint8)[..., None]
    if n <= len(numbers):
        return pictures[:n], source.target[numbers][:n]
    drawn = rng.integers(0, len(numbers), n)
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)))[drawn]
    top, left = rng.choice(3, (2, n), p=(0.2, 0.6, 0.2))
    moved = np.stack([p[t : t + 8, w : w + 8] for p, t, w in zip(padded, top, left, strict=True)])
    return moved, source.target[numbers][drawn]
