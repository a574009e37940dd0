"""The registers of ``regmap``: what the bus reads and writes, and the cycle counters."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.common.axi_lite import AxiLite, AxiLiteSlave, Response
from dcgen.hw.common.command_memory import CommandWrites
from dcgen.hw.contract import regmap
from dcgen.hw.contract.parameters import EngineParameters

CAUSES = tuple(name for name, _ in regmap.COUNTERS if name != "total")
"""Names of what a cycle can be spent on, each with a counter."""


class Control(wiring.Component):
    """Registers, cycle counters and the command memory's window behind AXI4-Lite.

    Parameters
    ----------
    p : sizes of the engine, which registers show

    Members
    -------
    bus : In(AxiLite), slave side
    commands : Out(CommandWrites), writes to the command memory; writes while ``busy`` are answered with SLVERR
    reset : Out(1), pulse after a write of ``reset`` or ``start`` to register ``control``: the datapath is reset
    start : Out(1), pulse in the cycle after that of ``reset``, if ``start`` was written
    busy, done, error, cause, node : In(1), In(1), In(1), In(8), In(16), fields of register ``status``
    scores : Out(32), number of scores of a picture, as written to register ``scores``
    counting : In(1), this cycle counts; the counters are cleared by ``reset``
    causes : In(1) for each name of CAUSES, this cycle counts for it
    irq : Out(1), interrupt line, high while enabled and ``done`` or ``error``

    Latency: from a write of ``control`` that the bus takes, one cycle to ``reset``, two to ``start``.

    Back-pressure: that of ``AxiLiteSlave``.
    """

    def __init__(self, p: EngineParameters) -> None:
        self._parameters = p
        super().__init__(
            {
                "bus": In(AxiLite(regmap.ADDRESS_BITS)),
                "commands": Out(CommandWrites(p)),
                "reset": Out(1),
                "start": Out(1),
                "busy": In(1),
                "done": In(1),
                "error": In(1),
                "cause": In(8),
                "node": In(16),
                "scores": Out(32),
                "counting": In(1),
                "causes": Out(wiring.Signature({name: In(1) for name in CAUSES})),
                "irq": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.slave = slave = AxiLiteSlave(regmap.ADDRESS_BITS)
        wiring.connect(m, wiring.flipped(self.bus), slave.bus)

        counters = {"total": Signal(32, name="cycles_total")}
        counters |= {name: Signal(32, name=f"cycles_{name}") for name in CAUSES}
        with m.If(self.reset):
            m.d.sync += [counter.eq(0) for counter in counters.values()]
        with m.Elif(self.counting):
            m.d.sync += counters["total"].eq(counters["total"] + 1)
            m.d.sync += [counters[name].eq(counters[name] + getattr(self.causes, name)) for name in CAUSES]

        topology_low, topology_high, irq = Signal(32), Signal(32), Signal()
        start = Signal()
        control, status = regmap.register("control"), regmap.register("status")
        m.d.sync += [self.reset.eq(0), start.eq(0), self.start.eq(start)]
        m.d.comb += self.irq.eq(irq & (self.done | self.error))

        status_word = Signal(32)
        for f in status.fields:
            m.d.comb += status_word[f.low : f.low + f.width].eq(getattr(self, f.name))
        values: dict[str, object] = {
            "id": regmap.ID,
            "version": regmap.VERSION,
            "control": irq << control.bits("irq").low,
            "status": status_word,
            "topology_low": topology_low,
            "topology_high": topology_high,
            "scores": self.scores,
            **regmap.parameter_values(self._parameters),
            **{f"cycles_{name}": counter for name, counter in counters.items()},
        }
        m.d.comb += slave.read_response.eq(Response.DECERR)
        with m.Switch(slave.read_word):
            for r in regmap.REGISTERS:
                with m.Case(r.offset // 4):
                    m.d.comb += [slave.read_data.eq(values[r.name]), slave.read_response.eq(Response.OKAY)]

        m.d.comb += slave.write_response.eq(Response.DECERR)
        window = Signal()
        first, behind = regmap.COMMANDS // 4, regmap.COMMANDS // 4 + self._parameters.command_words
        m.d.comb += [
            window.eq((slave.write_word >= first) & (slave.write_word < behind)),
            self.commands.address.eq(slave.write_word - first),
            self.commands.data.eq(slave.write_data),
            self.commands.enable.eq(slave.write & window & ~self.busy),
        ]
        with m.If(window):
            m.d.comb += slave.write_response.eq(Mux(self.busy, Response.SLVERR, Response.OKAY))
        with m.Switch(slave.write_word):
            for r in regmap.REGISTERS:
                with m.Case(r.offset // 4):
                    read_only = r.access is regmap.Access.READ
                    m.d.comb += slave.write_response.eq(Response.SLVERR if read_only else Response.OKAY)
                    if r is control:
                        with m.If(slave.write):
                            begin = slave.write_data[control.bits("start").low]
                            m.d.sync += [
                                irq.eq(slave.write_data[control.bits("irq").low]),
                                start.eq(begin),
                                self.reset.eq(begin | slave.write_data[control.bits("reset").low]),
                            ]
                    elif not read_only:
                        target = values[r.name]
                        assert isinstance(target, Signal)
                        with m.If(slave.write):
                            m.d.sync += target.eq(slave.write_data)
        return m
