"""Arithmetic of cursors: the place and lane of a byte in a ring of words, moved on by words and lanes."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data

from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.parameters import EngineParameters


def cursor_layout(p: EngineParameters) -> data.StructLayout:
    """A byte of a channel's plane.

    place : word in the ring
    lane : byte in the word
    """
    return data.StructLayout({"place": bits(p.words), "lane": bits(p.lanes)})


def distance_layout(p: EngineParameters) -> data.StructLayout:
    """A distance between two bytes.

    words : whole words, fewer than the ring has
    less : ``words`` minus the words of the ring
    lanes : bytes besides, 0 to P; P of them are one word more
    """
    return data.StructLayout({"words": 16, "less": signed(17), "lanes": bits(p.lanes + 1)})


def distance(m: Module, p: EngineParameters, words: Value, lanes: Value, ring: Value, name: str) -> data.View:
    """Registers of a distance that stays the same during a step; they follow their inputs a cycle later."""
    held = Signal(distance_layout(p), name=name)
    m.d.sync += [held.words.eq(words), held.less.eq(words - ring), held.lanes.eq(lanes)]
    return held


def moved(m: Module, p: EngineParameters, cursor: data.View, by: data.View, name: str) -> data.View:
    """``cursor`` moved on by ``by``, within the cycle. The distance must not exceed the ring."""
    result = Signal(cursor_layout(p), name=name)
    lane = Signal(range(2 * p.lanes), name=f"{name}_lane")
    carry = Signal(name=f"{name}_carry")
    place, wrapped = Signal(17, name=f"{name}_place"), Signal(signed(18), name=f"{name}_wrapped")
    m.d.comb += [
        lane.eq(cursor.lane + by.lanes),
        carry.eq(lane >= p.lanes),
        place.eq(cursor.place + by.words + carry),
        wrapped.eq(cursor.place + by.less + carry),
        result.lane.eq(Mux(carry, lane - p.lanes, lane)),
        result.place.eq(Mux(wrapped >= 0, wrapped, place)),
    ]
    return result
