"""Reads one record of the command list into registers, and names its fields."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.command_memory import CommandPort
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.commands import RECORD_WORDS, STEP_FIELDS
from dcgen.hw.contract.parameters import EngineParameters

RECORD = data.ArrayLayout(32, RECORD_WORDS)
"""The words of a record."""


def step_field(record: data.View, name: str) -> Value:
    """Field ``name`` of a record, a field of ``commands.STEP_FIELDS``, signed if it is described so."""
    field = STEP_FIELDS[name]
    value = record[field.word][field.low : field.low + field.width]
    return value.as_signed() if field.signed else value


class RecordReader(wiring.Component):
    """Reads a record.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    start : In(1), pulse
    address : In(bits(command_words)), number of the record's first word, in the cycle of ``start``
    commands : Out(CommandPort), the reader's side of a port of the command memory
    record : Out(RECORD), the words, from ``done`` to the next ``start``
    done : Out(1), pulse

    Latency: ``back_timing.READ_CYCLES`` from ``start`` to ``done``. A ``start`` before ``done`` begins anew.

    Back-pressure: none.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        address = bits(parameters.command_words)
        super().__init__(
            {
                "start": In(1),
                "address": In(address),
                "commands": Out(CommandPort(parameters)),
                "record": Out(RECORD),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(range(RECORD_WORDS + 1), init=RECORD_WORDS)  # words asked for
        arriving = Signal(range(RECORD_WORDS + 1), init=RECORD_WORDS)  # word on the data lines, if any
        m.d.sync += [arriving.eq(count), self.done.eq(arriving == RECORD_WORDS - 1)]
        with m.If(self.start):
            m.d.sync += [
                count.eq(0),
                self.commands.address.eq(self.address),
                arriving.eq(Const(RECORD_WORDS)),
                self.done.eq(0),
            ]
        with m.Elif(count != RECORD_WORDS):
            m.d.sync += [count.eq(count + 1), self.commands.address.eq(self.commands.address + 1)]
        for word in range(RECORD_WORDS):
            with m.If(arriving == word):
                m.d.sync += self.record[word].eq(self.commands.data)
        return m
