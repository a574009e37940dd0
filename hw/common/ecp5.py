"""The multiplier of the Lattice ECP5, wrapped in a component, and a Verilog model of it for simulation."""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

REGISTERED = {"REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK0", "REG_OUTPUT_CLK": "CLK0"}
"""Registers of the MULT18X18D that are used, with their clock."""
UNREGISTERED = ["REG_INPUTC_CLK", "REG_PIPELINE_CLK"]
"""Registers of the MULT18X18D that are bypassed."""


class Multiplier18(wiring.Component):
    """Multiplies signed numbers in one MULT18X18D.

    Members
    -------
    a, b : In(signed(18)), the factors
    product : Out(signed(36)), their product

    Latency: two cycles, by the primitive's input and output registers, which are not reset.

    Back-pressure: none, a product a cycle.
    """

    def __init__(self) -> None:
        super().__init__({"a": In(signed(18)), "b": In(signed(18)), "product": Out(signed(36))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parameters = {f"p_{name}": value for name, value in REGISTERED.items()}
        parameters |= {f"p_{name}": "NONE" for name in UNREGISTERED}
        ports: dict[str, object] = {}
        product = [Signal(name=f"p_{number}") for number in range(36)]
        for number in range(18):
            ports[f"i_A{number}"] = self.a[number]
            ports[f"i_B{number}"] = self.b[number]
            ports[f"i_C{number}"] = Const(0, 1)
        for number in range(36):
            ports[f"o_P{number}"] = product[number]
            m.d.comb += self.product[number].eq(product[number])
        for number in range(4):
            ports[f"i_CLK{number}"] = ClockSignal() if number == 0 else Const(0, 1)
            ports[f"i_CE{number}"] = Const(1, 1)
            ports[f"i_RST{number}"] = Const(0, 1)
        m.submodules.mult = Instance(
            "MULT18X18D",
            **parameters,
            i_SIGNEDA=Const(1, 1),
            i_SIGNEDB=Const(1, 1),
            i_SOURCEA=Const(0, 1),
            i_SOURCEB=Const(0, 1),
            **ports,
        )
        return m


def _model_port(direction: str, name: str, count: int) -> str:
    """Declaration of ``count`` one-bit ports: ``name``0, ``name``1 and so on."""
    return f"    {direction} wire " + ", ".join(f"{name}{number}" for number in range(count))


def _joined(name: str, count: int) -> str:
    """Those ports as one vector, number 0 lowest."""
    return "{" + ", ".join(f"{name}{number}" for number in reversed(range(count))) + "}"


MULT18X18D_MODEL = "\n".join(
    [
        "module MULT18X18D(",
        ",\n".join(
            [
                _model_port("input", "A", 18),
                _model_port("input", "B", 18),
                _model_port("input", "C", 18),
                _model_port("input", "CLK", 4),
                _model_port("input", "CE", 4),
                _model_port("input", "RST", 4),
                "    input wire SIGNEDA, SIGNEDB, SOURCEA, SOURCEB",
                _model_port("output", "P", 36),
            ]
        ),
        ");",
        *[f'    parameter {name} = "NONE";' for name in [*REGISTERED, *UNREGISTERED]],
        "    reg signed [17:0] a = 0, b = 0;",
        "    reg signed [35:0] p = 0;",
        "    always @(posedge CLK0) begin",
        f"        a <= {_joined('A', 18)};",
        f"        b <= {_joined('B', 18)};",
        "        p <= a * b;",
        "    end",
        f"    assign {_joined('P', 36)} = p;",
        '    initial if (!SIGNEDA || !SIGNEDB) $error("only the signed mode is modelled");',
        "endmodule",
        "",
    ]
)
"""Verilog model of the primitive in the one mode that is used here, for simulation."""
