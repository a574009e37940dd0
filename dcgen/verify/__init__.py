"""Proves that emitted firmware and gateware equal the golden model: on the host, in emulators, in simulation."""

from dcgen.verify.compare import Check, CycleCount, Mismatch, compare
from dcgen.verify.host_eval import host_scores
from dcgen.verify.rtl import verify_rtl
from dcgen.verify.verify import verify

__all__ = ["Check", "CycleCount", "Mismatch", "compare", "host_scores", "verify", "verify_rtl"]
