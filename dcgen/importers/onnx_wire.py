"""How many fields an ONNX file has, counted in its bytes before it is parsed.

A protobuf message grows when it is parsed: an empty node is 2 bytes in the file and about 100 in memory. The count
walks over the encoding (each field a number and a wire type, then a varint, a length and bytes, or 4 or 8 bytes)
and goes into messages, never into raw data. Of packed numbers each counts, those of a weight excepted: as
dimensions or attributes they become lists. Names are checked to be UTF-8, as protobuf hands out others as bytes.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DATA = frozenset(f"{kind}_data" for kind in ("float", "double", "int32", "int64", "uint64"))
"""Fields of packed numbers that are a weight's data."""
_WIDTHS = {FieldDescriptor.TYPE_FLOAT: 4, FieldDescriptor.TYPE_DOUBLE: 8}
"""Bytes of a packed number by its type; of other types it has one or more."""


def count_fields(data: bytes, descriptor: Any, most: int) -> int:
    """The number of fields in a message and the messages in it; any number above ``most`` if there are more.

    data : the encoded message
    descriptor : of the message, e.g. ``onnx.ModelProto.DESCRIPTOR``

    Raises ValueError for what is no such message.
    """
    known: dict[Any, dict[int, Any]] = {}
    count, at = 0, 0
    pending = [(len(data), descriptor)]
    while pending:
        end, kind = pending[-1]
        if at >= end:
            if at > end:
                raise ValueError("a field ends behind its message")
            pending.pop()
            continue
        if kind not in known:
            known[kind] = {f.number: f for f in kind.fields}
        count += 1
        if count > most:
            return count
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            _, at = _varint(data, at)
        elif wire == FIXED64:
            at += 8
        elif wire == FIXED32:
            at += 4
        elif wire == BYTES:
            length, at = _varint(data, at)
            field = known[kind].get(number)
            if field is not None and field.message_type is not None:
                pending.append((at + length, field.message_type))
                continue
            if field is not None and field.type == field.TYPE_STRING:
                str(memoryview(data)[at : at + length], "utf-8")
            elif field is not None and field.type != field.TYPE_BYTES and field.name not in DATA:
                count += length // _WIDTHS.get(field.type, 1)
            at += length
        else:
            raise ValueError(f"wire type {wire} is unknown")
    return count


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number does not end")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
