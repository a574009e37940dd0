"""Each defect of a section is reported with its cause and node; a small network is sent with one at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from dcgen.encode.blob import encode
from dcgen.encode.schema import CONV_HEADER, NODE_HEADER, Record
from dcgen.hw.contract.blob_format import Cause
from dcgen.hw.contract.commands import Op
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.plan.engine.plan import plan_engine
from dcgen.quant.qgraph import QConv, QGraph, QNode, QTensor, Requant
from tests.hw.front.run import FrontCase, assert_lists, run_fronts, section_packets
from tests.rtl.damaged_packets import seal

PARAMETERS = EngineParameters(
    lanes=4, requantizers=2, words=256, picture_bytes=4, list_entries=64, max_symbols=64, max_outputs=8
)
Damage = Callable[[bytes], bytes]


def network() -> QGraph:
    """A convolution with constants for each output channel, and one that makes the scores."""
    rng = np.random.default_rng(4)
    picture = QTensor("picture", (3, 4, 4), 1.0, 3, (3,) * 3)
    middle = QTensor("first", (4, 4, 4), 1.0, 5, (5,) * 4)
    levels = np.array([0, 7, -3, 500, 20], np.int16)

    def indices(*shape: int) -> np.ndarray:
        return np.where(rng.random(shape) < 0.6, rng.integers(0, 5, shape), 0).astype(np.uint8)

    requant = Requant(np.array([9, 8, 7, 60000], np.uint16), np.array([17, 20, 32, 31], np.uint8), 2, 250)
    bias = np.array([100, -4, 1 << 20, 0], np.int32)
    first = QConv(levels, indices(4, 3, 3, 3), bias, 2, requant, (1, 1), (1, 1, 1, 1))
    last = QConv(levels, indices(3, 4, 1, 1), bias[:3], 0, None, (1, 1), (0, 0, 0, 0))
    nodes = (QNode("first", first, ("picture",)), QNode("last", last, ("first",)))
    return QGraph("two", picture, {"picture": picture, "first": middle}, nodes, 1.0)


def field(record: Record, base: int, name: str, change: Callable[[int], int]) -> Damage:
    """Changes field ``name`` of a section's header at byte ``base``, and makes the check sum right."""
    form = "<" + next(f.format for f in record.fields if f.name == name)

    def damage(section: bytes) -> bytes:
        out = bytearray(section)
        (old,) = struct.unpack_from(form, section, base + record.offset(name))
        struct.pack_into(form, out, base + record.offset(name), change(old))
        return seal(bytes(out))

    return damage


def node(name: str, change: Callable[[int], int]) -> Damage:
    return field(NODE_HEADER, 0, name, change)


def conv(name: str, change: Callable[[int], int]) -> Damage:
    return field(CONV_HEADER, NODE_HEADER.size, name, change)


def arrays(section: bytes) -> dict[str, int]:
    """For each part of a convolution's section that follows its headers, the offset in bytes; and the end's."""
    c = CONV_HEADER.unpack(section, NODE_HEADER.size)
    at = {"levels": NODE_HEADER.size + CONV_HEADER.size}
    at["shifts"] = at["levels"] + c["level_bytes"] * (c["n_levels"] - 1) + 2 * 4
    at["bias"] = at["shifts"] + 4
    at["table"] = at["bias"] + c["bias_bytes"] * 4
    at["padding"] = at["table"] + c["table_bytes"]
    at["stream"] = at["padding"] + -at["padding"] % 4
    at["end"] = len(section)
    return at


def byte(part: str, offset: int, value: int) -> Damage:
    """Changes the byte ``offset`` bytes behind the start of ``part`` (see ``arrays``), and the check sum."""

    def damage(section: bytes) -> bytes:
        out = bytearray(section)
        out[arrays(section)[part] + offset] = value
        return seal(bytes(out))

    return damage


