"""AXI4-Lite slave: one bus access at a time, as a plain register access."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Response(IntEnum):
    """What BRESP and RRESP say."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


class AxiLite(wiring.Signature):
    """The bus as its master sees it, with AXI's names; 32-bit data. ``*prot`` is taken and not looked at."""

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "awaddr": Out(address_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLiteSlave(wiring.Component):
    """Turns the bus into register accesses.

    bus : the slave's side
    write : pulse; ``write_word`` (address / 4) and ``write_data`` are valid with it, and ``write_response`` must
        be the answer in the same cycle. Partial words never get here: they are answered with SLVERR
    read_word : register being read; ``read_data`` and ``read_response`` must be the answer in the same cycle

    An access takes two cycles: it is done in the cycle in which the bus is ready, and answered in the next.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "bus": In(AxiLite(address_bits)),
                "write": Out(1),
                "write_word": Out(address_bits - 2),
                "write_data": Out(32),
                "write_response": In(2),
                "read_word": Out(address_bits - 2),
                "read_data": In(32),
                "read_response": In(2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        take = Signal()
        whole = Signal()
        m.d.comb += [
            # Both halves of a write are taken together, which needs no memory of either.
            take.eq(bus.awvalid & bus.wvalid & ~bus.bvalid),
            bus.awready.eq(take),
            bus.wready.eq(take),
            whole.eq(bus.wstrb.all() & (bus.awaddr[:2] == 0)),
            self.write.eq(take & whole),
            self.write_word.eq(bus.awaddr[2:]),
            self.write_data.eq(bus.wdata),
            bus.arready.eq(bus.arvalid & ~bus.rvalid),
            self.read_word.eq(bus.araddr[2:]),
        ]
        with m.If(take):
            m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(self.write_response)]
            with m.If(~whole):
                m.d.sync += bus.bresp.eq(Response.SLVERR)
        with m.Elif(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.arready):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(self.read_data), bus.rresp.eq(self.read_response)]
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        return m
