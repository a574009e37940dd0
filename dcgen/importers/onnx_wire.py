"""How many fields an ONNX file has, counted in its bytes before it is parsed.

A protobuf message grows when it is parsed: an empty node is 2 bytes in the file and about 100 in memory. The count
walks over the encoding (each field a number and a wire type, then a varint, a length and bytes, or 4 or 8 bytes)
and goes into messages, never into strings, raw data and packed numbers.
"""

from __future__ import annotations

from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def count_fields(data: bytes, descriptor: Any, most: int) -> int:
    """The number of fields in a message and the messages in it; ``most`` + 1 if there are more than ``most``.

    data : the encoded message
    descriptor : of the message, e.g. ``onnx.ModelProto.DESCRIPTOR``

    Raises ValueError for what is no such message.
    """
    nested: dict[Any, dict[int, Any]] = {}
    count, at = 0, 0
    pending = [(len(data), descriptor)]
    while pending:
        end, kind = pending[-1]
        if at >= end:
            if at > end:
                raise ValueError("a field ends behind its message")
            pending.pop()
            continue
        if kind not in nested:
            nested[kind] = {f.number: f.message_type for f in kind.fields if f.message_type is not None}
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
            if number in nested[kind]:
                pending.append((at + length, nested[kind][number]))
            else:
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
