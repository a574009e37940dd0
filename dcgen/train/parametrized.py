"""What a convolution consists of while it is trained: parameters that an optimizer moves, and a function that
makes the weights and biases of them.

Every way to compress a convolution has parameters of its own (offsets and steps of levels, factors of low rank,
...). What trains, moves them by their gradients and need not know what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dcgen.ir.graph import F32

if TYPE_CHECKING:
    from torch import Tensor


class Parameter(NamedTuple):
    """A tensor that training moves.

    start : float32, its values before the first step
    rate : most that a step at full speed moves one of its values by, in the unit of the values; 0 leaves them
        alone
    """

    start: F32
    rate: float


@dataclass(frozen=True, eq=False)
class Parametrized:
    """One convolution and its parameters.

    moved : by name, what training moves
    fixed : by name, float32 arrays that ``make`` reads and that training leaves alone
    make : the weights, float32 OIHW, and the biases, float32 [O], for the tensors of ``moved`` and ``fixed``,
        by name, all on one device
    """

    moved: Mapping[str, Parameter]
    fixed: Mapping[str, F32]
    make: Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor]]
