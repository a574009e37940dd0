"""AXI4-Lite: the bus's signature, and a slave that turns bus accesses into register accesses."""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Response(IntEnum):
    """Values of BRESP and RRESP."""

    OKAY = 0
    SLVERR = 2
    DECERR = 3


class AxiLite(wiring.Signature):
    """The bus as its master sees it, with 32-bit data and AXI's names. ``awprot`` and ``arprot`` are ignored.

    Parameters
    ----------
    address_bits : width of a byte address
    """

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
    """Turns bus accesses into accesses of 32-bit registers, one read and one write at a time.

    Parameters
    ----------
    address_bits : width of a byte address

    Members
    -------
    bus : In(AxiLite), the slave's side of the bus
    write : Out(1), pulse: ``write_data`` is written to the register ``write_word``. A write of less than a whole
        aligned word makes no pulse and is answered with SLVERR
    write_word, write_data : Out(address_bits - 2), Out(32), byte address / 4; the data
    write_response : In(2), answer to the write, due in the cycle of ``write``
    read_word : Out(address_bits - 2), byte address / 4 of a read; the low two bits of the address are ignored
    read_data, read_response : In(32), In(2), contents of register ``read_word``, and the answer, due in the cycle
        of ``read_word``

    Latency: an access happens in the cycle in which the bus is ready, and is answered in the next one.

    Back-pressure: the bus is not ready for a write, or a read, before the last one's answer has been taken.
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
            # Address and data of a write are taken in the same cycle, so that neither has to be stored.
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
