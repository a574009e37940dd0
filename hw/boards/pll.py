"""The ECP5's PLL: settings for a wanted clock, and the block that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from amaranth import ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.hdl import Elaboratable
from amaranth.lib.cdc import ResetSynchronizer

VCO_MHZ = (400, 800)
"""Least and greatest frequency of the PLL's oscillator."""
PHASE_DETECTOR_MHZ = (3.125, 400)
"""Least and greatest frequency at its phase detector."""


@dataclass(frozen=True)
class PllSettings:
    """Dividers of the PLL.

    The output's frequency is input / ``input_divider`` * ``feedback_divider``; the oscillator's is
    ``output_divider`` times the output's.
    """

    input_divider: int
    feedback_divider: int
    output_divider: int


def find_settings(input_mhz: float, output_mhz: float) -> PllSettings:
    """Settings that make exactly ``output_mhz`` of ``input_mhz``.

    Of all such settings they are those of the least input divider, with the oscillator nearest the middle of its
    range. Raises ValueError where there are none.
    """
    middle = sum(VCO_MHZ) / 2
    found = list(_exact(input_mhz, output_mhz))
    if not found:
        raise ValueError(f"no PLL setting makes {output_mhz:g} MHz of {input_mhz:g} MHz")
    return min(found, key=lambda s: (s.input_divider, abs(output_mhz * s.output_divider - middle)))


def _exact(input_mhz: float, output_mhz: float) -> Iterator[PllSettings]:
    for divider in range(1, 129):
        detector = input_mhz / divider
        feedback = round(output_mhz / detector)
        if not PHASE_DETECTOR_MHZ[0] <= detector <= PHASE_DETECTOR_MHZ[1] or not 1 <= feedback <= 80:
            continue
        if abs(detector * feedback - output_mhz) > 1e-9 * output_mhz:
            continue
        for output in range(1, 129):
            if VCO_MHZ[0] <= output_mhz * output <= VCO_MHZ[1]:
                yield PllSettings(divider, feedback, output)


class Pll(Elaboratable):
    """Drives the clock of the domain ``sync``, and its reset until the PLL has locked.

    Parameters
    ----------
    clock : 1 bit, the board's clock
    input_mhz, output_mhz : its frequency, and that of ``sync``; ValueError where no settings give it
    """

    def __init__(self, clock: Value, input_mhz: float, output_mhz: float) -> None:
        self.clock = clock
        self.settings = find_settings(input_mhz, output_mhz)
        self.frequencies = (input_mhz, output_mhz)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        s = self.settings
        output, locked = Signal(), Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.frequencies[0]:g}",
            a_FREQUENCY_PIN_CLKOP=f"{self.frequencies[1]:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            **{f"p_{name}": "DISABLED" for name in ("PLLRST_ENA", "INTFB_WAKE", "STDBY_ENABLE", "DPHASE_SOURCE")},
            p_CLKI_DIV=s.input_divider,
            p_CLKFB_DIV=s.feedback_divider,
            p_CLKOP_DIV=s.output_divider,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=s.output_divider - 1,  # no phase shift
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=self.clock,
            i_CLKFB=output,
            **{f"i_{name}": Const(0) for name in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC")},
            **{f"i_{name}": Const(1) for name in ("PHASEDIR", "PHASESTEP", "PHASELOADREG")},
            i_ENCLKOP=Const(0),
            o_CLKOP=output,
            o_LOCK=locked,
        )
        m.d.comb += ClockSignal().eq(output)
        m.submodules.reset = ResetSynchronizer(~locked)
        return m
