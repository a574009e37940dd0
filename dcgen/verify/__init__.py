"""Proof that emitted firmware equals the golden model: on this computer and in emulators."""

from dcgen.verify.compare import Check, Mismatch, compare
from dcgen.verify.host_eval import host_scores
from dcgen.verify.verify import verify

__all__ = ["Check", "Mismatch", "compare", "host_scores", "verify"]
