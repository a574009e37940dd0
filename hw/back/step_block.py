"""What all blocks have that work on a step of the command list."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from dcgen.hw.common.record_reader import RECORD, step_field
from dcgen.hw.contract.parameters import EngineParameters


class StepBlock(wiring.Component):
    """A block that works on one step at a time.

    Parameters
    ----------
    parameters : sizes of the engine
    members : members that the block has besides these

    Members
    -------
    start : In(1), pulse that begins the step
    record : In(RECORD), the step's record
    """

    def __init__(self, parameters: EngineParameters, members: Mapping[str, wiring.Member]) -> None:
        self.parameters = parameters
        super().__init__({"start": In(1), "record": In(RECORD), **members})

    def field(self, name: str) -> Value:
        """Field ``name`` of the step's record."""
        return step_field(self.record, name)
