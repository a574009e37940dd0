"""Training a network on what another one, its teacher, answers to the same pictures.

The loss of a batch is the mean KL(softmax(teacher) || softmax(student)) of the scores (Hinton et al. 2015, at
temperature 1), in nats. To it the student's squared error at chosen tensors is added, divided by the teacher's
mean square there (Romero et al. 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dcgen.extras import Device, import_torch
from dcgen.ir.graph import F32, Add, Clip, Concat, Graph
from dcgen.train.adam import Adam
from dcgen.train.augmentation import augmented, mixed
from dcgen.train.parametrized import Parametrized
from dcgen.train.torch_runner import TorchRunner

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SQUARE = 1e-12
"""Added to the teacher's mean square at a tensor, so that one of zeros divides nothing by zero."""


@dataclass(frozen=True)
class Lesson:
    """What a student is shown at each step, and what counts.

    batch : pictures of a step
    augment : strength of augmentation, 0 (pictures as they are) to 1
    mix : share of the pictures that are mixed with another one, 0 to 1
    features : weight of the squared error at the tensors of ``features_of``, relative to the divergence's weight
        of 1
    device : PyTorch's name of the device that computes
    """

    batch: int
    augment: float
    mix: float
    features: float
    device: Device = "cpu"


def features_of(graph: Graph) -> tuple[str, ...]:
    """The tensors at the ends of the network's blocks: each concatenation and each sum; where a Clip is its only
    reader, that Clip's output instead."""
    ends = []
    for node in graph.nodes:
        if isinstance(node.op, Concat | Add):
            users = graph.consumers[node.name]
            clipped = len(users) == 1 and isinstance(users[0].op, Clip)
            ends.append(users[0].name if clipped else node.name)
    return tuple(dict.fromkeys(ends))


class Teacher:
    """A float network that teaches a student of the same graph on fixed pictures.

    graph : the float network
    pictures : float32 [N, C, H, W], what the graph's input takes
    optimizer : of the student; its state outlives a round and, saved, a run
    """

    def __init__(self, graph: Graph, pictures: F32, lesson: Lesson) -> None:
        torch = import_torch("to train a network", lesson.device)
        self._pictures, self._lesson = torch.from_numpy(pictures), lesson
        self._runner = TorchRunner(graph, lesson.device)
        self._compared = [graph.outputs[0], *(features_of(graph) if lesson.features else ())]
        self.optimizer = Adam(lesson.device)

    def round(
        self,
        student: Mapping[str, Parametrized],
        speeds: Sequence[float],
        rng: np.random.Generator,
        done: Callable[[int], None],
    ) -> tuple[dict[str, dict[str, F32]], float]:
        """Train for some steps, from the parameters' starts.

        student : by Conv node; a convolution that is not named keeps the teacher's weights and biases
        speeds : for each step, the factor of the parameters' rates
        done : called after each step with the number of its pictures

        Returns the parameters' values after the last step, by Conv node and name, and the mean over all steps of
        the divergence before the step, in nats.
        """
        import torch

        batch, device = self._lesson.batch, self._lesson.device

        def tensor(array: np.ndarray) -> Tensor:
            return torch.tensor(np.asarray(array, np.float32, order="C"), device=device)

        tensors = {name: {k: tensor(a) for k, a in conv.fixed.items()} for name, conv in student.items()}
        moved = []
        for name, conv in student.items():
            for part, (start, rate) in conv.moved.items():
                tensors[name][part] = tensor(start).requires_grad_()
                if rate > 0:
                    moved.append((f"{name}.{part}", tensors[name][part], rate))
        order = np.concatenate(
            [rng.permutation(len(self._pictures)) for _ in range(-(-batch // len(self._pictures)))]
        )
        at, total = 0, 0.0
        for speed in speeds:
            if at + batch > len(order):
                order, at = rng.permutation(order), 0
            x = augmented(self._pictures[order[at : at + batch]], rng, self._lesson.augment)
            x = mixed(x, rng, self._lesson.mix).to(device)
            at += batch
            loss, divergence = self._loss(x, {n: c.make(tensors[n]) for n, c in student.items()})
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step((name, parameter, speed * rate) for name, parameter, rate in moved)
            total += divergence
            done(batch)
        found = {n: {k: tensors[n][k].detach().cpu().numpy() for k in c.moved} for n, c in student.items()}
        return found, total / max(1, len(speeds))

    def _loss(self, x: Tensor, parameters: Mapping[str, tuple[Tensor, Tensor]]) -> tuple[Tensor, float]:
        """The loss of a batch ``x`` [B, C, H, W], and the divergence in it, in nats.

        parameters : the student's weights and biases by Conv node
        """
        import torch

        # PyTorch's convolutions are faster where channels lie innermost.
        channels_last = torch.channels_last
        x = x.contiguous(memory_format=channels_last)
        laid = {n: (w.contiguous(memory_format=channels_last), bias) for n, (w, bias) in parameters.items()}
        with torch.no_grad():
            taught = self._runner.run(x, self._compared)
        learnt = self._runner.run(x, self._compared, laid)
        truth, guess = (torch.log_softmax(t[0].flatten(1), 1) for t in (taught, learnt))
        divergence = (truth.exp() * (truth - guess)).sum(1).mean()
        loss = divergence
        for wanted, found in zip(taught[1:], learnt[1:], strict=True):
            share = self._lesson.features / len(taught[1:])
            loss = loss + share * ((wanted - found) ** 2).mean() / ((wanted**2).mean() + LEAST_SQUARE)
        return loss, float(divergence.detach())
