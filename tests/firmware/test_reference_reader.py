"""The runtime accepts what the plain C reader accepts, and where both refuse a blob they name the same defect.

The runtime checks in another order, so a field that breaks two rules at once may be called by either; the page
of the format says what it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pytest

from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.schema import CONV_HEADER, HEADER, NODE_HEADER, Kind, Record, Status
from tests.encode.damage import changed
from tests.encode.reference import Reference
from tests.firmware.build import Program
from tests.firmware.damage import forged_fields, random_damage, sections
from tests.firmware.nets import every_operator

Pair = tuple[Status, Status]
"""Statuses of the plain reader and of the runtime."""

LEFT_OUT = {Status.HEADER, Status.TOPOLOGY, Status.SECTION, Status.LAYER}
"""Defects that do the runtime no harm, and that it therefore does not look for: fields that a kind does not have,
shapes and scales that its plan settles, sums over all layers, padding in front of a stream."""

OTHERWISE: dict[Pair, str] = {
    (Status.HEADER, Status.BLOB_CRC): "bytes behind blob_bytes are no defect to the runtime",
    (Status.TOPOLOGY, Status.HEADER): "knows by its plan how many tensors there are",
    (Status.LAYER, Status.TOPOLOGY): "another kind of node is another network",
    (Status.LAYER, Status.SECTION): "finds all arrays before it looks at a constant",
    (Status.TABLE, Status.SECTION): "finds the stream before it looks at a table",
    (Status.LAYER, Status.TABLE): "takes a second table that is not to be there for a wrong table",
    (Status.LAYER, Status.STREAM): "takes more entries than weights for a wrong stream",
    (Status.SECTION, Status.STREAM): "takes stream_bits that stream_bytes cannot hold for a wrong stream",
    **{
        (first, then): "places each weight when it has read it, so it meets this defect first"
        for first in (Status.CODE, Status.STREAM)
        for then in (Status.LEVEL, Status.POSITION, Status.LAYER)
    },
}


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    running = Reference()
    yield running
    running.close()


@pytest.fixture(scope="module", params=["joint", "deep-compression"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    graph = every_operator(3)
    return Program(tmp_path_factory.mktemp("reference"), graph, blob=encode(graph, CodingSettings(request.param)))


def compare(reference: Reference, program: Program, blobs: Iterable[bytes]) -> list[Pair]:
    """Both readers' statuses of each blob, the runtime's from dcg_run where dcg_init finds nothing."""
    every = list(blobs)
    pairs = [
        (reference.read(b)[0], init or run) for b, (init, run) in zip(every, program.fuzz(every), strict=True)
    ]
    for data, (plain, runtime) in zip(every, pairs, strict=True):
        if plain is Status.OK:
            assert runtime in (Status.OK, Status.CAPACITY), data.hex()
        elif runtime is Status.OK:
            assert plain in LEFT_OUT, data.hex()
    return pairs


def refused(pairs: Iterable[Pair]) -> set[Pair]:
    """The pairs of blobs that both refuse, but for what a plan has no memory for."""
    return {p for p in pairs if Status.OK not in p and p[1] is not Status.CAPACITY}


def test_sound_blobs_are_accepted_by_both(reference: Reference, program: Program) -> None:
    assert compare(reference, program, [program.blob.data]) == [(Status.OK, Status.OK)]


def test_forged_fields_are_called_by_the_same_name(reference: Reference, program: Program) -> None:
    pairs = refused(compare(reference, program, islice(forged_fields(program.blob.data), 0, None, 5)))
    assert {p for p in pairs if p[0] is not p[1]} <= set(OTHERWISE)
    assert len({p[0] for p in pairs if p[0] is p[1]}) > 8


def test_random_damage_is_refused_by_both(reference: Reference, program: Program) -> None:
    pairs = compare(reference, program, random_damage(program.blob.data, 500, 1))
    same = sum(plain is runtime for plain, runtime in pairs)
    assert same > 0.7 * len(pairs)


@pytest.mark.parametrize(
    ("record", "field", "value", "status"),
    [
        (HEADER, "magic", 0, Status.MAGIC),
        (HEADER, "version", 2, Status.VERSION),
        (HEADER, "blob_bytes", 1 << 31, Status.TRUNCATED),
        (HEADER, "header_bytes", 60, Status.HEADER),
        (HEADER, "tensors_offset", 0, Status.HEADER),
        (HEADER, "n_nodes", 1, Status.HEADER),
        (HEADER, "max_code_bits", 13, Status.HEADER),
        (NODE_HEADER, "section_bytes", 20, Status.SECTION),
        (NODE_HEADER, "flags", 2, Status.LAYER),
        (NODE_HEADER, "bias_shift", 32, Status.LAYER),
        (CONV_HEADER, "n_levels", 257, Status.LAYER),
        (CONV_HEADER, "level_bytes", 3, Status.LAYER),
        (CONV_HEADER, "bias_bytes", 3, Status.LAYER),
        (CONV_HEADER, "coding", 2, Status.LAYER),
        (CONV_HEADER, "level_bits", 9, Status.LAYER),
        (CONV_HEADER, "run_bits", 13, Status.LAYER),
        (CONV_HEADER, "max_filter_entries", 0, Status.LAYER),
        (CONV_HEADER, "reserved", 1, Status.HEADER),
        (CONV_HEADER, "stream_bytes", 0, Status.SECTION),
        (CONV_HEADER, "table_bytes", 0xFFFF, Status.SECTION),
    ],
    ids=lambda v: v.name if isinstance(v, Record | Status) else str(v),
)
def test_each_defect_has_one_status(
    reference: Reference, program: Program, record: Record, field: str, value: int, status: Status
) -> None:
    data = program.blob.data
    at = next(at for at, node in sections(data) if node["kind"] == Kind.CONV)
    base = {HEADER.name: 0, NODE_HEADER.name: at, CONV_HEADER.name: at + NODE_HEADER.size}[record.name]
    assert compare(reference, program, [changed(data, record, base, field, value)]) == [(status, status)]


def test_a_stream_one_bit_longer_is_refused_by_both(reference: Reference, program: Program) -> None:
    data = program.blob.data
    at = next(at for at, node in sections(data) if node["kind"] == Kind.CONV) + NODE_HEADER.size
    bits = CONV_HEADER.unpack(data, at)["stream_bits"] + 1
    assert (
        compare(reference, program, [changed(data, CONV_HEADER, at, "stream_bits", bits)])[0][0] is Status.STREAM
    )
