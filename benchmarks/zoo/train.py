"""Training of a member of the zoo."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.zoo import nets, tasks
from benchmarks.zoo.members import Member, Task
from benchmarks.zoo.network import preprocess
from benchmarks.zoo.tasks import Samples

BATCH = 32


@dataclass(frozen=True, eq=False)
class Trained:
    """Samples that did not serve training, and ``about``: what ``meta.json`` says of the trained network."""

    calibration: Samples
    test: Samples
    about: dict[str, Any]


def drawn(member: Member) -> tuple[Samples, Samples, Samples]:
    """Samples for training, calibration and test."""

    def samples(purpose: int, task: Task, n: int) -> Samples:
        found: Samples = getattr(tasks, task.draw)(
            np.random.default_rng((member.seed, purpose)), n, **dict(task.settings)
        )
        return found

    calibration, test = member.elsewhere or (member.draw, member.draw)
    return (
        samples(0, member.draw, member.training.samples),
        samples(1, calibration, member.calibration),
        samples(2, test, member.test),
    )


def train(member: Member, samples: Samples) -> nn.Module:
    """The network trained on ``samples``, in evaluation mode; its values are in the targets' units."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums are then made in one order
    try:
        return _train(member, samples)
    finally:
        torch.set_num_threads(threads)


def _train(member: Member, samples: Samples) -> nn.Module:
    pictures, targets = samples
    torch.manual_seed(member.seed)
    how = member.training
    net = getattr(nets, member.net.make)(*member.net.arguments, **dict(member.net.settings))
    x = torch.from_numpy(preprocess(member, max(pictures.shape[1:3])).normalise(pictures))
    y = torch.from_numpy(targets)
    mean, spread = torch.zeros(1), torch.ones(1)
    if member.kind == "values":
        mean, spread = y.mean(0), y.std(0)
        y = (y - mean) / spread
    optimizer = torch.optim.AdamW(net.parameters(), how.rate, weight_decay=how.decay)
    steps = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.rate, epochs=how.epochs, steps_per_epoch=steps)
    weights = [p for p in net.parameters() if p.ndim > 1]
    masks = [torch.ones_like(w) for w in weights]
    net.train()
    for epoch in range(how.epochs):
        if how.pruned:
            masks = [_mask(w.detach(), how.pruned * _ramp(epoch / how.epochs)) for w in weights]
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            _loss(member, net(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
            if how.pruned:
                with torch.no_grad():
                    for w, mask in zip(weights, masks, strict=True):
                        w.mul_(mask)
    _rescale(net, mean, spread)
    return net.eval()


def _loss(member: Member, scores: Tensor, targets: Tensor) -> Tensor:
    smoothing = member.training.smoothing
    if member.kind == "classes":
        return F.cross_entropy(scores, targets, label_smoothing=smoothing)
    if member.kind == "logit":
        return F.binary_cross_entropy_with_logits(scores, targets * (1 - smoothing) + smoothing / 2)
    return F.mse_loss(scores, targets)


def _ramp(done: float) -> float:
    """The part of the pruning that is to be done after the part ``done`` of the training: all after 0.6 of it."""
    return float(1 - (1 - np.clip((done - 0.1) / 0.5, 0, 1)) ** 3)


def _mask(weight: Tensor, zeros: float) -> Tensor:
    """1 where ``weight`` stays, 0 for the share ``zeros`` of smallest magnitude."""
    count = int(zeros * weight.numel())
    mask = torch.ones(weight.numel())
    mask[weight.abs().flatten().argsort()[:count]] = 0
    return mask.reshape(weight.shape)


@torch.no_grad()
def _rescale(net: nn.Module, mean: Tensor, spread: Tensor) -> None:
    """Make the last layer's outputs times ``spread`` plus ``mean``."""
    last = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)][-1]
    assert last.bias is not None
    last.weight.mul_(spread.reshape(-1, *[1] * (last.weight.ndim - 1)))
    last.bias.mul_(spread).add_(mean)


@torch.no_grad()
def scores(member: Member, net: nn.Module, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The network's outputs for pictures uint8 [N, H, W, C]: float32 [N, outputs]."""
    x = preprocess(member, max(pictures.shape[1:3])).normalise(pictures)
    found: NDArray[np.float32] = torch.cat([net(b) for b in torch.from_numpy(x).split(256)]).numpy()
    return found


def quality(member: Member, found: NDArray[np.float32], targets: NDArray[Any]) -> dict[str, float]:
    """How well the outputs ``found`` [N, outputs] meet their targets: ``accuracy``, the share of right answers, or
    ``error``, the largest of the outputs' root mean square errors over the targets' deviations."""
    if member.kind == "classes":
        return {"accuracy": float((found.argmax(1) == targets).mean())}
    if member.kind == "logit":
        return {"accuracy": float(((found > 0) == (targets > 0.5)).mean())}
    return {"error": float((np.sqrt(((found - targets) ** 2).mean(0)) / targets.std(0)).max())}


def trained(member: Member, path: Path) -> Trained:
    """Train ``member`` and write its network to ``path`` as ONNX."""
    training, calibration, test = drawn(member)
    net = train(member, training)
    _export(member, net, test[0], path)
    outputs = scores(member, net, test[0])
    about = {
        "outputs": outputs.shape[1],
        "float": quality(member, outputs, test[1]),
        "median_largest_score": float(np.median(np.abs(outputs).max(1))),
    }
    return Trained(calibration, test, about)


def _export(member: Member, net: nn.Module, pictures: NDArray[np.uint8], path: Path) -> None:
    height, width, channels = pictures.shape[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch announces that it prefers its other exporter
        torch.onnx.export(
            net,
            (torch.zeros(1, channels, height, width),),
            str(path),
            input_names=["input"],
            output_names=["scores"],
            opset_version=member.opset,
            dynamic_axes={"input": {0: "batch"}, "scores": {0: "batch"}},
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,  # BatchNormalization stays a node
        )