DEFECTS: dict[str, tuple[Damage, Cause]] = {
    "another kind": (node("kind", lambda v: 2), Cause.LAYER),
    "unknown flag": (node("flags", lambda v: 2), Cause.LAYER),
    "constants for all and each": (node("mult", lambda v: 1), Cause.LAYER),
    "empty bounds": (node("lo", lambda v: 255), Cause.LAYER),
    "wide bias shift": (node("bias_shift", lambda v: 32), Cause.LAYER),
    "bias beyond 32 bits": (node("bias_shift", lambda v: 31), Cause.LAYER),
    "a factor": (node("factor0", lambda v: 1), Cause.LAYER),
    "a second factor": (node("factor1", lambda v: -1), Cause.LAYER),
    "a longer section": (node("section_bytes", lambda v: v + 4), Cause.SECTION),
    "an odd section": (node("section_bytes", lambda v: v + 1), Cause.SECTION),
    "reserved": (conv("reserved", lambda v: 1), Cause.HEADER),
    "no levels": (conv("n_levels", lambda v: 0), Cause.LAYER),
    "levels of three bytes": (conv("level_bytes", lambda v: 3), Cause.LAYER),
    "biases of three bytes": (conv("bias_bytes", lambda v: 3), Cause.LAYER),
    "unknown coding": (conv("coding", lambda v: 2), Cause.LAYER),
    "too few level bits": (conv("level_bits", lambda v: 2), Cause.LAYER),
    "too many level bits": (conv("level_bits", lambda v: 9), Cause.LAYER),
    "too many run bits": (conv("run_bits", lambda v: 13), Cause.LAYER),
    "a second table": (conv("table2_bytes", lambda v: 4), Cause.LAYER),
    "another longest filter": (conv("max_filter_entries", lambda v: v + 1), Cause.LAYER),
    "more entries than bits": (conv("n_entries", lambda v: 1 << 20), Cause.STREAM),
    "an entry too many": (conv("n_entries", lambda v: v + 1), Cause.STREAM),
    "an entry too few": (conv("n_entries", lambda v: v - 1), Cause.STREAM),
    "a larger stream": (conv("stream_bytes", lambda v: v + 4), Cause.SECTION),
    "a short table": (conv("table_bytes", lambda v: v - 1), Cause.TABLE),
    "a table of three bytes": (conv("table_bytes", lambda v: 3), Cause.TABLE),
    "shift 16": (byte("shifts", 0, 16), Cause.LAYER),
    "shift 33": (byte("shifts", 3, 33), Cause.LAYER),
    "a table's zero byte": (byte("table", 3, 1), Cause.TABLE),
    "ESCAPE of 13 bits": (byte("table", 2, 13), Cause.TABLE),
    "more symbols than listed": (byte("table", 0, 200), Cause.TABLE),
    "a repetition of nothing": (byte("table", 4, 14), Cause.TABLE),
    "guard not zero": (byte("end", -1, 128), Cause.STREAM),
    "tail not zero": (byte("end", -8, 128), Cause.STREAM),
    "damaged": (lambda s: s[:56] + bytes([s[56] ^ 1]) + s[57:], Cause.SECTION_CRC),
    "cut": (lambda s: s[:-4], Cause.SECTION),
    "cut in the header": (lambda s: s[:40], Cause.SECTION),
    "a tail not zero, cut behind it": (lambda s: byte("end", -9, 128)(s)[:-8], Cause.SECTION),
    "a word more": (lambda s: s + bytes(4), Cause.SECTION),
}


def test_every_defect_has_its_cause(tmp_path: Path) -> None:
    graph = network()
    blob = encode(graph)
    plan = plan_engine(graph, blob, PARAMETERS)
    packets = section_packets(blob.data, plan)
    assert plan.program == (-1, 0, 1)
    sound = FrontCase(plan.commands, packets)
    cases = [sound]
    for damage, _ in DEFECTS.values():
        cases.append(replace(sound, packets=(packets[0], damage(bytes.fromhex(packets[1])).hex(), packets[2])))
    tensors = bytes.fromhex(packets[0])
    for at, value in ((3, 255), (5, 1), (6, 1), (len(tensors) - 1, 1)):
        cases.append(replace(sound, packets=(_with(tensors, at, value).hex(), *packets[1:])))
    runs = list(run_fronts(cases, PARAMETERS, tmp_path))
    assert runs[0].cause == Cause.NONE
    assert_lists(runs[0].lists, graph, plan)
    found = {name: Cause(run.cause).name for name, run in zip(DEFECTS, runs[1:], strict=False)}
    assert found == {name: cause.name for name, (_, cause) in DEFECTS.items()}
    assert {run.node for run in runs[1 : len(DEFECTS) + 1]} == {0}
    first = next(n for n, step in enumerate(plan.steps) if step.op == Op.CONV)
    complete = sum(step.op == Op.POOL for step in plan.steps[:first]) + graph.nodes[0].op.indices.shape[0]
    assert all(len(run.lists) < complete for run in runs[1 : len(DEFECTS) + 1]), "a damaged section's last list"
    assert [Cause(run.cause) for run in runs[len(DEFECTS) + 1 :]] == [Cause.HEADER] * 4


def test_what_does_not_fit_is_a_matter_of_capacity(tmp_path: Path) -> None:
    graph = network()
    blob = encode(graph)
    plan = plan_engine(graph, blob, PARAMETERS)
    case = FrontCase(plan.commands, section_packets(blob.data, plan))
    for n, small in enumerate(({"list_entries": 8}, {"max_symbols": 2}, {"max_outputs": 2})):
        (run,) = run_fronts([case], replace(PARAMETERS, **small), tmp_path / str(n))
        assert run.cause == Cause.CAPACITY


def _with(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]
