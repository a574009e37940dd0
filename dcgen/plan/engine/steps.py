"""Records of the command list: a record makes a range of units of one operation, from and to placed planes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from dcgen.encode.schema import Kind
from dcgen.hw.contract import commands
from dcgen.hw.contract.commands import Tap
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.engine.ops import ConvOp, LoadOp, Operation, Planes, PoolOp, ScoresOp, SectionOp, View, Work
from dcgen.plan.engine.strips import Placement


@dataclass(frozen=True)
class Made:
    """The pixels ``start .. end - 1`` that a step makes, in ``channels`` channels from ``view`` on."""

    view: View
    channels: int
    start: int
    end: int


@dataclass(frozen=True)
class Step:
    """One record of the command list.

    node : index of the node that it works for; -1 for the picture's load, the tensor table and the end
    fields, taps : as ``dcgen.hw.contract.commands.pack_step`` takes them
    made : the pixels that it writes, None where it writes none
    """

    node: int
    fields: Mapping[str, int]
    taps: tuple[Tap, ...] = ()
    made: Made | None = None

    @property
    def op(self) -> commands.Op:
        return commands.Op(self.fields["op"])

    @property
    def has_section(self) -> bool:
        """Whether the front end reads the node's section in this step."""
        return self.fields.get("kind", 0) != 0

    def words(self) -> list[int]:
        """The packed record. Raises ValueError for a value beyond its field."""
        return commands.pack_step(dict(self.fields), self.taps)


