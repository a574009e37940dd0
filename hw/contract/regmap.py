"""The engine's registers: the one description that gateware, C driver and document share. Plain Python.

``python -m dcgen.hw.contract.regmap`` writes ``docs/registers.md``; the C header is emitted with the driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dcgen.hw.contract.parameters import EngineParameters

ID = 0x45474344
"""What the register ``id`` reads: the letters DCGE."""
VERSION = 1
"""Version of the register map."""
ADDRESS_BITS = 16
"""Width of a byte address on the bus."""
COMMANDS = 0x8000
"""Byte address of the command memory's window."""
MAX_COMMAND_WORDS = ((1 << ADDRESS_BITS) - COMMANDS) // 4
"""Words of the window, and so of the largest command memory."""
STRIDE_BITS = 8
"""Width of a stride in the register ``strides``."""


class Access(Enum):
    """What the bus may do with a register."""

    READ = "read"
    READ_WRITE = "read, write"
    WRITE = "write"


@dataclass(frozen=True)
class Bits:
    """Bits ``low .. low + width - 1`` of a register."""

    name: str
    low: int
    width: int
    doc: str

    @property
    def mask(self) -> int:
        """The field's bits in its register, all of them 1."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """A register of 32 bits.

    name : by which gateware and header know it
    offset : its byte address
    access : what the bus may do with it
    doc : its meaning, for header and document
    fields : the parts that have a meaning of their own, if any
    """

    name: str
    offset: int
    access: Access
    doc: str
    fields: tuple[Bits, ...] = ()

    def bits(self, name: str) -> Bits:
        """The field of this name."""
        return next(f for f in self.fields if f.name == name)


_PARAMETERS = (
    ("lanes", "multipliers, and bytes of an activation word"),
    ("words", "words of the activation memory, `lanes` bytes each"),
    ("requantizers", "pixels requantized in a cycle"),
    ("list_entries", "most non-zero weights of one output channel"),
    ("max_taps", "most taps of a kernel"),
    ("max_outputs", "most output channels of a convolution"),
    ("max_symbols", "most coded symbols of a layer"),
    ("max_tensors", "most tensors of a network"),
    ("command_words", "32-bit words of the command memory"),
    ("picture_bytes", "bytes of a beat of the picture stream"),
    ("strides", "strides that pooling and copying can have, in pixels, 8 bits each, the first lowest"),
)
"""Fields of EngineParameters that have a register each, with their meaning, in the order of their addresses."""

EXACT_PARAMETERS = ("lanes", "requantizers", "picture_bytes", "strides")
"""Parameters of which an engine must have the very values of a plan to run it; of the others it may have more."""

COUNTERS = (
    ("total", "from the first blob word accepted to the last score sent, both included"),
    ("mac", "a weight was issued to the lanes"),
    ("list_wait", "the next list of weights was not decoded yet"),
    ("drain_wait", "the requantizers were not done with an earlier tile"),
    ("pool", "a pool or copy step was at work"),
    ("load", "the picture was being loaded, or waited for"),
    ("other", "none of these: records and taps being read, ends of pipelines, scores"),
    ("decode", "the decoder was at work"),
    ("decode_wait", "the decoder waited for the blob stream"),
)
"""Cycle counters with what they count, in the order of their addresses. All of them stand still unless ``total``
runs; those from ``mac`` to ``other`` add up to ``total``."""
PARAMETER_BASE = 0x40
"""Byte address of the first parameter's register."""
COUNTER_BASE = 0x80
"""Byte address of the first counter."""

REGISTERS: tuple[Register, ...] = (
    Register("id", 0x00, Access.READ, "0x45474344, the letters DCGE"),
    Register("version", 0x04, Access.READ, "version of this register map, 1"),
    Register(
        "control",
        0x08,
        Access.READ_WRITE,
        "what the engine is to do",
        (
            Bits("start", 0, 1, "write 1: resets the datapath, then starts the command list; reads 0"),
            Bits("reset", 1, 1, "write 1: stops and resets the datapath, empties the streams; reads 0"),
            Bits("irq", 2, 1, "1: the interrupt line is high while `done` or `error`"),
        ),
    ),
    Register(
        "status",
        0x0C,
        Access.READ,
        "what the engine does",
        (
            Bits("busy", 0, 1, "started, and neither done nor in error"),
            Bits("done", 1, 1, "the last score has been sent"),
            Bits("error", 2, 1, "stopped; blob and picture are taken and thrown away until a reset"),
            Bits("cause", 8, 8, "status code (docs/blob-format.md) of the error"),
            Bits("node", 16, 16, "node whose section has the error"),
        ),
    ),
    Register("topology_low", 0x10, Access.READ_WRITE, "low half of the topology hash that the commands are for"),
    Register("topology_high", 0x14, Access.READ_WRITE, "high half of the topology hash"),
    Register("scores", 0x18, Access.READ_WRITE, "scores of a picture, of which the last one ends the packet"),
    *(Register(name, PARAMETER_BASE + 4 * i, Access.READ, doc) for i, (name, doc) in enumerate(_PARAMETERS)),
    *(
        Register(f"cycles_{name}", COUNTER_BASE + 4 * i, Access.READ, f"cycles: {doc}")
        for i, (name, doc) in enumerate(COUNTERS)
    ),
)


