"""What a method of the literature says to the training loop, which knows none of them by name.

A method makes each weight of parameters: ``Parametrization`` is registered on a layer by
``torch.nn.utils.parametrize``, so that gradients reach the parameters and the layer sees only the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from dcgen.ir.weights import Levels


@dataclass(frozen=True, eq=False)
class Channels:
    """A layer's channels, for methods that remove whole ones.

    makes : int64 [O], the number of the group of joined channels that each output channel belongs to
        (``dcgen.compress.joined``), negative for one that has to stay
    reads : int64 [I], the same of the input's channels; empty for a convolution of groups, whose filters and their
        inputs are removed together
    bias : float32 [O]
    pixels : of an output channel
    outputs : float32 [N, O, H, W] for calibration samples, behind the clip that is the only one to read them
    """

    makes: Tensor
    reads: Tensor
    bias: Tensor
    pixels: int
    outputs: Callable[[], Tensor]


@dataclass(frozen=True, eq=False)
class Given:
    """What a method is given of a layer.

    weight : float32 OIHW; what earlier stages have pruned is zero, what they have shared is equal
    fully_connected : whether its kernel covers its whole input
    channels : None where the layer is not part of a network
    """

    weight: Tensor
    fully_connected: bool = False
    channels: Channels | None = None


class Parametrization(nn.Module):
    """How a layer's weight is made of a tensor ``original``, which training moves, and parameters of its own.

    like_weights : whether its own parameters are values of weights, so that they learn at the weights' rate
    """

    like_weights: ClassVar[bool] = False

    def forward(self, original: Tensor) -> Tensor:
        """The weight, float32 OIHW."""
        return original

    def right_inverse(self, weight: Tensor) -> Tensor:
        """An ``original`` that makes ``weight``, or what comes closest to it."""
        return weight

    def advance(self, original: Tensor, progress: float) -> None:
        """Change what gradients do not move, such as masks. It is called before each step and at the end of each
        epoch, without gradients.

        progress : share of the stage's steps that are done, 0 to 1
        """

    def bits(self, original: Tensor) -> Tensor | None:
        """Bits that the weight takes when coded, differentiable; None where a method does not count them."""
        return None

    def penalty(self, original: Tensor) -> Tensor | None:
        """What is added to the loss, in nats; None for nothing."""
        return None

    def levels(self, original: Tensor) -> Levels | None:
        """The levels that the weight consists of, exactly; None where it is not shared."""
        return None


@dataclass(frozen=True)
class Method:
    """A method, as a frozen dataclass whose fields are its settings. Each method is a subclass.

    name : what a stage calls it
    source : the paper, and its section
    counts_bits : whether its parametrizations count bits, so that a price of bytes can lead to a file size
    shares : whether its weights have levels at the end
    """

    name: ClassVar[str] = ""
    source: ClassVar[str] = ""
    counts_bits: ClassVar[bool] = False
    shares: ClassVar[bool] = False

    def parametrizations(self, layers: Sequence[Given]) -> list[Parametrization | None]:
        """For each layer, how its weight is made of parameters while it is trained; None for a weight that is
        trained itself.

        layers : all convolutions of the network, in order
        """
        return [self.parametrization(layer) for layer in layers]

    def parametrization(self, layer: Given) -> Parametrization | None:
        """``parametrizations`` of one layer, for methods that treat each alone."""
        raise AssertionError("a method defines its parametrization")

    def arrived(self, progress: float) -> bool:
        """Whether a network is what the method was asked for when a share ``progress`` of the stage is done;
        before, it may be larger."""
        return True


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
