"""Primitives of the Lattice ECP5, with the components that wrap them.

``MULT18X18D_MODEL`` is a Verilog model of the primitive, of just the mode used here, so that the wrapped
version can be simulated by the tests of the portable one.
"""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

REGISTERED = {"REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK0", "REG_OUTPUT_CLK": "CLK0"}
UNREGISTERED = ["REG_INPUTC_CLK", "REG_PIPELINE_CLK"]


class Multiplier18(wiring.Component):
    """Signed 18 x 18 bits in one MULT18X18D, its input and output registers used: two cycles deep.

    The registers are neither reset nor stopped.
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
    return f"    {direction} wire " + ", ".join(f"{name}{number}" for number in range(count))


def _joined(name: str, count: int) -> str:
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
