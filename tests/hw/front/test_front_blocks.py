"""The blocks of the front end, each alone in Icarus, with random pauses on its streams."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from dcgen.encode.coding import CodingSettings, code_entries
from dcgen.encode.schema import Coding, Status
from dcgen.encode.stream import CodedStream, read_entries
from dcgen.encode.symbols import Entries
from dcgen.errors import BlobError
from dcgen.hw.contract.blob_format import Cause
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.front.bit_reader import BLOB, BitReader
from dcgen.hw.front.code_table import CodeTableReader
from dcgen.hw.front.huffman import ENTRY, HuffmanDecoder
from dcgen.hw.front.plain_weights import PlainWeights
from dcgen.hw.front.weight_list import WeightListBuilder
from tests.hw.front.bench_weight_list import PARAMETERS as LIST_PARAMETERS
from tests.hw.front.late import LateBitReader
from tests.rtl.bench import run_cocotb

PARAMETERS = EngineParameters(lanes=4, requantizers=2, words=64, picture_bytes=4, max_symbols=512)


def simulate(component: Any, bench: str, folder: Path, environment: dict[str, str] | None = None) -> None:
    run_cocotb(component, f"tests/hw/front/bench_{bench}.py", folder=folder, environment=environment)


def test_causes_are_the_format_s_status_codes() -> None:
    for cause in Cause:
        if cause != Cause.NONE:
            assert Status[cause.name] == cause


def test_bit_reader(tmp_path: Path) -> None:
    simulate(LateBitReader(), "bit_reader", tmp_path)


def test_plain_weights(tmp_path: Path) -> None:
    simulate(PlainWeights(PARAMETERS), "plain_weights", tmp_path)


def test_weight_lists(tmp_path: Path) -> None:
    simulate(WeightListBuilder(LIST_PARAMETERS), "weight_list", tmp_path)


class DecoderTop(wiring.Component):
    """Bit reader, table reader and decoder, for sections that consist of code tables and a stream right behind."""

    def __init__(self, p: EngineParameters) -> None:
        self._p = p
        super().__init__(
            {
                "words": In(stream.Signature(BLOB)),
                "start": In(1),
                "gaps": In(1),
                "level_bits": In(4),
                "run_bits": In(4),
                "size": In(16),
                "size2": In(16),
                "n_entries": In(16),
                "entries": Out(stream.Signature(ENTRY)),
                "malformed": Out(1),
                "no_code": Out(1),
                "all_tables": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = BitReader()
        m.submodules.table = table = CodeTableReader(self._p)
        m.submodules.decoder = decoder = HuffmanDecoder(self._p)
        wiring.connect(m, wiring.flipped(self.words), reader.words)
        wiring.connect(m, wiring.flipped(self.entries), decoder.entries)
        begun = Signal()
        left = Signal(16)
        ready = Signal()  # tables have been steady for a cycle, as they are in a section
        m.d.sync += ready.eq(self.all_tables)
        m.d.comb += [
            reader.begin.eq(self.start),
            reader.consume.eq(table.consume),
            reader.choice.eq(decoder.choice),
            reader.choice.early.eq(ready),
            table.start.eq(begun),
            table.size.eq(Mux(table.second, self.size2, self.size)),
            table.most.eq(Mux(self.gaps, Mux(table.second, 256, 1 << self.run_bits), 4095)),
            table.escapes.eq(~self.gaps),
            decoder.tables.eq(table.tables),
            decoder.enable.eq(ready & (left != 0)),
            self.malformed.eq(table.malformed),
            self.no_code.eq(decoder.no_code),
        ]
        for block in (table, decoder):
            m.d.comb += [block.bits.eq(reader.bits), block.valid.eq(reader.valid)]
        for name in ("gaps", "level_bits", "run_bits"):
            m.d.comb += getattr(decoder, name).eq(getattr(self, name))
        for name in ("enable", "address", "symbol"):
            m.d.comb += getattr(decoder.place, name).eq(getattr(table.place, name))
        m.d.sync += [begun.eq(self.start), left.eq(left - decoder.step)]
        with m.If(self.start):
            m.d.sync += left.eq(self.n_entries)
        with m.If(table.done):
            m.d.sync += [table.second.eq(1), begun.eq(self.gaps & ~table.second)]
            m.d.sync += self.all_tables.eq(~self.gaps | table.second)
        return m


def decoder_case(coded: CodedStream, data: bytes, entries: Entries | None) -> dict[str, Any]:
    """A case of ``bench_decoder``: inputs of ``DecoderTop``, and the entries that it must give.

    data : tables and stream
    entries : what ``data`` decodes to; None if the decoder must refuse it
    """
    code = coded.code
    sizes = [len(t) for t in coded.tables] + [0]
    listed = None
    if entries is not None:
        listed = [[int(r), int(v)] for r, v in zip(entries.runs, entries.levels, strict=True)]
    return {
        "gaps": int(code.coding == Coding.GAPS),
        "level_bits": code.level_bits,
        "run_bits": code.run_bits,
        "size": sizes[0],
        "size2": sizes[1],
        "n_entries": coded.n_entries,
        "data": data.hex(),
        "entries": listed,
    }


def test_decoder(tmp_path: Path) -> None:
    """Sound tables and streams of both codings give their entries; tables that Python's reader refuses, none."""
    cases = []
    for seed in range(14):
        rng = np.random.default_rng(seed)
        n_levels = int(rng.choice((2, 5, 17, 256)))
        kept = rng.random((2, 3, 5, 8)) < rng.choice((0.02, 0.3, 0.9))
        weights = np.where(kept, rng.integers(0, n_levels, kept.shape), 0)
        settings = (CodingSettings(), CodingSettings("deep-compression", 3, 3))[seed % 2]
        coded = code_entries(Entries.of(weights.astype(np.uint8)), n_levels, settings, False)
        entries = read_entries(coded.data, coded.bits, coded.n_entries, coded.code)
        cases.append(decoder_case(coded, b"".join(coded.tables) + coded.data, entries))
        if seed % 2 == 0:
            cases += broken_tables(coded, random.Random(seed))
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    assert sum(case["entries"] is None for case in cases) > 10
    simulate(DecoderTop(PARAMETERS), "decoder", tmp_path, {"CASES": str(tmp_path / "cases.json")})


def broken_tables(coded: CodedStream, rng: random.Random) -> list[dict[str, Any]]:
    """Cases of a JOINT table with one flipped bit, as far as Python's reader refuses them."""
    found = []
    table = coded.tables[0]
    for _ in range(5):
        broken = bytearray(table)
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        try:
            type(coded.code.tables[0]).unpack(bytes(broken), 4095, True)
        except BlobError:
            found.append(decoder_case(coded, bytes(broken) + coded.data, None))
    return found
