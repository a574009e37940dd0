"""Sizes of a linked program, read from the section table of its ELF file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from dcgen.errors import ToolError

FLASH_SECTIONS = (".vectors", ".text", ".rodata", ".ARM.exidx", ".data")
"""Sections that lie in flash: runtime, plan, blob, initial values of variables and start-up code. The harness
(test files, semihosting, test pictures) is linked into ``.harness_*`` and not counted."""
RAM_SECTIONS = (".data", ".bss")
"""Sections that lie in RAM: variables, arena, picture and scores. The stack is measured while a program runs."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of memory that a firmware program takes, without its stack."""

    flash_bytes: int
    ram_bytes: int


def footprint(program: Path) -> Footprint:
    """The memory that the firmware inside a harness program takes."""
    sizes = section_sizes(program)
    return Footprint(
        flash_bytes=sum(sizes.get(name, 0) for name in FLASH_SECTIONS),
        ram_bytes=sum(sizes.get(name, 0) for name in RAM_SECTIONS),
    )


def section_sizes(program: Path) -> dict[str, int]:
    """Size in bytes of every section of a 32-bit little-endian ELF file, by name. ToolError for another file."""
    data = program.read_bytes()
    if len(data) < 52 or data[:6] != b"\x7fELF\x01\x01":
        raise ToolError(program.name, "is no 32-bit little-endian ELF file")
    table = struct.unpack_from("<I", data, 32)[0]
    entry_bytes, count, names_index = struct.unpack_from("<HHH", data, 46)
    headers = [struct.unpack_from("<10I", data, table + i * entry_bytes) for i in range(count)]
    names = headers[names_index][4]
    sizes: dict[str, int] = {}
    for name, _type, _flags, _address, _offset, size, *_ in headers:
        start = names + name
        text = data[start : data.index(b"\0", start)].decode("ascii", "replace")
        sizes[text] = sizes.get(text, 0) + size
    return sizes
