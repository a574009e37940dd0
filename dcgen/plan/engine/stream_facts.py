"""What decides how long the engine's front end takes for each convolution's section of a blob."""

from __future__ import annotations

import struct

from dcgen.encode.layers import Convolution
from dcgen.encode.layout import Layout as BlobLayout
from dcgen.encode.layout import NodeRecord, Section, take_apart
from dcgen.encode.schema import Coding, Kind, LayerFlag
from dcgen.encode.stream import read_entries
from dcgen.hw.contract.front_timing import StreamFacts, length_cycles


def stream_facts(blob: bytes) -> tuple[StreamFacts | None, ...]:
    """The facts of each node's section, None where it has no stream."""
    layout = take_apart(blob)
    return tuple(
        _facts(layout, node, section) if node.kind is Kind.CONV else None
        for node, section in zip(layout.nodes, layout.sections, strict=True)
    )


def _facts(layout: BlobLayout, node: NodeRecord, section: Section) -> StreamFacts:
    c = section.record
    conv = Convolution("section", layout, node, section)
    entries = read_entries(conv.stream, c["stream_bits"], c["n_entries"], conv.code)
    per_channel = bool(section.fields["flags"] & LayerFlag.PER_CHANNEL)
    at = c["level_bytes"] * (c["n_levels"] - 1) + node.out_channels * (c["bias_bytes"] + 3 * per_channel)
    tables = []
    for table, size in zip(conv.code.tables, (c["table_bytes"], c["table2_bytes"]), strict=False):
        packed = bytes(section.body[at : at + size])
        at += size
        (listed,) = struct.unpack_from("<H", packed)
        nibbles = [n for byte in packed[4:] for n in (byte & 15, byte >> 4)]
        tables.append((length_cycles(nibbles, listed), int((table.lengths > 0).sum())))
    gaps = c["coding"] == Coding.GAPS
    return StreamFacts(c["n_levels"], per_channel, tuple(tables), gaps, entries.runs, entries.levels > 0)
