"""Machines that firmware is generated for, and engines that gateware is."""

from dcgen.targets.engines import CHECK_NAME, ENGINES, ULX3S_85F, EngineTarget
from dcgen.targets.targets import DEFAULT_TARGET, HOST, TARGETS, Emulator, Extension, Target, find, find_check

__all__ = [
    "CHECK_NAME",
    "DEFAULT_TARGET",
    "ENGINES",
    "HOST",
    "TARGETS",
    "ULX3S_85F",
    "Emulator",
    "EngineTarget",
    "Extension",
    "Target",
    "find",
    "find_check",
]
