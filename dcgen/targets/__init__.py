"""Machines that firmware is generated for."""

from dcgen.targets.targets import HOST, TARGETS, Emulator, Target, find, find_check

__all__ = ["HOST", "TARGETS", "Emulator", "Target", "find", "find_check"]
