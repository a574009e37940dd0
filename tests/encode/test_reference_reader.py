"""The plain C reader agrees with Python on every blob: on what a sound one holds, on what is wrong with another."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgen.encode.blob import encode
from dcgen.encode.coding import CodingSettings
from dcgen.encode.document import DEFAULT_PATH
from dcgen.encode.reader import decode
from dcgen.encode.schema import CONV_HEADER, HEADER, NODE_HEADER, Kind, Status
from dcgen.errors import BlobError
from dcgen.quant.qgraph import QGraph
from tests.encode.damage import forged_network, reseal_all
from tests.encode.reference import SOURCE, Reference, expected_text
from tests.firmware.build import STRICT
from tests.firmware.damage import forged_fields, random_damage, reseal, sections
from tests.firmware.nets import every_operator
from tests.process import ROOT
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
    source = tmp_path / "reader.c"
    source.write_bytes(SOURCE.read_bytes())
    command = [
        compiler,
        *STRICT,
        "-Wsign-conversion",
        "-Wshadow",
        "-O1",
        "-c",
        source,
        "-o",
        tmp_path / "reader.o",
    ]
    subprocess.run(command, check=True)
    assert set(re.findall(r"#include (.*)", source.read_text())) <= {
        "<stdint.h>",
        "<stdio.h>",
        "<stdlib.h>",
        "<string.h>",
    }


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("seed", range(6))
def test_networks_of_every_operator_are_read(reference: Reference, seed: int, coding: str) -> None:
    data = encode(every_operator(seed), CodingSettings(coding)).data
    assert reference.read(data) == (Status.OK, expected_text(data))


@settings(max_examples=100, deadline=None)
@given(graph=qgraphs(), coding=st.sampled_from(CODINGS), bits=st.integers(1, 8))
def test_any_network_is_read(reference: Reference, graph: QGraph, coding: str, bits: int) -> None:
    data = encode(graph, CodingSettings(coding, bits, bits)).data
    assert reference.read(data) == (Status.OK, expected_text(data))


def test_the_digits_are_read(reference: Reference, digits_out: Path) -> None:
    (path,) = (digits_out / "firmware").rglob("*.bin")
    data = path.read_bytes()
    assert reference.read(data) == (Status.OK, expected_text(data))


def test_truncated_anywhere(reference: Reference, blob: bytes) -> None:
    assert statuses(reference, (blob[:n] for n in range(0, len(blob), 5))) == {Status.TRUNCATED}
    assert statuses(reference, [blob + bytes(4)]) == {Status.HEADER}


def test_forged_fields(reference: Reference, blob: bytes) -> None:
    found = statuses(reference, itertools.islice(forged_fields(blob), 0, None, 3))
    assert found >= {Status.MAGIC, Status.VERSION, Status.TRUNCATED, Status.HEADER, Status.TOPOLOGY}
    assert found >= {Status.SECTION, Status.LAYER, Status.TABLE, Status.STREAM}


def test_forged_networks(reference: Reference, blob: bytes) -> None:
    found = statuses(reference, itertools.islice(forged_network(blob), 0, None, 2))
    assert found == {Status.OK, Status.HEADER, Status.TOPOLOGY, Status.LAYER}


def test_random_damage(reference: Reference, blob: bytes) -> None:
    assert len(statuses(reference, random_damage(blob, 1500, 1))) > 8
