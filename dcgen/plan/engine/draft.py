"""The engine's work under construction: planes and their pitches, which tensor lies where, copies between planes.

A convolution computes flat pixels, so its input and output planes need one pitch. Planes that are tied in this way
form a class, whose pitch is that of its widest member.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from dcgen.hw.contract.commands import Fill
from dcgen.plan.engine.ops import (
    ConvOp,
    LoadOp,
    Operation,
    Planes,
    PoolOp,
    ScoresOp,
    SectionOp,
    TapRef,
    View,
    Work,
)
from dcgen.quant.qgraph import QConcat, QGraph

RAW = 0
"""Number of the planes that hold the picture as it comes, channels interleaved."""


class Draft:
    """Work under construction.

    number : the blob's number of each tensor
    ops : operations so far
    equal_rings : as ``Work.equal_rings``, so far
    """

    def __init__(self, graph: QGraph) -> None:
        self.graph = graph
        self.number = {name: i for i, name in enumerate((graph.input.name, *(n.name for n in graph.nodes)))}
        self.ops: list[Operation] = []
        self.equal_rings: list[tuple[int, ...]] = []
        self._planes: list[Planes] = []
        self._classes: list[int] = []  # by planes: another member of their pitch class; a root links to itself
        self._views: dict[str, View] = {}
        c, h, w = graph.input.shape
        raw = self.add_planes(f"{graph.input.name} as it comes", 1, h, w * c)
        assert raw == RAW
        self.ops.append(LoadOp(-1, View(RAW)))
        self._place_concats()

    def add_planes(self, label: str, channels: int, rows: int, width: int) -> int:
        """Make planes that are a pitch class of their own, and return their number."""
        self._planes.append(Planes(label, channels, rows, width, width))
        self._classes.append(len(self._classes))
        return len(self._planes) - 1

    def _class(self, planes: int) -> int:
        """The root of the pitch class of ``planes``."""
        while self._classes[planes] != planes:
            planes = self._classes[planes]
        return planes

    def one_pitch(self, a: int, b: int) -> None:
        """Give planes ``a`` and ``b``, and all that are tied to them, one pitch."""
        self._classes[self._class(a)] = self._class(b)

    def _place_concats(self) -> None:
        """Place the branches of each Concat in channels of its planes, outermost Concat first."""
        for node in reversed(self.graph.nodes):
            if isinstance(node.op, QConcat):
                at = self.made(node.name)
                channel = at.channel
                for branch in node.inputs:
                    self._views[branch] = View(at.planes, channel)
                    channel += self.graph.tensors[branch].shape[0]

    def made(self, name: str) -> View:
        """The channels that tensor ``name`` is written to."""
        if name not in self._views:
            self._views[name] = View(self.add_planes(name, *self.graph.tensors[name].shape))
        return self._views[name]

    def read(self, name: str, node: int) -> View:
        """The channels that tensor ``name`` is read from by ``node``; the first reader has the picture split into
        its channels."""
        if name == self.graph.input.name and name not in self._views:
            c, h, w = self.graph.input.shape
            view = self.made(name)
            for channel in range(c):
                self.copy(node, View(RAW), View(view.planes, channel), 1, (h, w), (1, c), (0, channel))
        return self.made(name)

    def copy(
        self,
        node: int,
        source: View,
        out: View,
        channels: int,
        size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        offset: tuple[int, int] = (0, 0),
        fill: Fill = Fill.ZERO_POINT,
        fill_index: int = 0,
        tensor_in: int = 0,
    ) -> None:
        """Append a copy of ``size`` (rows, columns) pixels, read from ``offset`` on in steps of ``stride``.

        fill, fill_index, tensor_in : the byte that lies outside the source, see ``PoolOp``
        """
        self.ops.append(
            PoolOp(
                node, out, source, None, channels, *size, (1, 1), stride, offset, fill, fill_index, tensor_in
            )
        )  # fmt: skip

    def taps(self, view: View, kernel: tuple[int, int], pads: Iterable[int]) -> tuple[TapRef, ...]:
        """Taps that read ``view`` itself, not copies. ``pads`` : rows above and columns left of it"""
        top, left = pads
        return tuple(TapRef(view, ky - top, kx - left) for ky in range(kernel[0]) for kx in range(kernel[1]))

    def repitched(self, node: int, name: str, view: View, width: int) -> View:
        """A copy of tensor ``name`` in planes with a pitch of at least ``width``.

        The copy is cheaper than this pitch in all planes that are tied to the tensor's own.
        """
        c, h, w = self.graph.tensors[name].shape
        copy = self.add_planes(f"{name}, wider", c, h, w)
        self._planes[copy] = replace(self._planes[copy], pitch=width)
        self.copy(node, view, View(copy), c, (h, w), tensor_in=self.number[name])
        return View(copy)

    def dense(self, node: int, name: str) -> View:
        """Tensor ``name`` in planes whose pitch is its width, as scores need it.

        That is a copy, which ``finish`` drops where it changes nothing.
        """
        view = self.read(name, node)
        c, h, w = self.graph.tensors[name].shape
        if h == 1:
            return view
        copy = self.add_planes(f"{name}, packed", c, h, w)
        self.copy(node, view, View(copy), c, (h, w), tensor_in=self.number[name])
        return View(copy)

    def phases(
        self,
        node: int,
        name: str,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        pads: Iterable[int],
        size: tuple[int, int],
        folded: bool = False,
        centred: bool = False,
    ) -> tuple[TapRef, ...]:
        """Taps on phase planes of tensor ``name``, which copies make; see ``lower``.

        size : rows and columns of the output
        folded : whether each kernel column has a phase of its own, so that the pitch can be the output's width
        centred : whether the picture, too, is padded with its zero point and not with its pad bytes
        """
        (kh, kw), (sy, sx), (oh, ow), (top, left) = kernel, stride, size, pads
        c, _, _ = self.graph.tensors[name].shape
        columns = kw if folded else sx
        phases = list(dict.fromkeys((ky % sy, kx % columns) for ky in range(kh) for kx in range(kw)))
        rows, width = oh + (kh - 1) // sy, ow + (kw - 1) // columns
        label = f"{self.graph.nodes[node].name}, {len(phases)} phases of {name}"
        planes = self.add_planes(label, len(phases) * c, rows, width)
        tensor = self.number[name]
        picture = name == self.graph.input.name
        view = None if picture else self.read(name, node)
        for number, (py, px) in enumerate(phases):
            first = number * c
            offset = (py - top, px - left)
            if view is not None:
                self.copy(
                    node, view, View(planes, first), c, (rows, width), (sy, sx), offset, Fill.ZERO_POINT, 0, tensor
                )
                continue
            for channel in range(c):
                fill = (Fill.ZERO_POINT, 0) if centred else (Fill.INPUT_PAD, channel)
                at = (offset[0], offset[1] * c + channel)
                out = View(planes, first + channel)
                self.copy(node, View(RAW), out, 1, (rows, width), (sy, sx * c), at, *fill, tensor)
        return tuple(
            TapRef(View(planes, phases.index((ky % sy, kx % columns)) * c), ky // sy, kx // columns)
            for ky in range(kh)
            for kx in range(kw)
        )

    def finish(self) -> Work:
        """The work, with all pitches fixed and without copies that change nothing."""
        pitch: dict[int, int] = {}
        for number, one in enumerate(self._planes):
            root = self._class(number)
            pitch[root] = max(pitch.get(root, 0), one.pitch)
        planes = {n: replace(one, pitch=pitch[self._class(n)]) for n, one in enumerate(self._planes)}
        ops, tensors, rings = self.ops, self._views, self.equal_rings
        while copy := next((op for op in ops if isinstance(op, PoolOp) and _changes_nothing(op, planes)), None):
            assert copy.out is not None
            gone, kept = copy.out.planes, copy.source
            ops = [_moved(op, gone, kept) for op in ops if op is not copy]
            tensors = {name: _shifted(view, gone, kept) for name, view in tensors.items()}
            rings = [tuple(kept.planes if n == gone else n for n in ring) for ring in rings]
            planes.pop(gone)
        return Work(planes, tuple(ops), tensors, tuple(rings))


def _changes_nothing(op: PoolOp, planes: dict[int, Planes]) -> bool:
    """Whether ``op`` is a copy whose readers could as well read its source."""
    if op.kind is not None or op.out is None:
        return False
    source, out = planes[op.source.planes], planes[op.out.planes]
    whole = (op.channels, op.rows, op.width) == (out.channels, source.rows, source.width)
    plain = op.stride == (1, 1) and op.offset == (0, 0)
    return whole and plain and source.pitch == out.pitch


def _shifted(view: View, gone: int, kept: View) -> View:
    """``view``, but in channels from ``kept`` on where it is one of planes ``gone``."""
    return View(kept.planes, kept.channel + view.channel) if view.planes == gone else view


def _moved(op: Operation, gone: int, kept: View) -> Operation:
    """``op`` with its reads of planes ``gone`` sent to ``kept``."""
    match op:
        case PoolOp() | ScoresOp():
            return replace(op, source=_shifted(op.source, gone, kept))
        case ConvOp():
            return replace(op, taps=tuple(replace(t, view=_shifted(t.view, gone, kept)) for t in op.taps))
        case LoadOp() | SectionOp():
            return op
        case _:
            assert_never(op)
