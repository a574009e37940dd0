"""A stage of training: one method, for some epochs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dcgen.train.goal import ANY_DROP, Goal


@dataclass(frozen=True)
class Schedule:
    """How the weights of a stage are trained, whatever the method.

    epochs : passes over the samples; with 0 the method is applied, and nothing trained
    batch : samples of a step
    optimizer : ``adam`` (Kingma & Ba 2015), or ``sgd`` with momentum 0.9
    rate : the largest learning rate
    warmup : share of the steps in which it rises to ``rate``, linearly from zero
    decay : how it falls then: ``linear`` or ``cosine`` to zero, ``constant``
    weight_decay : factor of half the squared weights in the loss, decoupled where the optimizer is Adam
    shift : most pixels by which a picture is moved along each axis; None for what suits the samples, see
        ``train.augmenting``, as for the next two
    crop : least share of a picture's area that is cut out of it and made as large as the picture; 1 for no crop
    mirror : whether half of the pictures are mirrored left to right
    distill : share of the loss that is the divergence from the float network's answers; the rest is the cross
        entropy of the classes (Hinton et al. 2015, at temperature 1)
    max_bytes : limit of the file's size, 0 for none. The price of a byte rises until it is reached.
    squeeze : share of the steps in which the size falls to ``max_bytes``; in the others it is held
    max_density : limit of the share of weights that are not zero, 1 for none
    max_top1_drop : limit of the loss of held-out accuracy, in percentage points, 100 for none. Where it is the
        only one, and the method counts bits, the price of a byte rises as long as the accuracy holds.
    """

    epochs: int = field(default=10, metadata={"min": 0, "max": 100_000})
    batch: int = field(default=128, metadata={"min": 1, "max": 65_536})
    optimizer: Literal["adam", "sgd"] = "adam"
    rate: float = field(default=0.001, metadata={"min": 1e-9, "max": 100.0})
    warmup: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    decay: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    shift: int | None = field(default=None, metadata={"min": 0, "max": 64})
    crop: float | None = field(default=None, metadata={"min": 0.01, "max": 1.0})
    mirror: bool | None = None
    distill: float = field(default=0.0, metadata={"min": 0.0, "max": 1.0})
    max_bytes: int = field(default=0, metadata={"min": 0, "max": 2**31 - 1})
    squeeze: float = field(default=0.5, metadata={"min": 0.01, "max": 1.0})
    max_density: float = field(default=1.0, metadata={"min": 0.0001, "max": 1.0})
    max_top1_drop: float = field(default=ANY_DROP, metadata={"min": 0.0, "max": ANY_DROP})

    @property
    def goal(self) -> Goal:
        """The limits of the network that the stage ends with."""
        return Goal(self.max_bytes, self.max_density, self.max_top1_drop)
