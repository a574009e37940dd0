"""What every importer returns: a network, and what its source says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dcgen.inputs.tensor import TensorInput
from dcgen.ir.graph import Graph

Head = Literal["none", "softmax", "log_softmax", "sigmoid", "argmax", "topk"]
"""The operator behind the scores of an output at the end of the source. It is no part of the graph: the host
applies it."""


@dataclass(frozen=True, eq=False)
class ImportedModel:
    """A float network and what its source said about it.

    heads : what followed the scores of each of the graph's outputs in the source
    source : path or name it was loaded from
    preprocess_hint : name of the preprocessing preset it expects, None when the source does not say
    own_input : how the source's input stands for the graph's real values where it is of integers, else None
    ranges : by tensor of the graph that the source has as integers of 8 bits, the least and the largest real value
        that these stand for
    """

    graph: Graph
    heads: tuple[Head, ...] = ("none",)
    source: str = ""
    preprocess_hint: str | None = None
    own_input: TensorInput | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        """What followed the scores of the first output that something followed."""
        return next((head for head in self.heads if head != "none"), "none")
