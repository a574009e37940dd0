"""The engine with the port names of AXI, which its Verilog has."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from dcgen.hw.back.back_end import trace_signature
from dcgen.hw.common.axi_lite import AxiLite
from dcgen.hw.contract import regmap
from dcgen.hw.contract.parameters import EngineParameters
from dcgen.hw.engine import Engine
from dcgen.hw.sim.convert import to_verilog

TOP = "dcgen_engine"
"""Name of the Verilog module."""


class AxiStream(wiring.Signature):
    """AXI4-Stream, seen from the sender.

    Parameters
    ----------
    width : bits of ``tdata``
    last : whether there is a ``tlast``
    """

    def __init__(self, width: int, last: bool) -> None:
        members = {"tdata": Out(width), "tvalid": Out(1), "tready": In(1)}
        super().__init__(members | ({"tlast": Out(1)} if last else {}))


class AxiEngine(wiring.Component):
    """``Engine`` behind AXI4-Lite and AXI4-Stream, without a cycle more; the same latency and back-pressure.

    Parameters
    ----------
    parameters : sizes of the engine

    Members
    -------
    s_axil : In(AxiLite), the engine's ``bus``
    s_axis_blob : In(AxiStream(32)), its ``blob``, with ``tlast``
    s_axis_picture : In(AxiStream(8 * picture_bytes)), its ``picture``; ``tlast`` is ignored
    m_axis_scores : Out(AxiStream(32)), its ``scores``, with ``tlast``
    irq : Out(1), its ``irq``
    trace : Out(trace_signature), its ``trace``
    """

    def __init__(self, parameters: EngineParameters) -> None:
        self.engine = Engine(parameters)
        super().__init__(
            {
                "s_axil": In(AxiLite(regmap.ADDRESS_BITS)),
                "s_axis_blob": In(AxiStream(32, last=True)),
                "s_axis_picture": In(AxiStream(8 * parameters.picture_bytes, last=True)),
                "m_axis_scores": Out(AxiStream(32, last=True)),
                "irq": Out(1),
                "trace": Out(trace_signature(parameters)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.engine = engine = self.engine
        wiring.connect(m, wiring.flipped(self.s_axil), engine.bus)
        wiring.connect(m, engine.trace, wiring.flipped(self.trace))
        m.d.comb += [
            self.irq.eq(engine.irq),
            engine.blob.p.data.eq(self.s_axis_blob.tdata),
            engine.blob.p.last.eq(self.s_axis_blob.tlast),
            engine.blob.valid.eq(self.s_axis_blob.tvalid),
            self.s_axis_blob.tready.eq(engine.blob.ready),
            engine.picture.p.data.eq(self.s_axis_picture.tdata),
            engine.picture.valid.eq(self.s_axis_picture.tvalid),
            self.s_axis_picture.tready.eq(engine.picture.ready),
            self.m_axis_scores.tdata.eq(engine.scores.p.data),
            self.m_axis_scores.tlast.eq(engine.scores.p.last),
            self.m_axis_scores.tvalid.eq(engine.scores.valid),
            engine.scores.ready.eq(self.m_axis_scores.tready),
        ]
        return m


def verilog(parameters: EngineParameters) -> str:
    """The engine's Verilog: a module ``TOP`` with ports ``s_axil_awaddr`` and so on."""
    engine = AxiEngine(parameters)
    ports = {"_".join(map(str, path)): (value, None) for path, _, value in engine.signature.flatten(engine)}
    return to_verilog(engine, TOP, ports)
