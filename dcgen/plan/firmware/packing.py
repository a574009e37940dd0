"""How a convolution's input lies for the packed kernels: padded, flattened planes, a strip of positions at a time.

A *position* is an index in a flattened plane. Rows of a padded plane begin one ``pitch`` of positions after each
other, so a tap of a filter lies at one distance from its output, whatever output that is, and a kernel runs
over rows without a break. A strided convolution reads a plane for each phase (row mod stride, column mod stride),
in which its windows lie side by side again. A kernel also computes outputs at the positions between the end of one
row and the begin of the next; they are dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

from dcgen.ir.graph import Shape
from dcgen.plan.firmware.arena import align
from dcgen.plan.firmware.constants import RUNTIME
from dcgen.quant.qgraph import QConv

PASS = RUNTIME.AT_ONCE
"""Positions of a pass, of which a strip has a whole number."""
WORD_BYTES = 4


@dataclass(frozen=True)
class Padded:
    """Geometry of the plane that a depthwise convolution reads: one channel's rows with their padding, as bytes.

    pitch : bytes from one row to the next
    rows : rows that the outputs of a step read
    """

    pitch: int
    rows: int

    @classmethod
    def of(cls, op: QConv, rows: int, width: int) -> Padded:
        """The plane that ``rows`` output rows of ``width`` bytes read."""
        (kh, kw), (sh, sw) = op.kernel, op.stride
        return cls((width - 1) * sw + kw, (rows - 1) * sh + kh)

    @property
    def words(self) -> int:
        """32-bit words of the plane and of one word more, which is read but never used."""
        return -(-self.pitch * self.rows // WORD_BYTES) + 1

    @property
    def size(self) -> int:
        """Bytes of the plane, aligned."""
        return align(self.words * WORD_BYTES)


@dataclass(frozen=True)
class Packing:
    """Geometry of one convolution's packed input.

    pitch : positions from one output row to the next; output (y, x) is position y * pitch + x
    phases : rows and columns of phases; their product is the number of planes that a channel is taken apart into
    halo : distance of the last tap from its output, in positions
    positions : outputs of all rows, the dropped ones between the rows included
    planes : channels times phases
    strip : positions that are packed and computed at a time, a multiple of PASS
    complements : whether there is room for the complement 255 - x of each byte x, for the kernel by levels
    """

    pitch: int
    phases: tuple[int, int]
    halo: int
    positions: int
    planes: int
    strip: int
    complements: bool = True

    @classmethod
    def of(
        cls, op: QConv, in_shape: Shape, out_shape: Shape, strips: int = 1, complements: bool = True
    ) -> Packing:
        """The packing in ``strips`` strips, or fewer where these would be shorter than a pass.

        in_shape : (C, H, W) of the whole input
        out_shape : (C, H, W) of the output rows that are computed in one step
        """
        (kh, kw), (sh, sw) = op.kernel, op.stride
        _, oh, ow = out_shape
        # Side by side, the end of one row's padding serves as the begin of the next one's.
        shared = min(op.pads[1], op.pads[3]) if sw == 1 else 0
        pitch = ow + (kw - 1) // sw - shared
        phases = min(sh, kh), min(sw, kw)
        positions = (oh - 1) * pitch + ow
        return cls(
            pitch=pitch,
            phases=phases,
            halo=(kh - 1) // sh * pitch + (kw - 1) // sw,
            positions=positions,
            planes=in_shape[0] * phases[0] * phases[1],
            strip=-(-positions // (PASS * strips)) * PASS,
            complements=complements,
        )

    def fitting(self, room: int) -> Packing | None:
        """The same in the longest equal strips that fit ``room`` bytes; None where not even one pass fits."""
        passes = range(PASS, self.strip + 1, PASS)
        n = bisect_right(passes, room, key=self._size)
        return replace(self, strip=passes[n - 1]).balanced if n else None

    @property
    def strips(self) -> int:
        """Strips of a step: how many times its filters are decoded."""
        return -(-self.positions // self.strip)

    @property
    def balanced(self) -> Packing:
        """The same in as many strips, each as short as that allows."""
        return replace(self, strip=-(-self.positions // (PASS * self.strips)) * PASS)

    @property
    def line_bytes(self) -> int:
        """Bytes of the line that holds a plane's strip before it is packed, and later a filter's outputs."""
        return align(self.strip + self.halo)

    @property
    def plane_words(self) -> int:
        """32-bit words of one packed plane, in the largest of the forms that kernels read.

        With two positions a word (direct) a plane has strip / 2 + halo words; with four (by levels) it has
        strip / 4 + halo, and as many of complements. Planes of bytes have fewer.
        """
        return self._plane_words(self.strip)

    def _plane_words(self, strip: int) -> int:
        return strip // 2 + (2 if self.complements else 1) * self.halo

    @property
    def words(self) -> int:
        """32-bit words of all planes."""
        return self.planes * self.plane_words

    @property
    def size(self) -> int:
        """Bytes of line and planes."""
        return self._size(self.strip)

    def _size(self, strip: int) -> int:
        return align(strip + self.halo) + align(self.planes * self._plane_words(strip) * WORD_BYTES)
