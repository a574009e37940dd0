"""Activation memory: P banks of bytes, from which any P consecutive bytes can be read while P others are written.

Bank b keeps byte b of every word, so that P consecutive bytes lie in P different banks, wherever the first one is.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.rotator import Rotator
from dcgen.hw.common.pipeline import delay
from dcgen.hw.common.signatures import bits
from dcgen.hw.contract.back_timing import READ_AHEAD, rotate_cycles
from dcgen.hw.contract.parameters import EngineParameters


def byte_lanes(p: EngineParameters) -> data.ArrayLayout:
    """P unsigned bytes, the first one in lane 0."""
    return data.ArrayLayout(8, p.lanes)


def place_signature(p: EngineParameters) -> wiring.Signature:
    """Where P consecutive bytes lie, seen from the requester.

    word0 : word that holds the first byte
    word1 : word that follows ``word0`` in its ring
    lane : lane of the first byte in ``word0``
    """
    return wiring.Signature({"word0": Out(bits(p.words)), "word1": Out(bits(p.words)), "lane": Out(bits(p.lanes))})


class ActivationMemory(wiring.Component):
    """``words`` words of P = ``lanes`` bytes with a read and a write port, both for P consecutive bytes.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    read : In(place_signature), the P bytes to be read, requested in every cycle
    bytes : Out(P x 8), lane l is bank (l + lane) % P, of ``word0`` where l + lane < P, else of ``word1``
    write : In(place_signature), where the bytes to be written go
    write_valid : In(1), this cycle requests a write
    write_count : In(bits(P + 1)), how many bytes are written, 1 to P
    write_bytes : In(P x 8), lane l < ``write_count`` goes to bank (l + lane) % P, words being chosen as above

    Latency: ``read_cycles(p)`` from a read's request to ``bytes``, ``write_cycles(p)`` from a write's request
    until its bytes are in the banks. As banks are read ``READ_AHEAD`` cycles after a request, a read sees every
    write that was requested at least ``write_cycles(p)`` - ``READ_AHEAD`` cycles before it.

    Back-pressure: none; a read and a write are taken in every cycle. No byte may be read from its bank in the
    cycle in which it is written there: what such a read gives is undefined.
    """

    def __init__(self, parameters: EngineParameters) -> None:
        self.parameters = p = parameters
        super().__init__(
            {
                "read": In(place_signature(p)),
                "bytes": Out(byte_lanes(p)),
                "write": In(place_signature(p)),
                "write_valid": In(1),
                "write_count": In(bits(p.lanes + 1)),
                "write_bytes": In(byte_lanes(p)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        p = self.parameters
        m = Module()
        m.submodules.to_lanes = to_lanes = Rotator(p.lanes, 8, towards_zero=True)
        m.submodules.to_banks = to_banks = Rotator(p.lanes, 9, towards_zero=False)

        # Each byte to be written is rotated with a ninth bit, which enables the write; the request waits
        # meanwhile.
        turning = rotate_cycles(p.lanes)
        for lane in range(p.lanes):
            chosen = self.write_valid & (self.write_count > lane)
            m.d.comb += to_banks.values[lane].eq(Cat(self.write_bytes[lane], chosen))
        m.d.comb += to_banks.amount.eq(self.write.lane)
        write_request = Cat(self.write.word0, self.write.word1)
        write_request = delay(m, write_request, turning - 1, "write_request", reset_less=True)
        write_lane = delay(m, self.write.lane, turning - 1, "write_lane", reset_less=True)
        write_addresses = self.bank_addresses(m, write_request, write_lane, "write")

        read_request = Cat(self.read.word0, self.read.word1)
        read_request = delay(m, read_request, READ_AHEAD - 1, "read_request", reset_less=True)
        read_lane = delay(m, self.read.lane, READ_AHEAD - 2, "read_lane", reset_less=True)
        read_addresses = self.bank_addresses(m, read_request, read_lane, "read", thermometer_cycles=1)

        for number in range(p.lanes):
            bank = Memory(shape=8, depth=p.words, init=[])
            m.submodules[f"bank_{number}"] = bank
            writer, reader = bank.write_port(), bank.read_port()
            m.d.comb += [
                writer.addr.eq(write_addresses[number]),
                Cat(writer.data, writer.en).eq(to_banks.rotated[number]),
                reader.addr.eq(read_addresses[number]),
            ]
            m.d.comb += to_lanes.values[number].eq(
                delay(m, reader.data, 1, f"read_{number}", reset_less=True)  # block RAM is slow to answer
            )
        m.d.comb += [
            to_lanes.amount.eq(delay(m, self.read.lane, READ_AHEAD + 2, "turn", reset_less=True)),
            self.bytes.eq(to_lanes.rotated),
        ]
        return m

    def bank_addresses(
        self, m: Module, request: Value, lane: Value, name: str, thermometer_cycles: int = 0
    ) -> list[Signal]:
        """The address register of each bank: ``word0`` or ``word1`` of ``request``, a cycle later.

        request : ``word0`` below ``word1``
        lane : of the same request, but ``thermometer_cycles`` earlier, so that its comparison with each bank's
            number is done before ``request`` comes
        name : prefix of the signals' names
        """
        width = bits(self.parameters.words)
        addresses = []
        for number in range(self.parameters.lanes):
            in_first = delay(m, lane <= number, thermometer_cycles, f"{name}_first_{number}", reset_less=True)
            address = Signal(width, name=f"{name}_address_{number}", reset_less=True)
            m.d.sync += address.eq(Mux(in_first, request[:width], request[width:]))
            addresses.append(address)
        return addresses
