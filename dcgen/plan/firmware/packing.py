"""How a convolution's input lies for the packed kernels: padded, flattened planes, a strip at a time.

Rows of a padded plane follow each other at one ``pitch``, so that every tap of a kernel is one distance
in the flattened plane, whatever output it serves, and a kernel runs over rows without a break. A strided
convolution reads one plane per phase (row mod stride, column mod stride), in which its windows lie side
by side again. Outputs at positions beyond a row's end are computed and dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

from dcgen.ir.graph import Shape
from dcgen.plan.firmware.arena import align
from dcgen.quant.qgraph import QConv

PASS = 16
"""Positions that a strip is a multiple of: what the widest kernel does at a time."""
WORD_BYTES = 4


@dataclass(frozen=True)
class Packing:
    """Geometry of one convolution's packed input.

    pitch : positions from one output row to the next; output (y, x) is position y * pitch + x
    phases : planes that one channel is taken apart into, rows times columns
    halo : positions behind an output's own that its last tap reads
    positions : of all outputs, the dropped ones between the rows included
    planes : channels times phases
    strip : positions at a time, a multiple of PASS
    complements : whether there is room for the form with complements, which the kernel by levels reads
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
        """The packing that takes ``strips`` strips, or fewer where a pass is longer than that.

        out_shape : of the rows that are computed at a time
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
        """In the longest strips, of the same length, that take ``room`` bytes; None where one pass does not."""
        passes = range(PASS, self.strip + 1, PASS)
        n = bisect_right(passes, room, key=self._size)
        return replace(self, strip=passes[n - 1]).balanced if n else None

    @property
    def strips(self) -> int:
        """How many times the filters run."""
        return -(-self.positions // self.strip)

    @property
    def balanced(self) -> Packing:
        """As many strips, none longer than it has to be."""
        return replace(self, strip=-(-self.positions // (PASS * self.strips)) * PASS)

    @property
    def line_bytes(self) -> int:
        """Of one plane's strip before it is folded; the kernels' outputs take the same place."""
        return align(self.strip + self.halo)

    @property
    def plane_words(self) -> int:
        """32-bit words of one packed plane, the most of all forms.

        Two positions a word: strip / 2 + halo. Four, and as many words of complements: twice strip / 4 + halo.
        Bytes take less.
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
