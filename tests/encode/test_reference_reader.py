"""The plain C reader agrees with Python about every blob: what a sound one holds, what is wrong with another."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.document import DEFAULT_PATH
from dcgen.encode.reader import decode
from dcgen.encode.schema import HEADER, NODE_HEADER, Kind, Status
from dcgen.errors import BlobError
from dcgen.models.catalogue import DIGITS
from dcgen.quant.qgraph import QGraph
from tests.encode.damage import changed, forged_network, reseal_all
from tests.encode.reference import SOURCE, Reference, expected_text
from tests.firmware.build import STRICT
from tests.firmware.damage import forged_fields, random_damage, sections
from tests.firmware.nets import every_operator
from tests.process import ROOT
from tests.squeezenets import squeezenet
from tests.strategies import qgraphs

CODINGS = ("joint", "deep-compression", "smallest")


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    running = Reference()
    yield running
    running.close()


@pytest.fixture(scope="module", params=CODINGS[:2])
def blob(request: pytest.FixtureRequest) -> bytes:
    return encode(every_operator(3), CodingSettings(request.param)).data


def python_status(data: bytes) -> Status:
    try:
        decode(data)
    except BlobError as error:
        return Status[error.code]
    return Status.OK


def statuses(reference: Reference, blobs: Iterable[bytes]) -> set[Status]:
    """Every status that occurs; both readers give the same one to each blob."""
    found = set()
    for data in blobs:
        status, _ = reference.read(data)
        assert status is python_status(data), data.hex()
        found.add(status)
    return found


# ---- The source


def quotes(source: str) -> Iterator[str]:
    """The texts that comments of ``source`` quote, each as one line."""
    quote: list[str] = []
    for line in source.splitlines():
        if found := re.match(r"(?:/\*| \*) > (.*?)(?: \*/)?$", line):
            quote.append(found[1])
        elif quote:
            yield " ".join(" ".join(quote).split())
            quote = []


def test_every_quote_stands_on_the_page() -> None:
    page = " ".join((ROOT / DEFAULT_PATH).read_text().split())
    found = list(quotes(SOURCE.read_text()))
    assert len(found) > 80
    assert [quote for quote in found if quote not in page] == []


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_compiles_alone_without_a_warning(compiler: str, tmp_path: Path) -> None:
    flags = ["-Wsign-conversion", "-Wshadow", "-O1", "-c", "-o", tmp_path / "reader.o"]
    subprocess.run([compiler, *STRICT, *flags, SOURCE], check=True, cwd=tmp_path)
    headers = set(re.findall(r"#include (.*)", SOURCE.read_text()))
    assert headers == {"<stdint.h>", "<stdio.h>", "<stdlib.h>", "<string.h>"}


# ---- Sound blobs


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("seed", range(6))
def test_networks_of_every_operator_are_read(reference: Reference, seed: int, coding: str) -> None:
    data = encode(every_operator(seed), CodingSettings(coding)).data
    assert reference.read(data) == (Status.OK, expected_text(data))


@settings(max_examples=75, deadline=None)
@given(graph=qgraphs(), coding=st.sampled_from(CODINGS), bits=st.integers(1, 8))
def test_any_network_is_read(reference: Reference, graph: QGraph, coding: str, bits: int) -> None:
    data = encode(graph, CodingSettings(coding, bits, bits)).data
    assert reference.read(data) == (Status.OK, expected_text(data))


@pytest.mark.parametrize("coding", CODINGS[:2])
def test_the_topology_of_the_digits_is_read(reference: Reference, coding: str) -> None:
    data = encode(squeezenet(DIGITS), CodingSettings(coding)).data
    assert reference.read(data) == (Status.OK, expected_text(data))


@pytest.mark.slow
def test_the_digits_are_read(reference: Reference, digits_out: Path) -> None:
    data = (digits_out / "model.dcb").read_bytes()
    assert reference.read(data) == (Status.OK, expected_text(data))


def test_a_file_is_read(blob: bytes, tmp_path: Path) -> None:
    """Named on the command line: what it holds is printed, its status is the exit status."""
    for data, status, text in ((blob, Status.OK, expected_text(blob)), (blob[:99], Status.TRUNCATED, "")):
        (tmp_path / "blob").write_bytes(data)
        done = subprocess.run([Reference.program(), tmp_path / "blob"], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (status, text, "")


# ---- Damaged blobs


def test_truncated_anywhere(reference: Reference, blob: bytes) -> None:
    assert statuses(reference, (blob[:n] for n in range(0, len(blob), 23))) == {Status.TRUNCATED}
    assert statuses(reference, [blob + bytes(4)]) == {Status.HEADER}


def test_forged_fields(reference: Reference, blob: bytes) -> None:
    found = statuses(reference, itertools.islice(forged_fields(blob), 0, None, 9))
    assert found >= {Status.MAGIC, Status.VERSION, Status.TRUNCATED, Status.HEADER, Status.TOPOLOGY}
    assert found >= {Status.SECTION, Status.LAYER, Status.TABLE, Status.STREAM}


def test_forged_networks(reference: Reference, blob: bytes) -> None:
    found = statuses(reference, itertools.islice(forged_network(blob), 0, None, 13))
    assert found >= {Status.OK, Status.HEADER, Status.TOPOLOGY, Status.LAYER}


def test_random_damage(reference: Reference, blob: bytes) -> None:
    assert len(statuses(reference, random_damage(blob, 250, 1))) > 8


@settings(max_examples=40, deadline=None)
@given(graph=qgraphs(), coding=st.sampled_from(CODINGS[:2]), data=st.data())
def test_any_network_damaged_anywhere_and_resealed(
    reference: Reference, graph: QGraph, coding: str, data: st.DataObject
) -> None:
    blob = encode(graph, CodingSettings(coding)).data
    for _ in range(5):
        out = bytearray(blob)
        for _ in range(data.draw(st.integers(1, 3))):
            out[data.draw(st.integers(HEADER.size, len(blob) - 1))] = data.draw(st.integers(0, 255))
        statuses(reference, [reseal_all(bytes(out))])


@pytest.mark.slow
def test_every_forged_field_and_much_random_damage(reference: Reference, blob: bytes) -> None:
    found = statuses(
        reference, itertools.chain(forged_fields(blob), forged_network(blob), random_damage(blob, 5000, 2))
    )
    assert len(found) > 12


def test_a_concat_of_two_inputs_has_no_second_factor(reference: Reference, blob: bytes) -> None:
    """The plain reader once allowed ``factor1`` in any node of two inputs."""
    at = next(at for at, node in sections(blob) if node["kind"] == Kind.CONCAT)
    assert statuses(reference, [changed(blob, NODE_HEADER, at, "factor1", 1)]) == {Status.LAYER}
