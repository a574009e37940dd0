"""The C headers of the blob format and of the numbers that planner and runtime share.

The format is rendered from ``encode.schema``, the numbers from ``plan.firmware.constants``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum, IntFlag

from dcgen.emit.render import render
from dcgen.encode import schema
from dcgen.plan.firmware.constants import definitions
from dcgen.plan.firmware.limits import MAX_BLOB_BYTES
from dcgen.quant.arithmetic import MAX_SHIFT, MIN_SHIFT
from dcgen.quant.qgraph import FACTOR_BITS, TABLE_BYTES, UNIT_BITS
from dcgen.targets.stack import STACK, Core

_C_TYPES = {
    "B": ("uint8_t", "u8"),
    "H": ("uint16_t", "u16"),
    "I": ("uint32_t", "u32"),
    "Q": ("uint64_t", "u64"),
    "i": ("int32_t", "i32"),
}
"""C type and load function of a field, by its format character of ``struct``; fields of floats are for the host
only."""


_CORES: dict[Core, str] = {
    "helium": "defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)",
    "dsp": "defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && __ARM_ARCH_PROFILE == 'M'",
    "wide": "UINTPTR_MAX > 0xFFFFFFFFu",
    "other": "",
}
"""How the preprocessor tells cores, in the order in which it asks; the last one is any other."""


def format_files() -> dict[str, bytes]:
    """``dcg_format.h``, statuses and constants, and ``dcg_records.h``, an accessor for each field of a record."""
    constants = [
        _group("Numbers of the format.", _numbers()),
        _group("Numbers that the planner and the kernels share.", definitions()),
        _group(
            "Bytes of the packed records.", [(f"{_macro(r.name)}_BYTES", f"{r.size}u") for r in schema.RECORDS]
        ),
        _enum_group("Node kinds.", "KIND", schema.Kind),
        _enum_group("Topology flags of a node.", "TOPOLOGY", schema.TopologyFlag),
        _enum_group("Flags of a layer.", "LAYER", schema.LayerFlag),
        _enum_group("Codings of a convolution's weights.", "CODING", schema.Coding),
    ]
    records = [
        {
            "name": record.name,
            "doc": record.doc,
            "prefix": _snake(record.name),
            "fields": [
                {
                    "name": field.name,
                    "type": _C_TYPES[field.format][0],
                    "load": _C_TYPES[field.format][1],
                    "offset": record.offset(field.name),
                }
                for field in record.fields
                if field.format in _C_TYPES
            ],
        }
        for record in schema.RECORDS
    ]
    stack = [{"condition": condition} | vars(STACK[core]) for core, condition in _CORES.items()]
    format_h = render("c/dcg_format.h.j2", statuses=list(schema.Status), constants=constants, stack=stack)
    records_h = render("c/dcg_records.h.j2", records=records)
    return {"dcg_format.h": format_h.encode(), "dcg_records.h": records_h.encode()}


def _numbers() -> list[tuple[str, str]]:
    """Names and values of the format's numbers."""
    return [
        ("MAGIC", f"0x{schema.MAGIC:08X}u"),
        ("VERSION", f"{schema.VERSION}u"),
        ("CRC_BEGIN", f"{schema.HEADER.offset('topology_hash')}u"),
        ("MAX_BLOB_BYTES", f"{MAX_BLOB_BYTES}u"),
        ("MAX_CODE_BITS", f"{schema.MAX_CODE_BITS}u"),
        ("ESCAPE", f"{schema.ESCAPE}u"),
        ("MAX_LEVELS", f"{schema.MAX_LEVELS}u"),
        ("STREAM_GUARD_BYTES", f"{schema.STREAM_GUARD_BYTES}u"),
        ("MIN_SHIFT", f"{MIN_SHIFT}u"),
        ("MAX_SHIFT", f"{MAX_SHIFT}u"),
        ("FACTOR_LIMIT", f"{1 << FACTOR_BITS}"),
        ("UNIT_LIMIT", f"{1 << UNIT_BITS}"),
        ("TABLE_BYTES", f"{TABLE_BYTES}u"),
    ]


def _group(doc: str, entries: Iterable[tuple[str, ...]]) -> dict[str, object]:
    """Macros below a comment.

    entries : name without ``DCG_``, value, and where the macro has a comment of its own its text
    """
    macros = [(f"#define DCG_{name} {value}", *comment) for name, value, *comment in entries]
    width = max(len(macro) for macro, *_ in macros)
    lines = [f"{macro:{width}} /* {comment[0]} */" if comment else macro for macro, *comment in macros]
    return {"doc": doc, "lines": lines}


def _enum_group(doc: str, prefix: str, enum: type[IntEnum] | type[IntFlag]) -> dict[str, object]:
    return _group(doc, [(f"{prefix}_{m.name}", f"{int(m)}u") for m in enum])


def _snake(name: str) -> str:
    """``name`` in snake case: node_header for NodeHeader."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _macro(name: str) -> str:
    return _snake(name).upper()
