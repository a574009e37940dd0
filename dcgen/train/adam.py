"""Adam (Kingma & Ba 2015), with a state that can be saved between two steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

DECAYS = (0.9, 0.99)
"""Share of the running mean of a gradient, and of its square, that is kept at each step: means over about the
last 10 and the last 100 steps."""
TINY = 1e-12
"""Added to the root of the mean square, so that it is never zero. Adam's usual 1e-8 would be too much: gradients
of a single weight are as small as 1e-7 nats."""


class Adam:
    """The optimizer of any number of named tensors, all on one device."""

    def __init__(self, device: str) -> None:
        self._device, self._steps = device, 0
        self._means: dict[str, Tensor] = {}

    def state(self) -> dict[str, np.ndarray]:
        """A copy of all that later steps depend on, besides the tensors themselves.

        Under ``NAME.1`` and ``NAME.2`` stand the running means of a tensor's gradient and of its square, float32;
        under ``steps``, the number of steps so far.
        """
        return {**{k: v.cpu().numpy().copy() for k, v in self._means.items()}, "steps": np.array(self._steps)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
        import torch

        self._steps = int(state["steps"])
        self._means = {k: torch.from_numpy(a.copy()).to(self._device) for k, a in state.items() if k != "steps"}

    def step(self, moved: Iterable[tuple[str, Tensor, float]]) -> None:
        """Move tensors against their gradients, and clear these.

        moved : name, tensor, and the most that one of its values moves by
        """
        import torch

        self._steps += 1
        first_decay, second_decay = DECAYS
        with torch.no_grad():
            for name, tensor, rate in moved:
                gradient = tensor.grad
                if gradient is None:
                    continue
                for moment in ("1", "2"):
                    if f"{name}.{moment}" not in self._means:
                        self._means[f"{name}.{moment}"] = torch.zeros_like(tensor)
                first, second = self._means[f"{name}.1"], self._means[f"{name}.2"]
                first.mul_(first_decay).add_(gradient, alpha=1 - first_decay)
                second.mul_(second_decay).addcmul_(gradient, gradient, value=1 - second_decay)
                deviation = (second / (1 - second_decay**self._steps)).sqrt_().add_(TINY)
                tensor.addcdiv_(first, deviation, value=-rate / (1 - first_decay**self._steps))
                tensor.grad = None
