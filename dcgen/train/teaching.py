"""One round of training: gradients of the divergence from the float network move a student's layers.

The loss is the mean KL(softmax(teacher) || softmax(student)) of both networks' scores on the same augmented
pictures (Hinton et al. 2015, at temperature 1), and to it the student's squared error at chosen tensors, each
over the teacher's mean square (Romero et al. 2015). Adam (Kingma & Ba 2015), whose state outlives a round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dcgen.compress.student import Layers, Site, Sites
from dcgen.extras import Device, import_torch
from dcgen.ir.graph import F32, Add, Clip, Concat, Graph
from dcgen.train.augmentation import augmented, mixed
from dcgen.train.torch_runner import TorchRunner

if TYPE_CHECKING:
    from torch import Tensor

PARTS = ("offset", "stretch", "centre")
"""What a layer is moved by: weights in ``Site.basis``, the logarithm of the step, means in ``Site.scale``."""
BETAS = (0.9, 0.99)
"""Adam's memory of the mean and of the square of a gradient."""
TINY = 1e-12
"""Added to Adam's deviations: gradients of a weight are as small as 1e-7 nats."""


@dataclass(frozen=True)
class Lesson:
    """How a student is taught.

    batch : pictures a step
    rates : what Adam moves offsets, stretches and centres by at most in a step, in their units
    augment : strength of augmentation, 0 to 1
    mix : share of pictures that are mixed with another one
    features : weight of the squared error at the tensors of ``features_of``
    device : PyTorch's name of what computes
    """

    batch: int
    rates: tuple[float, float, float]
    augment: float
    mix: float
    features: float
    device: Device = "cpu"


def features_of(graph: Graph) -> tuple[str, ...]:
    """Where a block of the network ends: concatenations, and sums with what follows them alone."""
    ends = []
    for node in graph.nodes:
        if isinstance(node.op, Concat | Add):
            users = graph.consumers[node.name]
            clipped = len(users) == 1 and isinstance(users[0].op, Clip)
            ends.append(users[0].name if clipped else node.name)
    return tuple(dict.fromkeys(ends))


def _shapes(site: Site) -> tuple[tuple[int, ...], ...]:
    """Of what a layer is moved by."""
    return site.problem.target.shape, (), site.shape[:1]


class Teacher:
    """The float network, its pictures, and Adam's memory of one student.

    memory : by ``NAME.PART.1`` and ``NAME.PART.2`` the means of a gradient and of its square, float32;
        what a training needs, besides its layers, to go on
    steps : of Adam so far
    """

    def __init__(self, graph: Graph, pictures: F32, sites: Sites, lesson: Lesson) -> None:
        torch = import_torch("for --distill", lesson.device)
        self._graph, self._pictures, self._sites, self._lesson = graph, torch.from_numpy(pictures), sites, lesson
        self._runner = TorchRunner(graph, lesson.device)
        self._wanted = [graph.outputs[0], *(features_of(graph) if lesson.features else ())]
        self._memory: dict[str, Tensor] = {}
        self._steps = 0
        for name, site in sites.items():
            for part, shape in zip(PARTS, _shapes(site), strict=True):
                for moment in (1, 2):
                    self._memory[f"{name}.{part}.{moment}"] = torch.zeros(shape, device=lesson.device)

    def memory(self) -> dict[str, np.ndarray]:
        """Adam's memory as arrays, with ``steps``."""
        return {**{k: v.cpu().numpy().copy() for k, v in self._memory.items()}, "steps": np.array(self._steps)}

    def remember(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take up what ``memory`` gave."""
        import torch

        self._steps = int(arrays["steps"])
        self._memory = {k: torch.from_numpy(arrays[k].copy()).to(self._lesson.device) for k in self._memory}

    def round(
        self, layers: Layers, speeds: Sequence[float], rng: np.random.Generator, done: Callable[[int], None]
    ) -> tuple[dict[str, Any], float]:
        """The layers after a step for each of ``speeds`` (factors of the rates), their levels as before, and
        the mean divergence on what they were shown.

        done : told of the pictures of each step
        """
        import torch

        batch, device = self._lesson.batch, self._lesson.device
        fixed = {name: self._fixed(name, layers) for name in layers}
        moves = {
            name: [torch.zeros(s, device=device, requires_grad=True) for s in _shapes(self._sites[name])]
            for name in layers
        }
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
            loss, divergence = self._loss(x, {n: self._parameters(n, *fixed[n], *moves[n]) for n in layers})
            loss.backward()  # type: ignore[no-untyped-call]
            self._step(moves, speed)
            total += divergence
            done(batch)
        found = {}
        for name, layer in layers.items():
            offset, stretch, centre = (m.detach().cpu().numpy() for m in moves[name])
            site = self._sites[name]
            found[name] = layer.moved(offset @ site.basis, float(stretch), site.scale * centre)
        return found, total / max(1, len(speeds))

    def _fixed(self, name: str, layers: Layers) -> tuple[Tensor, float, Tensor, Tensor, Tensor]:
        """Levels, step, mean outputs, the mean patch and the basis of a layer, as they stay during a round."""
        import torch

        layer, site = layers[name], self._sites[name]

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self._lesson.device)

        return tensor(layer.integers), layer.step, tensor(layer.centre), tensor(site.mean), tensor(site.basis)

    def _parameters(
        self,
        name: str,
        integers: Tensor,
        step: float,
        centre: Tensor,
        mean: Tensor,
        basis: Tensor,
        offset: Tensor,
        stretch: Tensor,
        shift: Tensor,
    ) -> tuple[Tensor, Tensor]:
        import torch

        site = self._sites[name]
        weight = integers * (step * stretch.exp()) + offset @ basis
        bias = centre + site.scale * shift - (weight * mean[:, None]).sum(2).reshape(-1)
        return weight.reshape(site.shape).contiguous(memory_format=torch.channels_last), bias

    def _loss(self, x: Tensor, parameters: Mapping[str, tuple[Tensor, Tensor]]) -> tuple[Tensor, float]:
        """What is minimised, and the mean divergence in it, in nats."""
        import torch

        x = x.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            taught = self._runner.run(x, self._wanted)
        learnt = self._runner.run(x, self._wanted, parameters)
        truth, guess = (torch.log_softmax(t[0].flatten(1), 1) for t in (taught, learnt))
        divergence = (truth.exp() * (truth - guess)).sum(1).mean()
        loss = divergence
        for a, b in zip(taught[1:], learnt[1:], strict=True):
            share = self._lesson.features / len(taught[1:])
            loss = loss + share * ((a - b) ** 2).mean() / ((a**2).mean() + TINY)
        return loss, float(divergence.detach())

    def _step(self, moves: Mapping[str, Sequence[Tensor]], speed: float) -> None:
        """One step of Adam on every move."""
        import torch

        self._steps += 1
        fast, slow = BETAS
        with torch.no_grad():
            for name, parts in moves.items():
                for part, move, rate in zip(PARTS, parts, self._lesson.rates, strict=True):
                    gradient = move.grad
                    if gradient is None or rate == 0:
                        continue
                    first, second = self._memory[f"{name}.{part}.1"], self._memory[f"{name}.{part}.2"]
                    first.mul_(fast).add_(gradient, alpha=1 - fast)
                    second.mul_(slow).addcmul_(gradient, gradient, value=1 - slow)
                    deviation = (second / (1 - slow**self._steps)).sqrt_().add_(TINY)
                    move.addcdiv_(first, deviation, value=-speed * rate / (1 - fast**self._steps))
                    move.grad = None
