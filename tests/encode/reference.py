"""The plain C reader of blobs, kept running, and what it should print according to Python."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from dcgen.encode.huffman import CodeTable
from dcgen.encode.reader import decode
from dcgen.encode.schema import (
    CONV_HEADER,
    ESCAPE,
    HEADER,
    MAX_LEVELS,
    NODE_HEADER,
    NODE_TOPOLOGY,
    Coding,
    Kind,
    Record,
    Status,
)
from dcgen.quant.qgraph import QConv, QTable
from tests.encode.damage import network_records
from tests.firmware.build import ENVIRONMENT, SANITIZED, STRICT, run
from tests.firmware.damage import sections
from tests.kept import kept
from tests.process import ROOT

SOURCE = ROOT / "firmware" / "reference" / "blob_reader.c"


class Reference:
    """One process of the reader, which answers for one blob after the other."""

    @staticmethod
    @cache
    def program() -> Path:
        """The reader, compiled under sanitizers."""
        command = ["gcc", *STRICT, *SANITIZED, str(SOURCE), "-o"]
        settings = (run(["gcc", "--version"]), *command)
        sources = {SOURCE.name: SOURCE.read_bytes()}
        return kept("blob-reader", settings, sources, lambda out: run([*command, f"{out}/reader"])) / "reader"

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([self.program()], stdin=pipe, stdout=pipe, env=ENVIRONMENT)

    def read(self, data: bytes) -> tuple[Status, str]:
        """The status of ``data``, and what the reader prints of it: nothing where the status is not OK."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        lines: list[bytes] = []
        for line in self.process.stdout:
            if line.startswith(b"status "):
                return Status(int(line.split()[1])), b"".join(lines).decode()
            lines.append(line)
        raise AssertionError(f"the reader ended with {self.process.wait()}")

    def close(self) -> None:
        """End the process; memory that it has leaked is found here."""
        self.process.communicate()
        assert self.process.returncode == 0


def expected_text(data: bytes) -> str:
    """What the reader should print of a sound blob: the records, and the network that Python decodes."""
    graph, h = decode(data), HEADER.unpack(data)
    names = ("blob_bytes", "topology_hash", "topology_bytes", "tensors_bytes", "n_nodes", "n_scores")
    sizes = _fields(h | {"topology_hash": f"{h['topology_hash']:016x}"}, names)
    sizes += " " + _fields(h, ("max_filter_entries", "max_code_bits"))
    lines = [f"blob {sizes} score_scale {graph.score_scale:.9g}"]
    for i, t in enumerate(graph.tensors.values()):
        shape = "channels {} height {} width {}".format(*t.shape)
        lines.append(f"tensor {i} {shape} scale {t.scale:.9g} zero_point {t.zero_point}")
    lines += [f"output {i} scale {scale:.9g}" for i, scale in enumerate(graph.more_scales, 1)]
    lines.append(_row("pad", graph.input.pad))
    topologies = (
        NODE_TOPOLOGY.unpack(data, at) for record, at in network_records(data) if record is NODE_TOPOLOGY
    )
    numbers = {name: str(i) for i, name in enumerate(graph.tensors)}
    for i, (node, n, (at, layer)) in enumerate(zip(graph.nodes, topologies, sections(data), strict=True)):
        window = (
            _row(name, (v for k, v in n.items() if k.startswith(f"{name}_"))) for name in ("kernel", "stride")
        )
        pads = _row("pads", (n[f"pad_{side}"] for side in ("top", "left", "bottom", "right")))
        rest = _row(_fields(n, ("out_channels", "groups")) + " inputs", (numbers[name] for name in node.inputs))
        lines.append(f"node {i} {Kind(n['kind']).name} flags {n['flags']} {' '.join(window)} {pads} {rest}")
        lines.append(f"layer {i} " + _fields(layer, (f for f in layer if f not in ("section_crc", "kind"))))
        if isinstance(node.op, QConv):
            lines += _convolution(data, at, layer, node.op)
        elif isinstance(node.op, QTable):
            lines.append(_row("table", node.op.table.tolist()))
    return "\n".join(lines) + "\n"


def _fields(record: dict[str, int | str], names: Iterable[str]) -> str:
    return " ".join(f"{name} {record[name]}" for name in names)


def _row(name: str, values: Iterable[object]) -> str:
    return " ".join(map(str, (name, *values)))


def _convolution(data: bytes, at: int, layer: dict[str, int], op: QConv) -> Iterator[str]:
    """The lines of a convolution whose section starts at ``at``; its tables are unpacked where they must lie."""
    conv = CONV_HEADER.unpack(data, at + NODE_HEADER.size)
    yield "conv " + _fields(conv, (f for f in conv if f != "reserved"))
    yield _row("levels", op.levels.tolist())
    per_channel = op.requant is not None and layer["flags"]
    if per_channel:
        yield _row("requant", (f"{m}>>{s}" for m, s in zip(op.requant.mult, op.requant.shift, strict=True)))
    yield _row("bias", op.bias.tolist())
    outputs = len(op.bias)
    at += _bytes(NODE_HEADER, CONV_HEADER) + conv["level_bytes"] * (conv["n_levels"] - 1)
    at += (3 * outputs if per_channel else 0) + conv["bias_bytes"] * outputs
    tables = [("symbols", ESCAPE, True)]
    if conv["coding"] == Coding.GAPS:
        tables = [("gaps", 1 << conv["run_bits"], False), ("levels", MAX_LEVELS, False)]
    for (name, most, escape), size in zip(tables, (conv["table_bytes"], conv["table2_bytes"]), strict=False):
        table = CodeTable.unpack(data[at : at + size], most, escape)
        yield _row(f"{name} escape {table.escape_length} lengths", table.lengths.tolist())
        at += size
    for o, weights in enumerate(op.indices.transpose(0, 2, 3, 1).reshape(outputs, -1)):
        yield _row(f"filter {o}", weights.tolist())


def _bytes(*records: Record) -> int:
    return sum(record.size for record in records)
