"""What a method of the literature says to the training loop, which knows none of them by name.

A method makes each weight of parameters: ``Parametrization`` is registered on a layer by
``torch.nn.utils.parametrize``, so that gradients reach the parameters and the layer sees only the weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from dcgen.ir.weights import Levels


class Parametrization(nn.Module):
    """How a layer's weight is made of a tensor ``original``, which training moves, and parameters of its own."""

    def forward(self, original: Tensor) -> Tensor:
        """The weight, float32 OIHW."""
        return original

    def right_inverse(self, weight: Tensor) -> Tensor:
        """An ``original`` that makes ``weight``, or what comes closest to it."""
        return weight

    def advance(self, original: Tensor, progress: float) -> None:
        """Change what gradients do not move, such as masks. It is called before each step, without gradients.

        progress : share of the stage's steps that are done, 0 to 1
        """

    def bits(self, original: Tensor) -> Tensor | None:
        """Bits that the weight takes when coded, differentiable; None where a method does not count them."""
        return None

    def levels(self, original: Tensor) -> Levels | None:
        """The levels that the weight consists of, exactly; None where it is not shared."""
        return None


@dataclass(frozen=True)
class Method:
    """Settings of one method. A subclass adds them as fields with defaults.

    name : what a stage calls it
    source : the paper, and its section
    """

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""

    def parametrization(self, weight: Tensor) -> Parametrization | None:
        """How a layer of ``weight``, float32 OIHW, is made in training; None for the weight itself."""
        raise AssertionError("a method defines its parametrization")


def parametrized(network: nn.Module) -> Iterator[tuple[Parametrization, nn.Parameter]]:
    """The parametrization of each layer's weight that has one, with its ``original``, in the layers' order."""
    for module in network.modules():
        if is_parametrized(module, "weight"):
            made: Any = module.parametrizations["weight"]  # type: ignore[index]
            yield made[-1], made.original


def weight_levels(layer: nn.Module) -> Levels | None:
    """The levels of a layer's weight, None where it has no method that shares weights."""
    for made, original in parametrized(layer):
        return made.levels(original.detach())
    return None