def register(name: str) -> Register:
    """The register of this name."""
    return next(r for r in REGISTERS if r.name == name)


def parameter_values(p: EngineParameters) -> dict[str, int]:
    """What the parameter registers hold, by name.

    Raises ValueError where the command memory does not fit its window, or the strides do not fit their register.
    """
    if p.command_words > MAX_COMMAND_WORDS:
        raise ValueError(f"command_words must be at most {MAX_COMMAND_WORDS} behind a bus, not {p.command_words}")
    if len(p.strides) > 32 // STRIDE_BITS:
        raise ValueError(f"strides must be at most {32 // STRIDE_BITS} behind a bus, not {p.strides}")
    values = {name: getattr(p, name) for name, _ in _PARAMETERS if name != "strides"}
    values["strides"] = sum(stride << STRIDE_BITS * i for i, stride in enumerate(p.strides))
    return values


def c_header() -> str:
    """Text of ``dcg_engine_regs.h``: registers as byte addresses, fields as shift and mask."""
    exact = sum(1 << i for i, (name, _) in enumerate(_PARAMETERS) if name in EXACT_PARAMETERS)
    lines = [
        "/* The engine's registers, byte offsets and fields: rendered from its register map, do not edit. */",
        "#ifndef DCG_ENGINE_REGS_H",
        "#define DCG_ENGINE_REGS_H",
        "",
        _define("ID_VALUE", f"0x{ID:08X}u", "the letters DCGE"),
        _define("VERSION_VALUE", f"{VERSION}u", "of the register map"),
        _define("COMMANDS", f"0x{COMMANDS:04X}u", "window of the command memory"),
        _define("N_PARAMETERS", f"{len(_PARAMETERS)}u", "registers from DCG_ENGINE_LANES on"),
        _define("EXACT_PARAMETERS", f"0x{exact:04X}u", "bit i: parameter i must be the plan's, not just as large"),
        _define("N_COUNTERS", f"{len(COUNTERS)}u", "registers from DCG_ENGINE_CYCLES_TOTAL on"),
        "",
    ]
    for r in REGISTERS:
        lines.append(_define(r.name.upper(), f"0x{r.offset:04X}u", r.doc))
        for f in r.fields:
            name = f"{r.name}_{f.name}".upper()
            lines.append(_define(f"{name}_SHIFT", f"{f.low}u"))
            lines.append(_define(f"{name}_MASK", f"0x{f.mask:08X}u", f.doc))
    return "\n".join([*lines, "", "#endif", ""])


def markdown() -> str:
    """Text of ``docs/registers.md``."""
    rows = ["| offset | access | register | bits | meaning |", "| --- | --- | --- | --- | --- |"]
    for r in REGISTERS:
        rows.append(f"| 0x{r.offset:04X} | {r.access.value} | `{r.name}` | 31:0 | {r.doc} |")
        for f in r.fields:
            span = f"{f.low + f.width - 1}:{f.low}" if f.width > 1 else str(f.low)
            rows.append(f"| | | `{r.name}.{f.name}` | {span} | {f.doc} |")
    rows.append(
        f"| 0x{COMMANDS:04X} | write | `commands` | 31:0 | the command list, word after word; not while busy |"
    )
    return "\n".join(
        [
            "# The engine's registers",
            "",
            "<!-- Written by `python -m dcgen.hw.contract.regmap` from hw/contract/regmap.py; do not edit. -->",
            "",
            f"AXI4-Lite, {ADDRESS_BITS} address bits, 32-bit words. A write must have all byte strobes, else it",
            "is answered with SLVERR, as is one to the command memory while busy. An address without a register",
            "is answered with DECERR. Unlisted bits read 0.",
            "",
            *rows,
            "",
        ]
    )


def _define(name: str, value: str, doc: str = "") -> str:
    return f"#define DCG_ENGINE_{name} {value}" + (f" /* {doc} */" if doc else "")


if __name__ == "__main__":
    (Path(__file__).resolve().parents[2] / "docs/registers.md").write_text(markdown())
