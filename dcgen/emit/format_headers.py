"""The C headers that state the blob format, rendered from ``encode.schema``."""

from __future__ import annotations

import re
from enum import IntEnum, IntFlag

from dcgen.emit.render import render
from dcgen.encode import schema
from dcgen.plan.firmware.limits import (
    BYTES_A_WORD,
    CHUNK,
    DENSE_ENTRY,
    DENSE_FILTER,
    DENSE_WEIGHT,
    EVENT_GROUP,
    GROUP,
    MAX_BLOB_BYTES,
    MAX_CLASSES,
    MAX_RUNS,
    MOST_ADDED,
    MOST_BESIDE,
    RUN_TAPS,
    SAMPLED,
    SHORT_SUM,
    TAPS_A_CLASS,
    VECTOR_EVENTS,
)
from dcgen.quant.arithmetic import MAX_SHIFT, MIN_SHIFT
from dcgen.quant.qgraph import FACTOR_BITS, UNIT_BITS

_C_TYPES = {
    "B": ("uint8_t", "u8"),
    "H": ("uint16_t", "u16"),
    "I": ("uint32_t", "u32"),
    "Q": ("uint64_t", "u64"),
    "i": ("int32_t", "i32"),
}
"""Type and loader of a field's struct format character; floats are for the host alone."""


def format_files() -> dict[str, bytes]:
    """``dcg_format.h`` (statuses and constants) and ``dcg_records.h`` (one accessor a field)."""
    constants = [
        _group("Numbers of the format.", _numbers()),
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
    format_h = render("c/dcg_format.h.j2", statuses=list(schema.Status), constants=constants)
    records_h = render("c/dcg_records.h.j2", records=records)
    return {"dcg_format.h": format_h.encode(), "dcg_records.h": records_h.encode()}


def _numbers() -> list[tuple[str, str]]:
    return [
        ("MAGIC", f"0x{schema.MAGIC:08X}u"),
        ("VERSION", f"{schema.VERSION}u"),
        ("CRC_BEGIN", f"{schema.HEADER.offset('topology_hash')}u"),
        ("MAX_BLOB_BYTES", f"{MAX_BLOB_BYTES}u"),
        ("GROUP", f"{GROUP}u"),
        ("RUN_TAPS", f"{RUN_TAPS}u"),
        ("MAX_RUNS", f"{MAX_RUNS}u"),
        ("MAX_CLASSES", f"{MAX_CLASSES}u"),
        ("MOST_ADDED", f"{MOST_ADDED}u"),
        ("TAPS_A_CLASS", f"{TAPS_A_CLASS}u"),
        ("CHUNK", f"{CHUNK}u"),
        ("MOST_BESIDE", f"{MOST_BESIDE}u"),
        ("DENSE_ENTRY", f"{DENSE_ENTRY}u"),
        ("DENSE_WEIGHT", f"{DENSE_WEIGHT}u"),
        ("DENSE_FILTER", f"{DENSE_FILTER}u"),
        ("SHORT_SUM", f"{SHORT_SUM}"),
        ("VECTOR_EVENTS", f"{VECTOR_EVENTS}u"),
        ("EVENT_GROUP", f"{EVENT_GROUP}u"),
        *((f"BYTES_A_WORD_{name.upper()}", f"{n}u") for name, n in BYTES_A_WORD.items()),
        ("SAMPLED", f"{SAMPLED}u"),
        ("MAX_CODE_BITS", f"{schema.MAX_CODE_BITS}u"),
        ("ESCAPE", f"{schema.ESCAPE}u"),
        ("MAX_LEVELS", f"{schema.MAX_LEVELS}u"),
        ("STREAM_GUARD_BYTES", f"{schema.STREAM_GUARD_BYTES}u"),
        ("MIN_SHIFT", f"{MIN_SHIFT}u"),
        ("MAX_SHIFT", f"{MAX_SHIFT}u"),
        ("FACTOR_LIMIT", f"{1 << FACTOR_BITS}"),
        ("UNIT_LIMIT", f"{1 << UNIT_BITS}"),
    ]


def _group(doc: str, entries: list[tuple[str, str]]) -> dict[str, object]:
    return {"doc": doc, "entries": [{"name": f"DCG_{name}", "value": value} for name, value in entries]}


def _enum_group(doc: str, prefix: str, enum: type[IntEnum] | type[IntFlag]) -> dict[str, object]:
    return _group(doc, [(f"{prefix}_{m.name}", f"{int(m)}u") for m in enum])


def _snake(name: str) -> str:
    """NodeHeader -> node_header."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _macro(name: str) -> str:
    return _snake(name).upper()