@dataclass(frozen=True)
class StepMaker:
    """Makes the records of the operations of ``work``.

    p : of the engine; its ``lanes`` are the pixels of a word
    """

    work: Work
    placement: Placement
    p: EngineParameters

    def step(self, op: Operation, start: int, end: int) -> Step:
        """The record that makes units ``start .. end - 1`` of ``op``."""
        match op:
            case LoadOp():
                fields, channels = self._load(op, start, end), 1
                taps: tuple[Tap, ...] = ()
            case ConvOp():
                fields, channels = self._conv(op, start, end), op.outputs
                taps = tuple(self._taps(op))
            case PoolOp():
                fields, channels, taps = self._pool(op, start, end), op.channels, ()
            case ScoresOp():
                fields, channels, taps = self._scores(op), 0, ()
            case SectionOp():
                fields, channels, taps = {"op": commands.Op.SECTION, "kind": op.kind}, 0, ()
            case _:
                assert_never(op)
        made = None
        if op.out is not None:
            at = self.work.planes
            first = self._planes(op.out).pitch * start if isinstance(op, PoolOp) else op.made(start, at, self.p)
            made = Made(op.out, channels, first, op.made(end, at, self.p))
        return Step(op.node, {**fields, "node": max(op.node, 0)}, taps, made)

    def _planes(self, view: View) -> Planes:
        return self.work.planes[view.planes]

    def _words(self, view: View) -> int:
        """Words from one channel to the next."""
        return self.placement.words[view.planes]

    def _base(self, view: View) -> int:
        """The first word of the view's first channel."""
        return self.placement.base[view.planes] + view.channel * self._words(view)

    def _distance(self, name: str, pixels: int, ring: int) -> dict[str, int]:
        """The two fields of a distance of ``pixels`` pixels in a ring of ``ring`` words."""
        words, lanes = divmod(pixels, self.p.lanes)
        return {f"{name}_words": words % ring, f"{name}_lanes": lanes}

    def _cursor(self, name: str, pixel: int, ring: int) -> dict[str, int]:
        """The two fields of the place of ``pixel``, which may be negative, in a ring of ``ring`` words."""
        words, lane = divmod(pixel, self.p.lanes)
        return {f"{name}_place": words % ring, f"{name}_lane": lane}

    def _load(self, op: LoadOp, start: int, end: int) -> dict[str, int]:
        assert op.out is not None
        ring, at = self._words(op.out), self.work.planes
        first = op.made(start, at, self.p)
        return {
            "op": commands.Op.LOAD,
            "out_base": self._base(op.out),
            "out_words": ring,
            **self._cursor("out", first, ring),
            "count": op.made(end, at, self.p) - first,
        }

    def _conv(self, op: ConvOp, start: int, end: int) -> dict[str, int]:
        source = op.taps[0].view
        planes, ring = self._planes(source), self._words(source)
        out_words = 1 if op.out is None else self._words(op.out)
        first = start * self.p.lanes
        return {
            "op": commands.Op.CONV,
            "kind": op.kind,
            "raw": int(op.raw),
            "tensor_in": op.tensors_in[0],
            "tensor_in2": op.tensors_in[1],
            "tensor_out": op.tensor_out,
            "outputs": op.outputs,
            "channels": op.channels,
            "taps": len(op.taps),
            "group_outputs": op.group_outputs,
            "group_words": op.channels * ring,
            "in_words": ring,
            "out_words": out_words,
            "out_base": 0 if op.out is None else self._base(op.out),
            "tiles": end - start,
            "in_place": start % ring,
            "out_place": start % out_words,
            "first_pixel": first,
            "plane_pixels": planes.rows * planes.pitch,
            "pitch": planes.pitch,
            "width": planes.width,
            "x_advance": self.p.lanes % planes.pitch,
            "first_x": first % planes.pitch,
            "count": op.pixels(self.work.planes) if op.raw else 0,
        }

    def _taps(self, op: ConvOp) -> list[Tap]:
        """The operation's taps, with distances of 0 .. ring - 1 words: in a ring, a negative distance equals one
        of these."""
        found = []
        for tap in op.taps:
            pitch = self._planes(tap.view).pitch
            words, lane = divmod(tap.dy * pitch + tap.dx, self.p.lanes)
            found.append(Tap(self._base(tap.view), words % self._words(tap.view), lane, -tap.dy * pitch, tap.dx))
        return found

    def _pool(self, op: PoolOp, start: int, end: int) -> dict[str, int]:
        assert op.out is not None
        source, out = self._planes(op.source), self._planes(op.out)
        ring, out_words = self._words(op.source), self._words(op.out)
        (sy, sx), (kh, kw) = op.stride, op.kernel
        groups, window, x_step = window_reads(kw)
        if sx in self.p.strides:
            select, outputs = self.p.strides.index(sx), (self.p.lanes - window) // sx + 1
        else:
            select, outputs = 0, 1  # lanes cannot be compacted by this stride: each read makes one output
        outputs = min(outputs, op.width)
        first_row, first_column = start * sy + op.offset[0], op.offset[1]
        return {
            "op": commands.Op.POOL,
            "kind": 0 if op.kind is None else op.kind,
            "fill": op.fill,
            "fill_index": op.fill_index,
            "stride_select": select,
            "tensor_in": op.tensor_in,
            "tensor_out": op.tensor_out,
            "outputs": op.channels,
            "taps": kh,
            "x_groups": groups,
            "x_step": x_step,
            "x_window": window,
            "in_words": ring,
            "out_words": out_words,
            "in_base": self._base(op.source),
            "out_base": self._base(op.out),
            **self._cursor("in", first_row * source.pitch + first_column, ring),
            **self._cursor("out", start * out.pitch, out_words),
            "first_row": first_row,
            "rows": end - start,
            "height": source.rows,
            "stride_y": sy,
            **self._distance("row", source.pitch, ring),
            "chunk_outputs": outputs,
            "chunk_columns": outputs * sx,
            **self._distance("chunk", outputs * sx, ring),
            **self._distance("out_row", out.pitch, out_words),
            "first_column": first_column,
            "out_width": op.width,
            **self._distance("window", sy * source.pitch, ring),
            "in_columns": source.width,
            **self._distance("x", x_step, ring),
        }

    def _scores(self, op: ScoresOp) -> dict[str, int]:
        planes = self._planes(op.source)
        return {
            "op": commands.Op.SCORES,
            "kind": Kind.SCORES,
            "total": int(op.total),
            "tensor_in": op.tensor_in,
            "outputs": op.channels,
            "in_words": self._words(op.source),
            "in_base": self._base(op.source),
            "tiles": planes.words(self.p.lanes),
            "count": planes.pixels,
        }


def window_reads(columns: int) -> tuple[int, int, int]:
    """How a pool reads a row of its windows, which has ``columns`` columns: the reads cover these exactly.

    Returns the number of reads, the columns of each (1 to 3), and the columns from one read to the next.
    """
    for reads in range(1, columns + 1):
        for window in (3, 2, 1):
            step, rest = divmod(columns - window, reads - 1) if reads > 1 else (0, columns - window)
            if rest == 0 and step <= window:
                return reads, window, step
    raise ValueError(f"no window of {columns} columns")
