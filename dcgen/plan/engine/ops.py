"""The engine's work before it is cut into strips: planes of pixels and the operations on them.

An operation makes its output in *units*, first to last: a convolution in tiles of ``lanes`` pixels, a pool in
rows, the load in beats of the picture's stream. Each operation says for a number of units which pixels of its
output then exist, which pixels of its sources they are made of, and which source pixels later units still need.
Strips and rings follow from these. A pixel is a flat number: row * pitch + column.
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
    """Channels of one shape in activation memory.

    label : what they hold, for people
    pitch : pixels from one row to the next; columns from ``width`` to ``pitch`` hold nothing of use
    """

    label: str
    channels: int
    rows: int
    width: int
    pitch: int

    @property
    def pixels(self) -> int:
        """How many flat pixels there are up to the last one of use."""
        return (self.rows - 1) * self.pitch + self.width

    def words(self, lanes: int) -> int:
        """Words of a whole channel; a word holds ``lanes`` pixels."""
        return -(-self.pixels // lanes)


@dataclass(frozen=True)
class View:
    """Some of the channels of ``planes`` (their number), from ``channel`` on."""

    planes: int
    channel: int = 0


@dataclass(frozen=True)
class Op(ABC):
    """One operation. Unless it says otherwise it reads no planes.

    node : index of the node that it works for, -1 for the picture's load
    out : where the output goes; None where nothing is written to planes

    Methods take ``at``, all planes by number, and the engine's parameters ``p``.
    """

    node: int
    out: View | None

    @property
    def sources(self) -> tuple[View, ...]:
        """The planes that are read."""
        return ()

    @abstractmethod
    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """How many units the whole output is made in."""

    @abstractmethod
    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """The end of the output pixels that exist after ``units`` units."""

    def reads(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """The end of the source pixels that the first ``units`` units are made of."""
        return 0

    def holds(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """The first source pixel that units from ``units`` on are made of."""
        return 0

    def units_for(self, pixels: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        """The fewest units after which all output pixels below ``pixels`` exist."""
        return bisect_left(range(self.units(at, p)), pixels, key=lambda units: self.made(units, at, p))


@dataclass(frozen=True)
class LoadOp(Op):
    """The picture's bytes as they come: one plane of H rows and W * C columns."""

    def _bytes(self, at: Mapping[int, Planes]) -> int:
        assert self.out is not None
        return at[self.out.planes].pixels

    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return -(-self._bytes(at) // p.picture_bytes)

    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return min(units * p.picture_bytes, self._bytes(at))


@dataclass(frozen=True)
class PoolOp(Op):
    """Maximum of windows; with a 1x1 kernel a copy, with a stride, padding or another pitch.

    Output (r, c) is made of ``kernel[0]`` source rows from r * stride[0] + offset[0] on, and of ``kernel[1]``
    columns from c * stride[1] + offset[1] on.

    kind : of the node's section, None for a copy, which has none
    channels : how many channels are made
    rows, width : of the output
    fill, fill_index : which byte lies outside the source
    tensor_in, tensor_out : the blob's numbers of the tensors read and made
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
    """A kernel position: it reads ``view``, ``dy`` rows below and ``dx`` columns right of the output pixel."""

    view: View
    dy: int
    dx: int


@dataclass(frozen=True)
class ConvOp(Op):
    """Weighted sums of pixels. Input and output planes have one pitch.

    kind : CONV, ADD or AVG_POOL
    raw : whether the accumulators are the network's scores
    taps : in the order of the kernel's positions
    outputs : how many channels are made
    channels, group_outputs : how many channels a group reads and makes
    tensors_in : the blob's numbers of the input tensors, the same twice where there is one
    tensor_out : the blob's number of the output tensor, 0 for scores
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
        """How many flat pixels the output has up to the last one of use."""
        return (self.rows - 1) * at[self.taps[0].view.planes].pitch + self.width

    def _distances(self, at: Mapping[int, Planes]) -> list[int]:
        """How many pixels behind the output's each tap reads."""
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
    """Sends scores: bytes minus the zero point, or with ``total`` their sum over each channel. The last operation.

    channels : how many channels are read
    tensor_in : the blob's number of the tensor read
    """

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
    """The section of a Concat: it is read and checked; the work is done by placement."""

    kind: Kind

    def units(self, at: Mapping[int, Planes], p: EngineParameters) -> int:
        return 1

    def made(self, units: int, at: Mapping[int, Planes], p: EngineParameters) -> int:
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
