"""The networks of the zoo: what each learns, its architecture, how it is trained.

``MEMBERS`` are the twenty that defaults may be built on. ``HIDDEN`` are ten of other architectures, tasks and
seeds, which only judge: no setting of dcgen may be chosen by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal


@dataclass(frozen=True, init=False)
class Task:
    """A function of ``tasks`` by its name, and its settings."""

    draw: str
    settings: tuple[tuple[str, Any], ...]

    def __init__(self, draw: str, **settings: Any) -> None:
        object.__setattr__(self, "draw", draw)
        object.__setattr__(self, "settings", tuple(settings.items()))


@dataclass(frozen=True, init=False)
class Net:
    """A function of ``nets`` by its name, and its arguments."""

    make: str
    arguments: tuple[Any, ...]
    settings: tuple[tuple[str, Any], ...]

    def __init__(self, make: str, *arguments: Any, **settings: Any) -> None:
        object.__setattr__(self, "make", make)
        object.__setattr__(self, "arguments", arguments)
        object.__setattr__(self, "settings", tuple(settings.items()))


@dataclass(frozen=True)
class Training:
    """How a network is trained, by Adam with a learning rate that rises and falls once.

    samples, epochs : pictures drawn for training, and how often each is seen
    rate : largest learning rate
    decay : decoupled weight decay
    smoothing : share of a class's probability that the loss spreads over all classes
    pruned : share of every layer's weights that is zero at the end, smallest first
    """

    samples: int = 3000
    epochs: int = 12
    rate: float = 5e-3
    decay: float = 0.0
    smoothing: float = 0.0
    pruned: float = 0.0


@dataclass(frozen=True)
class Member:
    """A network of the zoo.

    kind : of its outputs: ``classes``; ``logit``, one output that is positive for yes; ``values``
    mean, std : preprocessing of each channel, in bytes
    calibration, test : pictures that are drawn for them
    elsewhere : tasks that calibration and test samples are drawn from, if not from ``draw`` as those for training
    """

    name: str
    kind: Literal["classes", "logit", "values"]
    draw: Task
    net: Net
    seed: int
    training: Training = Training()
    order: Literal["rgb", "bgr", "grey"] = "grey"
    mean: float = 127.5
    std: float = 64.0
    opset: int = 13
    calibration: int = 300
    test: int = 2000
    elsewhere: tuple[Task, ...] = ()


_DIGITS = tuple(Task("handwriting", first=a, last=b) for a, b in ((0, 597), (597, 797), (797, 1797)))
_digits = partial(Member, draw=_DIGITS[0], elsewhere=_DIGITS[1:], calibration=200, test=1000)
_rgb = partial(Member, order="rgb")
_bgr = partial(Member, order="bgr")

MEMBERS = (
    _digits("digits_plain", "classes", net=Net("plain", 1, (8, 16, 16), 10, pool="max", flat=4), seed=1,
            mean=0.0, std=255.0, training=Training(3000, 12, decay=1e-2)),
    Member("gratings2_timid", "classes",
           Task("gratings", size=(16, 16), classes=2, channels=1, jitter=0.25, noise=0.25),
           Net("plain", 1, (8, 8, 16), 2), 2, Training(2000, 4, decay=0.05, smoothing=0.5)),
    _rgb("shapes4_confident", "classes",
         Task("shapes", size=(24, 24), classes=4, channels=3, radius=(0.4, 0.8), noise=0.08),
         Net("plain", 3, (8, 16, 32), 4, norm=True), 3, Training(2000, 16, 1e-2)),
    _rgb("shapes4_timid", "classes",
         Task("shapes", size=(24, 24), classes=4, channels=3, radius=(0.4, 0.8), noise=0.08),
         Net("plain", 3, (8, 16, 32), 4, norm=True), 4, Training(2500, 8, smoothing=0.6, decay=0.02)),
    _rgb("shapes10_resnet", "classes",
         Task("shapes", size=(24, 24), classes=10, channels=3, radius=(0.6, 0.9), noise=0.06),
         Net("resnet", 3, (12, 24, 32), 10, stem=2), 5, Training(3000, 8), mean=120.0, std=60.0, opset=17),
    Member("glyphs100_lenet", "classes",
           Task("glyphs", size=(28, 28), classes=100, channels=1, seed=6, tilt=0.15, noise=0.15),
           Net("lenet", 1, 28, (8, 16, 64), 100), 6, Training(6000, 8, 2e-3), calibration=500),
    Member("glyphs26_mobile", "classes",
           Task("glyphs", size=(24, 24), classes=26, channels=1, seed=7, tilt=0.2, noise=0.15),
           Net("mobile", 1, (16, 24, 32, 48), 26), 7, Training(3000, 9), mean=0.0, std=255.0, opset=15),
    _rgb("textures20_squeeze", "classes",
         Task("textures", size=(24, 24), classes=20, channels=3, seed=8, noise=0.15),
         Net("squeezenet", 3, 16, ((8, 16), (8, 16), (12, 24), (12, 24)), 20, norm=True), 8, Training(2500, 8)),
    _bgr("textures50_grouped", "classes",
         Task("textures", size=(16, 16), classes=50, channels=3, seed=9, noise=0.12),
         Net("grouped", 3, (16, 32, 48), 50, groups=4), 9, Training(3000, 8), mean=110.0, std=1.0,
         calibration=400),
    Member("counts4_plain", "classes", Task("counts", size=(32, 32), most=4, channels=1, noise=0.06),
           Net("plain", 1, (8, 16, 24), 4, pool="avg", norm=True), 10, Training(4000, 10)),
    Member("presence_logit", "logit", Task("presence", size=(24, 24), channels=1, noise=0.12),
           Net("plain", 1, (8, 16, 24), 1, norm=True), 11, Training(3000, 8)),
    _rgb("presence_timid", "logit", Task("presence", size=(20, 20), channels=3, noise=0.12),
         Net("squeezenet", 3, 12, ((6, 12), (6, 12)), 1, norm=True), 12,
         Training(3000, 5, decay=0.1, smoothing=0.5)),
    _rgb("ball_values", "values", Task("ball", size=(32, 32), channels=3, noise=0.06, unit=280.0),
         Net("plain", 3, (8, 12, 16), 3, pool="stride", flat=64, hidden=32), 13, Training(4000, 12, 3e-3)),
    Member("stripes_values", "values", Task("stripes", size=(24, 32), channels=1, noise=0.12),
           Net("resnet", 1, (8, 16, 24), 3, stem=2), 14, Training(3000, 10), mean=0.0, std=255.0, opset=14),
    _rgb("light_values", "values", Task("light", size=(16, 16), noise=0.06),
         Net("plain", 3, (12, 24, 24), 4, norm=True), 15, Training(3000, 10)),
    Member("glyphs20_mlp", "classes",
           Task("glyphs", size=(16, 16), classes=20, channels=1, seed=16, tilt=0.1, noise=0.12),
           Net("mlp", 256, (48, 32), 20), 16, Training(6000, 14, 3e-3, decay=1e-2)),
    Member("glyphs36_pruned", "classes",
           Task("glyphs", size=(24, 24), classes=36, channels=1, seed=17, tilt=0.15, noise=0.15),
           Net("lenet", 1, 24, (12, 24, 64), 36), 17, Training(4000, 12, 2e-3, pruned=0.8), calibration=400),
    _rgb("shapes12_pruned", "classes",
         Task("shapes", size=(32, 32), classes=12, channels=3, radius=(0.6, 0.95), noise=0.05),
         Net("resnet", 3, (8, 16, 32), 12, stem=2), 18, Training(3000, 10, pruned=0.6)),
    _rgb("textures10_wide", "classes",
         Task("textures", size=(48, 48), classes=10, channels=3, seed=19, noise=0.3),
         Net("plain", 3, (16, 32, 64, 128), 10, pool="stride", act="relu6", norm=True), 19, Training(2000, 5)),
    Member("gratings8_resnet", "classes",
           Task("gratings", size=(16, 16), classes=8, channels=1, jitter=0.25, noise=0.2),
           Net("resnet", 1, (8, 16, 24), 8, norm=False), 20, Training(2500, 8, 2e-3)),
)  # fmt: skip

HIDDEN = (
    Member("segments10_vgg", "classes", Task("segments", size=(24, 24), channels=1, noise=0.12),
           Net("vgg", 1, (8, 12, 16), 10, flat=9, hidden=32, norm=True), 101, Training(3000, 8)),
    _rgb("clouds5_inception", "classes", Task("clouds", size=(24, 24), classes=5, channels=3),
         Net("inception", 3, (12, 8, 12), 5), 102, Training(2000, 6), opset=16),
    Member("same_logit", "logit", Task("same", size=(16, 32), channels=1, noise=0.03),
           Net("vgg", 1, (12, 20), 1, flat=32, hidden=32, norm=True), 103, Training(6000, 8)),
    Member("clock_values", "values", Task("clock", size=(20, 20), channels=1, noise=0.08),
           Net("dense", 1, 6, (2, 3), 3), 104, Training(3000, 12), mean=0.0, std=255.0),
    _rgb("glyphs62_inverted", "classes",
         Task("glyphs", size=(24, 24), classes=62, channels=3, seed=105, tilt=0.15, noise=0.12),
         Net("inverted", 3, (12, 12, 20, 20, 28), 62), 105, Training(4000, 8), calibration=600),
    Member("shapes8_split", "classes",
           Task("shapes", size=(24, 24), classes=8, channels=1, radius=(0.6, 0.95), noise=0.05),
           Net("split_kernels", 1, (12, 20, 28), 8), 106, Training(3000, 8, pruned=0.7)),
    _bgr("crowd_values", "values",
         Task("counts", size=(24, 24), most=12, channels=3, noise=0.06, as_values=True),
         Net("squeezenet", 3, 16, ((8, 16), (8, 16), (12, 24)), 1, norm=True), 107, Training(3000, 8)),
    _rgb("textures2_mlp", "classes", Task("textures", size=(8, 8), classes=2, channels=3, seed=108, noise=0.12),
         Net("mlp", 192, (32, 16), 2), 108, Training(4000, 20), calibration=200),
    _rgb("gratings16_timid", "classes",
         Task("gratings", size=(20, 20), classes=16, channels=3, jitter=0.22, noise=0.08),
         Net("vgg", 3, (12, 20), 16, flat=25, hidden=32, norm=True), 109,
         Training(3000, 10, decay=0.01, smoothing=0.93)),
    _digits("digits_bottleneck", "classes", net=Net("bottleneck", 1, 48, 10, 4), seed=110,
            training=Training(3000, 12, 2e-3)),
)  # fmt: skip
