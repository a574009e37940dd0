"""The training loop: epochs of one stage on any module, with whatever parametrizations its layers have.

Every epoch draws from a seed of its own, so that a training which goes on from the end of an epoch gives the same
bytes as one that was never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dcgen.ahead import ahead
from dcgen.errors import NumericError
from dcgen.methods.method import parametrized
from dcgen.train.augmenting import varied
from dcgen.train.data import Dataset, Part, batches
from dcgen.train.network import GraphNetwork, scores_of
from dcgen.train.price import Price
from dcgen.train.stage import Schedule

MOMENTUM = 0.9
STEP_RATE = 1e-3
"""Learning rate of the parameters that a method adds to a layer's weight, at the first step."""


@dataclass(frozen=True)
class Epoch:
    """What an epoch has shown; a row of ``curves.csv``.

    loss : mean of the steps, in nats, without the price of bytes
    accuracy : on the held-out samples, 0 to 1
    held_out_loss : cross entropy on the held-out samples, in nats
    bytes : estimated size of the coded weights in the last step; 0 where the method does not count them
    price : of a byte, in nats
    """

    stage: int
    epoch: int
    loss: float
    accuracy: float
    held_out_loss: float
    bytes: float
    price: float


def coded_bits(network: nn.Module) -> Tensor | None:
    """Bits of all layers whose method counts them, None where none does."""
    found = [bits for made, original in parametrized(network) if (bits := made.bits(original)) is not None]
    return torch.stack(found).sum() if found else None


class StageTrainer:
    """One stage of a training.

    network : scores [N, S] of inputs float32 [N, C, H, W]
    inputs : what the network takes, float32 [N, C, H, W], for camera bytes uint8 [N, H, W, C]
    teacher : the float network, for ``Schedule.distill``
    price : of a byte of the coded weights; None where bytes are free
    """

    def __init__(
        self,
        network: nn.Module,
        data: Dataset,
        schedule: Schedule,
        number: int,
        seed: int,
        inputs: Callable[[np.ndarray], np.ndarray],
        teacher: nn.Module | None = None,
        price: Price | None = None,
    ) -> None:
        self.network, self.schedule, self.number = network, schedule, number
        self._device = next(network.parameters()).device
        self._mixed = self._device.type == "cuda" and not isinstance(network, GraphNetwork)
        self._data, self._seed, self._inputs, self._teacher = data, seed, inputs, teacher
        steps = [p for made, _ in parametrized(network) if not made.like_weights for p in made.parameters()]
        own = {id(p) for p in steps}
        scales = network.scales() if isinstance(network, GraphNetwork) else {}
        weights = [p for p in network.parameters() if id(p) not in own]
        groups: list[dict[str, Any]] = []
        for p in weights:
            scale = scales.get(id(p), 1.0)
            rate = schedule.rate * (scale if schedule.optimizer == "adam" else scale**2)
            groups.append({"params": [p], "base": rate, "weight_decay": schedule.weight_decay / scale})
        groups += [{"params": [p], "base": STEP_RATE, "weight_decay": 0.0} for p in steps]
        self._optimizer: torch.optim.Optimizer = (
            torch.optim.AdamW(groups, lr=schedule.rate)
            if schedule.optimizer == "adam"
            else torch.optim.SGD(groups, lr=schedule.rate, momentum=MOMENTUM)
        )
        self._price = price

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return max(1, len(self._data.train) // self.schedule.batch)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps besides the network."""
        price = self._price.state() if self._price else {}
        return {"optimizer": self._optimizer.state_dict(), "price": price}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what ``state`` gave."""
        self._optimizer.load_state_dict(state["optimizer"])
        if self._price:
            self._price.restore(state["price"])

    def aim(self, coded: float) -> None:
        """Tell the price the bytes of coded weights at which the whole file has the size that is wanted."""
        if self._price:
            self._price.aim(coded)

    def epoch(self, number: int, done: Callable[[int, int], None]) -> Epoch:
        """Train for one epoch, ``number`` from 0. ``done`` is told after each step how many of all are done.

        Raises NumericError where the training diverges.
        """
        schedule, total = self.schedule, 0.0
        rng = np.random.default_rng([self._seed, 1 + self.number, number])
        torch.manual_seed(int(rng.integers(2**62)))
        chosen = batches(len(self._data.train), schedule.batch, rng)
        size, price = 0.0, 0.0
        self.network.train()
        for step, (x, classes) in enumerate(ahead(self._batches(chosen, rng))):
            progress = (number + step / len(chosen)) / schedule.epochs
            for group in self._optimizer.param_groups:
                group["lr"] = group["base"] * speed(schedule, progress)
            self.advance(progress)
            loss = self._loss(x.to(self._device), classes.to(self._device))
            total += float(loss.detach())
            if not math.isfinite(total):
                problem = f"has a loss that is not finite, in step {step + 1} of epoch {number + 1}"
                raise NumericError(f"stage {self.number + 1}", problem, "lower its rate, or warm up for longer")
            if self._price and (bits := coded_bits(self.network)) is not None:
                size = float(bits.detach()) / 8
                price = self._price.step(size, progress)
                loss = loss + price / 8 * bits
            for made, original in parametrized(self.network):
                if (penalty := made.penalty(original)) is not None:
                    loss = loss + penalty
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            done(step + 1, len(chosen))
        self.advance((number + 1) / schedule.epochs)
        accuracy, held_out = measured(self.network, self._data.held_out, self._inputs)
        if self._price:
            self._price.judge(accuracy)
        return Epoch(self.number, number, total / len(chosen), accuracy, held_out, size, price)

    def advance(self, progress: float) -> None:
        """Change what gradients do not move, when a share ``progress`` of the stage's steps is done."""
        with torch.no_grad():
            for made, original in parametrized(self.network):
                made.advance(original, progress)

    def _batches(self, chosen: Sequence[np.ndarray], rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs, float32 [N, C, H, W], and classes, int64 [N], of the steps on samples of these indices."""
        part, mean = self._data.train, self._data.form.camera_mean
        fill = np.clip(np.rint(mean), 0, 255).astype(np.uint8)
        for which in chosen:
            x = self._inputs(varied(part.data[which], rng, self.schedule, fill))
            yield torch.from_numpy(x), torch.from_numpy(part.labels[which])

    def _loss(self, x: Tensor, classes: Tensor) -> Tensor:
        """The loss of a step, in nats."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
            scores = self.network(x)
        scores = scores.float()
        loss = F.cross_entropy(scores, classes)
        share = self.schedule.distill
        if not (share and self._teacher is not None):
            return loss
        with torch.no_grad():
            taught = F.log_softmax(self._teacher(x), 1)
        divergence = F.kl_div(F.log_softmax(scores, 1), taught, reduction="batchmean", log_target=True)
        return (1 - share) * loss + share * divergence


def speed(schedule: Schedule, progress: float) -> float:
    """Factor of the learning rate when a share ``progress`` of the steps is done."""
    if progress < schedule.warmup:
        return progress / schedule.warmup
    left = 1 - (progress - schedule.warmup) / (1 - schedule.warmup)
    match schedule.decay:
        case "constant":
            return 1.0
        case "linear":
            return left
        case "cosine":
            return 0.5 * (1 - math.cos(math.pi * left))


def measured(network: nn.Module, part: Part, inputs: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Accuracy, 0 to 1, and cross entropy, in nats, of a network on samples."""
    scores, labels = torch.from_numpy(scores_of(network, part.data, inputs)), torch.from_numpy(part.labels)
    right = float((scores.argmax(1) == labels).float().mean())
    return right, float(F.cross_entropy(scores, labels))
