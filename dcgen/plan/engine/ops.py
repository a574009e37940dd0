"""The engine's work, before it is cut into strips: planes of pixels and the operations on them.

An operation makes its output in *units*, first to last: a convolution in tiles of ``lanes`` pixels, a
pool in rows, the load in beats. From how many units are made follow the pixels that exist, the pixels
that had to exist, and the pixels still needed: all that strips and rings are computed from. Pixels are
flat numbers, row * pitch + column.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from dcgen.encode.schema import Kind
from dcgen.hw.contract.commands import Fill
from dcgen.hw.contract.parameters import EngineParameters


@dataclass(frozen=True)
class Planes:
    """Channels of one shape in activation memory. Columns from ``width`` to ``pitch`` hold nothing of use.

    label : for people
    """

    label: str
    channels: int
    rows: int
    width: int
    pitch: int

    @property
    def pixels(self) -> int:
        """Flat pixels up to the last one of use."""
        return (self.rows - 1) * self.pitch + self.width

    def words(self, lanes: int) -> int:
        """Words of a whole channel."""
        return -(-self.pixels // lanes)


@dataclass(frozen=True)
class View:
    """Channels of some planes, from ``channel`` on."""

    planes: int
    channel: int = 0


@dataclass(frozen=True)
class Op(ABC):
    """One operation.

    node : index of the node it works for, -1 for the picture's load
    out : where the output goes; None for scores
    """

    node: int
    out: View | None

    @property
    @abstractmethod
    def sources(self) -> tuple[View, ...]:
        """What is read."""

    @abstractmethod
    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """Units of the whole output."""

    @abstractmethod
    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """Flat end of the pixels that exist after ``units`` units."""

    @abstractmethod
    def reads(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """Flat end of the source pixels that ``units`` units are made of."""

    @abstractmethod
    def holds(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """First source pixel that the units from ``units`` on are made of."""

    def units_for(self, pixels: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """Fewest units after which the pixels below ``pixels`` exist."""
        return bisect_left(range(self.units(at, p)), pixels, key=lambda units: self.made(units, at, p))


@dataclass(frozen=True)
class LoadOp(Op):
    """The picture's bytes, H rows of W * C columns, one plane."""

    @property
    def sources(self) -> tuple[View, ...]:
        return ()

    def _bytes(self, at: Mapping[int, Planes]) -> int:
        assert self.out is not None
        return at[self.out.planes].pixels

    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return -(-self._bytes(at) // p.picture_bytes)

    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return min(units * p.picture_bytes, self._bytes(at))

    def reads(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 0

    def holds(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 0


@dataclass(frozen=True)
class PoolOp(Op):
    """Maximum of windows; with a 1x1 kernel a copy with stride, padding or change of pitch.

    Output (r, c) is made of source rows r * stride[0] + offset[0] ..., columns likewise, ``kernel`` many.

    kind : of the node's section, None for a copy
    channels : planes made
    width, rows : of the output
    fill, fill_index, tensor_in : what lies outside the source
    tensor_out : number of the tensor made
    """

    source: View
    kind: Kind | None
    channels: int
    rows: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    offset: tuple[int, int]
    fill: Fill
    fill_index: int = 0
    tensor_in: int = 0
    tensor_out: int = 0

    @property
    def sources(self) -> tuple[View, ...]:
        return (self.source,)

    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return self.rows

    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        assert self.out is not None
        return (units - 1) * at[self.out.planes].pitch + self.width if units else 0

    def reads(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        source = at[self.source.planes]
        last = min((units - 1) * self.stride[0] + self.offset[0] + self.kernel[0] - 1, source.rows - 1)
        return last * source.pitch + source.width if units and last >= 0 else 0

    def holds(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        source = at[self.source.planes]
        first = max(0, units * self.stride[0] + self.offset[0])
        return source.pixels if units == self.rows else min(first * source.pitch, source.pixels)


@dataclass(frozen=True)
class TapRef:
    """Kernel position that reads the plane ``view`` ``dy`` rows down and ``dx`` columns right of the output."""

    view: View
    dy: int
    dx: int


@dataclass(frozen=True)
class ConvOp(Op):
    """Weighted sums of pixels; input and output have one pitch.

    kind : CONV, ADD or AVG_POOL
    raw : accumulators are the scores
    taps : in the order of the kernel's positions
    outputs : planes made
    channels, group_outputs : input and output planes of a group
    tensors_in : numbers of the input tensors, the same twice where there is one
    tensor_out : number of the output tensor, 0 for scores
    rows, width : of the output
    """

    kind: Kind
    raw: bool
    taps: tuple[TapRef, ...]
    outputs: int
    channels: int
    group_outputs: int
    tensors_in: tuple[int, int]
    tensor_out: int
    rows: int
    width: int

    @property
    def sources(self) -> tuple[View, ...]:
        return tuple(dict.fromkeys(t.view for t in self.taps))

    def pixels(self, at: Mapping[int, Planes]) -> int:
        """Flat pixels of the output, up to the last one of use."""
        return (self.rows - 1) * at[self.taps[0].view.planes].pitch + self.width

    def _distances(self, at: Mapping[int, Planes]) -> list[int]:
        pitch = at[self.taps[0].view.planes].pitch
        return [t.dy * pitch + t.dx for t in self.taps]

    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return -(-self.pixels(at) // p.lanes)

    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return min(units * p.lanes, self.pixels(at))

    def reads(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        end = self.made(units, at, p) + max(self._distances(at)) if units else 0
        return max(0, min(end, at[self.taps[0].view.planes].pixels))

    def holds(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        whole = at[self.taps[0].view.planes].pixels
        if units == self.units(at, p):
            return whole
        return max(0, min(units * p.lanes + min(self._distances(at)), whole))


@dataclass(frozen=True)
class ScoresOp(Op):
    """Bytes, or their sums over planes, minus the zero point, sent as scores: the last operation."""

    source: View
    total: bool
    channels: int
    tensor_in: int

    @property
    def sources(self) -> tuple[View, ...]:
        return (self.source,)

    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 1

    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 0

    def reads(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return at[self.source.planes].pixels if units else 0

    def holds(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return at[self.source.planes].pixels if units else 0


@dataclass(frozen=True)
class SectionOp(Op):
    """A section that is read and checked, and needs no work: a Concat, done by placement."""

    kind: Kind

    @property
    def sources(self) -> tuple[View, ...]:
        return ()

    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 1

    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 0

    def reads(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 0

    def holds(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 0


Operation = LoadOp | PoolOp | ConvOp | ScoresOp | SectionOp


@dataclass(frozen=True)
class Work:
    """A whole network as operations in order.

    planes : all planes by number
    tensors : the channels that hold each tensor; the picture's only if something reads it unpadded
    equal_rings : groups of planes, by number, that one operation reads as if they were one: their rings have
        one length
    """

    planes: Mapping[int, Planes]
    ops: tuple[Operation, ...]
    tensors: Mapping[str, View]
    equal_rings: tuple[tuple[int, ...], ...]
