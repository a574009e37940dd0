"""Takes a blob apart into its records. Every size, offset and check sum is proved before it is used."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from dcgen.encode.operators import KINDS
from dcgen.encode.schema import (
    CRC_START,
    HEADER,
    MAGIC,
    MAX_CODE_BITS,
    NODE_HEADER,
    NODE_TOPOLOGY,
    TENSOR_SCALE,
    TENSOR_SHAPE,
    VERSION,
    Kind,
    TopologyFlag,
    hash_topology,
)
from dcgen.errors import BlobError
from dcgen.ir.graph import Pads, Pair, Shape

MAX_TENSOR_ELEMENTS = 1 << 31
"""Each tensor has fewer elements than this."""
MAX_CHANNELS = 1 << 22
"""All tensors together have at most so many channels."""


@dataclass(frozen=True)
class NodeRecord:
    """One node as the topology section has it.

    inputs : numbers of tensors, 0 for the network's input, n + 1 for the output of node n
    kernel, stride, pads, out_channels, groups : zeros where its kind does not have them
    """

    kind: Kind
    flags: TopologyFlag
    inputs: tuple[int, ...]
    kernel: Pair
    stride: Pair
    pads: Pads
    out_channels: int
    groups: int


@dataclass(frozen=True)
class Section:
    """One layer section.

    offset : from the start of the blob, in bytes
    fields : of its NodeHeader
    record : fields of the record that follows the NodeHeader (``KindRules.record``), none without one
    body : what follows the headers
    """

    offset: int
    fields: dict[str, int]
    record: dict[str, int]
    body: memoryview


@dataclass(frozen=True)
class Layout:
    """A blob's records.

    header : fields of the Header
    score_scales : real value of one unit of a score, of each output
    shapes, scales, zero_points : one per tensor
    input_pad : the byte a padded tap of the input reads, one per channel
    nodes, sections : one per node
    """

    header: dict[str, int]
    score_scales: tuple[float, ...]
    shapes: tuple[Shape, ...]
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    input_pad: tuple[int, ...]
    nodes: tuple[NodeRecord, ...]
    sections: tuple[Section, ...]


def take_apart(data: bytes) -> Layout:
    """The records of the blob ``data``. Raises BlobError whose code names the first defect."""
    header = _header(data)
    view = memoryview(data)
    start = header["topology_offset"]
    topology = view[start : start + header["topology_bytes"]]
    if hash_topology(bytes(topology)) != header["topology_hash"]:
        raise _defect("TOPOLOGY", "does not match its hash")
    shapes, nodes = _topology(topology, header["n_tensors"], header["n_nodes"])
    start = header["tensors_offset"]
    scales, zero_points, pad = _tensors(view[start : start + header["tensors_bytes"]], shapes[0][0], len(nodes))
    sections = _sections(view, header["layers_offset"], nodes)
    n = len(shapes)
    score_scales = _score_scale(data), *scales[n:]
    if any(zero_points[n:]):
        raise _defect("HEADER", f"scores have zero points {zero_points[n:]}, expected 0")
    return Layout(header, score_scales, shapes, scales[:n], zero_points[:n], pad, nodes, sections)


def _defect(code: str, problem: str, thing: str = "blob") -> BlobError:
    return BlobError(thing, problem, code=code)


def _header(data: bytes) -> dict[str, int]:
    """The fields of the Header, all of them checked."""
    if len(data) < HEADER.size:
        raise _defect("TRUNCATED", f"has {len(data)} bytes, its header alone takes {HEADER.size}")
    h = HEADER.unpack(data)
    if h["magic"] != MAGIC:
        raise _defect("MAGIC", f"starts with {bytes(data[:4])!r}, expected {struct.pack('<I', MAGIC)!r}")
    if h["version"] != VERSION:
        raise _defect("VERSION", f"has format version {h['version']}, this dcgen reads {VERSION}")
    if h["blob_bytes"] > len(data):
        raise _defect("TRUNCATED", f"has {len(data)} bytes, its header says {h['blob_bytes']}")
    if h["blob_bytes"] < len(data) or h["header_bytes"] != HEADER.size or h["reserved"]:
        raise _defect("HEADER", f"has {len(data)} bytes, its header says {h['blob_bytes']}, or a field is odd")
    if zlib.crc32(data[CRC_START:]) != h["blob_crc"]:
        raise _defect("BLOB_CRC", f"is damaged: its CRC is not {h['blob_crc']:#010x}")
    # Sections follow each other, so that each offset follows from the sizes before it.
    end = HEADER.size
    for name in ("topology", "tensors"):
        if h[f"{name}_offset"] != end or h[f"{name}_bytes"] % 4:
            raise _defect("HEADER", f"{name} section starts at {h[f'{name}_offset']}, expected {end}")
        end += h[f"{name}_bytes"]
    if h["layers_offset"] != end or end > len(data):
        raise _defect("HEADER", f"layers start at {h['layers_offset']}, expected {end}")
    if not 1 <= h["n_tensors"] <= h["n_nodes"]:
        raise _defect("HEADER", f"{h['n_tensors']} tensors for {h['n_nodes']} nodes, expected 1 to as many")
    if h["max_code_bits"] > MAX_CODE_BITS:
        raise _defect("HEADER", f"announces codes of {h['max_code_bits']} bits, at most {MAX_CODE_BITS} exist")
    if not _is_scale(_score_scale(data)):
        raise _defect("HEADER", f"score scale {_score_scale(data)} is not positive and finite")
    return h


def _score_scale(data: bytes) -> float:
    return float(struct.unpack_from("<f", data, HEADER.offset("score_scale"))[0])


def _is_scale(value: float) -> bool:
    return 0 < value < float("inf")


def _topology(view: memoryview, n_tensors: int, n_nodes: int) -> tuple[tuple[Shape, ...], tuple[NodeRecord, ...]]:
    """The shape of each tensor and the record of each node, from the topology section."""
    if len(view) < n_tensors * TENSOR_SHAPE.size + n_nodes * NODE_TOPOLOGY.size:
        raise _defect("HEADER", f"topology of {len(view)} bytes cannot hold {n_nodes} nodes")
    shapes: list[Shape] = []
    for t in range(n_tensors):
        s = TENSOR_SHAPE.unpack(view, t * TENSOR_SHAPE.size)
        shape = s["channels"], s["height"], s["width"]
        if s["reserved"]:
            raise _defect("HEADER", f"tensor {t} has a reserved field of {s['reserved']}, expected 0")
        if not 0 < shape[0] * shape[1] * shape[2] < MAX_TENSOR_ELEMENTS:
            raise _defect("TOPOLOGY", f"tensor {t} has shape {shape}, expected 1..2**31-1 elements")
        shapes.append(shape)
    if sum(s[0] for s in shapes) > MAX_CHANNELS:
        raise _defect("TOPOLOGY", f"tensors have {sum(s[0] for s in shapes)} channels, at most {MAX_CHANNELS}")
    nodes: list[NodeRecord] = []
    at = n_tensors * TENSOR_SHAPE.size
    for n in range(n_nodes):
        if at + NODE_TOPOLOGY.size > len(view):
            raise _defect("HEADER", f"topology of {len(view)} bytes ends within node {n}")
        fields = NODE_TOPOLOGY.unpack(view, at)
        at += NODE_TOPOLOGY.size
        count = fields["n_inputs"]
        padded = count + count % 2
        if at + 2 * padded > len(view):
            raise _defect("HEADER", f"topology of {len(view)} bytes ends within node {n}")
        inputs = struct.unpack_from(f"<{padded}H", view, at)
        at += 2 * padded
        if any(inputs[count:]):
            raise _defect("HEADER", f"padding of node {n} is not zero")
        nodes.append(_node(n, fields, inputs[:count], n_tensors))
    if at != len(view):
        raise _defect("HEADER", f"topology section has {len(view)} bytes, its records end at {at}")
    return tuple(shapes), tuple(nodes)


def _node(n: int, f: dict[str, int], inputs: tuple[int, ...], n_tensors: int) -> NodeRecord:
    """The record of node ``n``, refused if it has what its kind cannot have, or reads what is no tensor yet.

    Whether shapes agree is checked later, on the whole network.
    """

    def require(condition: bool, problem: str) -> None:
        if not condition:
            raise _defect("TOPOLOGY", problem, f"node {n}")

    require(f["kind"] in list(Kind), f"has kind {f['kind']}, expected 1..{max(Kind)}")
    kind = Kind(f["kind"])
    rules = KINDS[kind]
    require(f["flags"] | rules.flags == rules.flags, f"has flags {f['flags']}, a {kind.name} cannot")
    fewest, most = rules.inputs
    require(fewest <= len(inputs) <= most, f"has {len(inputs)} inputs, a {kind.name} takes {rules.inputs}")
    require(
        all(i <= n and i < n_tensors for i in inputs), f"reads tensors {inputs[:8]}, which no earlier node makes"
    )
    for field in (x.name for x in NODE_TOPOLOGY.fields if x.name not in ("kind", "flags", "n_inputs")):
        if field not in rules.topology:
            require(f[field] == 0, f"has {field} {f[field]}, a {kind.name} has none")
        elif not field.startswith("pad_"):
            require(f[field] > 0, f"has {field} {f[field]}, expected at least 1")
    kernel, pads = (f["kernel_h"], f["kernel_w"]), (f["pad_top"], f["pad_left"], f["pad_bottom"], f["pad_right"])
    if kind in (Kind.MAX_POOL, Kind.AVG_POOL):
        # Each window then has a tap inside the input.
        inside = max(pads[::2]) < kernel[0] and max(pads[1::2]) < kernel[1]
        require(inside, f"has pads {pads} around kernel {kernel}")
    stride, flags = (f["stride_h"], f["stride_w"]), TopologyFlag(f["flags"])
    return NodeRecord(kind, flags, inputs, kernel, stride, pads, f["out_channels"], f["groups"])


def _tensors(
    view: memoryview, n_pad: int, count: int
) -> tuple[tuple[float, ...], tuple[int, ...], tuple[int, ...]]:
    """The scale and the zero point of each of ``count`` tensors and further outputs, and the input's ``n_pad`` pad
    bytes, from the tensors section."""
    used = count * TENSOR_SCALE.size + n_pad
    if len(view) != (used + 3) // 4 * 4:
        raise _defect("HEADER", f"tensors section has {len(view)} bytes, expected {(used + 3) // 4 * 4}")
    scales, zero_points = [], []
    for t in range(count):
        scale, zero_point, *reserved = struct.unpack_from(TENSOR_SCALE.format, view, t * TENSOR_SCALE.size)
        if any(reserved):
            raise _defect("HEADER", f"tensor {t} has a reserved field that is not 0")
        if not _is_scale(scale):
            raise _defect("HEADER", f"tensor {t} has scale {scale}, expected a positive number")
        scales.append(scale)
        zero_points.append(zero_point)
    if any(view[used:]):
        raise _defect("HEADER", "padding of the tensors section is not zero")
    return tuple(scales), tuple(zero_points), tuple(view[used - n_pad : used])


def _sections(view: memoryview, at: int, nodes: tuple[NodeRecord, ...]) -> tuple[Section, ...]:
    """The layer sections, which start ``at`` bytes into the blob ``view``."""
    sections = []
    for n, node in enumerate(nodes):
        name, rules = f"section {n}", KINDS[node.kind]
        head = NODE_HEADER.size + (rules.record.size if rules.record else 0)
        if at + head > len(view):
            raise _defect("SECTION", f"starts at {at}, the blob ends at {len(view)}", name)
        fields = NODE_HEADER.unpack(view, at)
        size = fields["section_bytes"]
        if size < head or size % 4 or at + size > len(view):
            raise _defect("SECTION", f"of {size} bytes at {at} does not fit its headers or the blob", name)
        if zlib.crc32(view[at + 4 : at + size]) != fields["section_crc"]:
            raise _defect("SECTION_CRC", f"is damaged: its CRC is not {fields['section_crc']:#010x}", name)
        if fields["kind"] != node.kind:
            raise _defect("LAYER", f"is of kind {fields['kind']}, its topology says {node.kind}", name)
        if rules.body_bytes is not None and size != head + rules.body_bytes:
            raise _defect("SECTION", f"has {size} bytes, expected {head + rules.body_bytes}", name)
        record = rules.record.unpack(view, at + NODE_HEADER.size) if rules.record else {}
        sections.append(Section(at, fields, record, view[at + head : at + size]))
        at += size
    if at != len(view):
        raise _defect("SECTION", f"the last one ends at {at}, the blob at {len(view)}")
    return tuple(sections)
