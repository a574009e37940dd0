"""The numbers that the planner and the C runtime share: each with its value and the reason for it.

The planner reads them from ``RUNTIME``; ``emit.format_headers`` gives them to C as ``DCG_<NAME>``; the table in
docs/benchmarks.md is ``markdown()``, printed by ``python -m dcgen.plan.firmware.constants``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Final

from dcgen.targets import Extension


def _c(value: int, reason: str, suffix: str = "u") -> int:
    """A field with its value; ``suffix`` ends the literal in C."""
    return field(default=value, metadata={"reason": reason, "suffix": suffix})


@dataclass(frozen=True)
class RuntimeConstants:
    """Numbers that kernels and their lists are built on, and those that tell which kernel is the fastest.

    A *tap* is a weight of a filter that is not zero, a *position* one of a packed plane (``packing``).
    """

    ARENA_ALIGNMENT: int = _c(16, "alignment of the arena, its buffers and scratch areas, in bytes", "")
    NO_NODE: int = _c(0xFFFF, "stands for no node where a node's index is asked for")

    AT_ONCE: int = _c(16, "output positions of a pass; a strip is a multiple of it")

    GROUP: int = _c(8, "direct kernel: most taps behind one entry of a filter's list")
    SHORT_SUM: int = _c(128, "most that weights of one sign sum to in a segment: 128 * 255 < 2^15", "")

    RUN_TAPS: int = _c(16, "kernel by levels: most taps behind one entry of a filter's list")
    MAX_RUNS: int = _c(64, "kernel by levels: most runs of equal weights in a filter (32 bytes of stack each)")
    MAX_CLASSES: int = _c(48, "kernel by levels: most magnitudes in a layer's codebook")
    MOST_ADDED: int = _c(257, "kernel by levels: bytes that a halfword adds up, 257 * 255 = 2^16 - 1")
    FAR_WORDS: int = _c(1 << 16, "kernel by levels: most words of a packed input; distances have 16 bits")
    TAPS_A_CLASS: int = _c(5, "kernel by levels: faster than the direct one with more taps a magnitude")

    CHUNK: int = _c(16, "dense kernel: channels that one vector instruction multiplies")
    DENSE_AT_ONCE: int = _c(3, "dense kernel: output positions of a pass, for two filters")
    MOST_BESIDE: int = _c(8192, "dense kernel: most channels; the distance of seven positions has 16 bits")
    DENSE_ENTRY: int = _c(32, "choice of the dense kernel: cost of a coded weight with any other kernel")
    DENSE_WEIGHT: int = _c(13, "choice of the dense kernel: its cost of a weight, zeros too, in the same unit")
    DENSE_FILTER: int = _c(700, "choice of the dense kernel: its further cost of a filter, in the same unit")

    LONG_PASS: int = _c(56, "kernel on bytes, Helium: output positions of a long pass, in 7 vectors of 8")

    EVENT_GROUP: int = _c(8, "kernel by events: most inputs behind one entry of a channel's list")
    VECTOR_EVENTS: int = _c(4, "kernel by events, Helium: inputs of a vector, some of which may be padding")
    BYTES_A_WORD_NONE: int = _c(1, "kernel by events: least bytes of input a word of lists, for it to be fast")
    BYTES_A_WORD_DSP: int = _c(2, "the same with the DSP instructions of a Cortex-M4")
    BYTES_A_WORD_HELIUM: int = _c(3, "the same with Helium")
    SAMPLED: int = _c(16, "kernel by events: one word of the input in so many is sampled to see if it is fast")

    def bytes_a_word(self, extension: Extension) -> int:
        """Least bytes of input for each word of lists of events, on a core with ``extension``."""
        match extension:
            case "none":
                return self.BYTES_A_WORD_NONE
            case "dsp":
                return self.BYTES_A_WORD_DSP
            case "helium":
                return self.BYTES_A_WORD_HELIUM


RUNTIME: Final = RuntimeConstants()


def definitions() -> Iterator[tuple[str, str, str]]:
    """Of each constant in order: its name in C without ``DCG_``, its value as a C literal, the reason."""
    for constant in fields(RUNTIME):
        value = f"{getattr(RUNTIME, constant.name)}{constant.metadata['suffix']}"
        yield constant.name, value, constant.metadata["reason"]


def markdown() -> str:
    """The table of docs/benchmarks.md."""
    rows = [f"| `DCG_{name}` | {value.rstrip('u')} | {reason} |" for name, value, reason in definitions()]
    return "\n".join(["| constant | value | reason |", "|---|---|---|", *rows, ""])


if __name__ == "__main__":
    print(markdown(), end="")
