"""Makes one function of each part of a network that is a function of one tensor, element by element.

Activations are often spelled by several operators: x * Sigmoid(x), x * Clip(x + 3, 0, 6) / 6, the Erf of GELU.
What computes each element of its output from the same element of one tensor becomes one ``Function``, which a
compiled network looks up in a table. Clips and factors in front of it are left for the convolution before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dcgen.errors import UnsupportedError
from dcgen.ir.functions import MAX_STEPS
from dcgen.ir.graph import Add, Affine, Clip, Constant, Function, Graph, Node, Op, Pairwise, Step, Where


@dataclass(frozen=True)
class _Formula:
    """A tensor as a function of another one.

    source : the other tensor
    steps : the function's, none where it is the tensor itself
    names : of each step, the tensor that its result is, empty for one between two tensors
    """

    source: str
    steps: tuple[Step, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether it has a step that neither clips nor scales, so that no convolution can take it over."""
        return any(not _is_soft(s) for s in self.steps)

    @property
    def behind_clips(self) -> _Formula:
        """The same tensor as a function of the last tensor on the way that only clips and scales lead to."""
        found = self
        for cut, (step, name) in enumerate(zip(self.steps, self.names, strict=True)):
            if not _is_soft(step):
                break
            later = self.steps[cut + 1 :]
            if name and all(not isinstance(o, int) or o > cut for s in later for o in s.operands):
                found = _Formula(name, tuple(_moved(s, -cut - 1) for s in later), self.names[cut + 1 :])
        return found


def merge_functions(graph: Graph) -> Graph:
    """Replace each tensor that is a function of one other tensor by a ``Function`` of the first such tensor.

    Clips and factors alone make no function. Those that lead to one and that all of it depends on stay in front.
    """
    formulas: dict[str, _Formula] = {i.name: _Formula(i.name) for i in graph.inputs}
    for node in graph.nodes:
        shapes = {graph.shapes[i] for i in node.inputs}
        found = None
        if len(shapes) == 1:
            found = _formula(node, [formulas[i] for i in node.inputs])
            found = found or _formula(node, [_Formula(i) for i in node.inputs])  # where that has too many steps
        formulas[node.name] = found or _Formula(node.name)
    nodes, read = [], set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name not in read:
            continue
        formula = formulas[node.name].behind_clips
        if formula.is_needed:
            node = replace(node, op=Function(formula.steps), inputs=(formula.source,))
        nodes.append(node)
        read |= set(node.inputs)
    return graph.with_nodes(reversed(nodes))


def split_extremes(graph: Graph) -> Graph:
    """Replace max(a, b) of two tensors by b + max(a - b, 0), and min(a, b) by b - max(b - a, 0): integer networks
    have sums, differences and clips, but no extremes.

    Raises UnsupportedError for a quotient of tensors that are not functions of the same one, or a choice.
    """
    nodes = []
    for node in graph.nodes:
        match node.op:
            case Pairwise("Div"):
                raise UnsupportedError(
                    node.name,
                    f"divides {node.inputs[0]} by {node.inputs[1]}",
                    "a quotient is supported where one tensor is the only one that it depends on",
                )
            case Where():
                raise UnsupportedError(
                    node.name,
                    f"chooses between {node.inputs[1]} and {node.inputs[2]}",
                    "a choice is supported where one tensor is the only one that it depends on",
                )
            case Pairwise("Max" | "Min" as kind):
                a, b = node.inputs
                minuend, subtrahend = (a, b) if kind == "Max" else (b, a)
                nodes.append(Node(f"{node.name}.difference", Pairwise("Sub"), (minuend, subtrahend)))
                nodes.append(Node(f"{node.name}.excess", Clip(), (f"{node.name}.difference",)))
                join: Op = Add() if kind == "Max" else Pairwise("Sub")
                nodes.append(Node(node.name, join, (b, f"{node.name}.excess")))
            case _:
                nodes.append(node)
    return graph.with_nodes(nodes)


def _formula(node: Node, inputs: list[_Formula]) -> _Formula | None:
    """The output of ``node`` as a function of one tensor, None where it is none or has too many steps."""
    if any(f.source != inputs[0].source for f in inputs):
        return None
    draft = _Draft()
    values = [draft.inline(f.steps, 0, f.names) for f in inputs]
    match node.op:
        case Function(steps):
            made = draft.inline(steps, values[0])
        case Add():
            made = draft.append(Step("Add", tuple(values)))
        case Pairwise(kind):
            made = draft.append(Step(kind, tuple(values)))
        case Where():
            made = draft.append(Step("Where", tuple(values)))
        case Clip(lo, hi):
            made = draft.append(Step("Clip", (values[0], Constant(lo), Constant(hi))))
        case Affine(scale, shift) if np.ptp(scale) == np.ptp(shift) == 0:
            made = draft.append(Step("Mul", (values[0], Constant(float(scale[0])))))
            made = draft.append(Step("Add", (made, Constant(float(shift[0])))))
        case _:
            return None
    if made > MAX_STEPS:
        return None
    draft.names[made - 1] = draft.names[made - 1] or node.name
    return _Formula(inputs[0].source, tuple(draft.steps[:made]), tuple(draft.names[:made]))


class _Draft:
    """Steps under construction, none of them twice; ``names`` as in ``_Formula``."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.names: list[str] = []
        self._numbers: dict[Step, int] = {}

    def append(self, step: Step, name: str = "") -> int:
        """Append the step if none is equal to it. Returns the number by which further steps read its result."""
        if step not in self._numbers:
            self.steps.append(step)
            self.names.append(name)
            self._numbers[step] = len(self.steps)
        return self._numbers[step]

    def inline(self, steps: Sequence[Step], argument: int, names: Sequence[str] = ()) -> int:
        """The number of the result of a function of value ``argument``."""
        values = [argument]
        for number, step in enumerate(steps):
            operands = tuple(values[o] if isinstance(o, int) else o for o in step.operands)
            values.append(self.append(replace(step, operands=operands), names[number] if names else ""))
        return values[-1]


def _is_soft(step: Step) -> bool:
    """Whether it clips, or multiplies by or adds a constant."""
    constant = isinstance(step.operands[-1], Constant)
    return step.kind == "Clip" or (step.kind in ("Mul", "Add") and constant)


def _moved(step: Step, by: int) -> Step:
    """The step with numbers of values changed by ``by``."""
    return replace(step, operands=tuple(o + by if isinstance(o, int) else o for o in step.operands))
