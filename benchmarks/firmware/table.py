"""The report of a benchmark, as JSON for programs and as tables in Markdown for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.firmware.cmsis_nn import Peer
from benchmarks.firmware.measure import Measurement


@dataclass(frozen=True)
class Report:
    """Everything that was measured of one network.

    size : height and width of its input
    density : share of weights that are not zero
    macs : multiply-accumulates of each convolution by name, zero weights included
    peers : what CMSIS-NN takes, by target; empty if it was not asked for
    host_seconds, float_seconds : seconds that a picture takes on one core of this computer, with the emitted C and
        with the float network in onnxruntime; None if not asked for
    """

    name: str
    size: tuple[int, int]
    blob_bytes: int
    density: float
    macs: Mapping[str, int]
    machines: Sequence[Measurement]
    peers: Mapping[str, Peer]
    host_seconds: float | None = None
    float_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "input": list(self.size),
            "blob_bytes": self.blob_bytes,
            "density": self.density,
            "macs": dict(self.macs),
            "machines": {m.target: m.to_json() | self._against_peer(m) for m in self.machines},
            "host_seconds": self.host_seconds,
            "float_seconds": self.float_seconds,
        }

    def _against_peer(self, m: Measurement) -> dict[str, Any]:
        total = sum(self.macs.values())
        found = {"instructions_per_mac": m.instructions / total} | _estimate(m)
        if (peer := self.peers.get(m.target)) is not None:
            theirs = {"version": peer.version, "instructions": peer.instructions, "layers": dict(peer.layers)}
            theirs |= _estimate(peer) | {"ratio": peer.instructions / m.instructions}
            if "cycles_estimated" in theirs:
                theirs["ratio_cycles"] = theirs["cycles_estimated"] / found["cycles_estimated"]
            found["cmsis_nn"] = theirs
        return found

    def markdown(self) -> str:
        """Tables of the whole network, of cycles where they are estimated, and of every layer on each machine."""
        h, w = self.size
        title = f"{self.name}, {h}x{w}, {100 * self.density:.1f} % of weights not zero, {self.blob_bytes:,} bytes"
        parts = [title, self._network()]
        parts += [self._cycles(m) for m in self.machines if m.vector_instructions is not None]
        parts += [self._layers(m) for m in self.machines]
        for what, seconds in (
            ("The emitted C", self.host_seconds),
            ("The float network at its own size in onnxruntime", self.float_seconds),
        ):
            if seconds is not None:
                parts.append(f"{what}, one core of this computer: {1000 * seconds:.1f} ms a picture")
        return "\n\n".join(parts)

    def _network(self) -> str:
        counts = ("machine", "instructions", "a dense MAC", "dcg_init alone")
        rows: list[tuple[str, ...]] = [(*counts, "flash", "RAM", "arena", "stack", "CMSIS-NN ÷ dcgen")]
        for m in self.machines:
            found = self._against_peer(m)
            ratio = f"{found['cmsis_nn']['ratio']:.2f}" if "cmsis_nn" in found else ""
            per_mac = f"{found['instructions_per_mac']:.3f}"
            memory = (f"{b:,}" for b in (m.flash_bytes, m.ram_bytes, m.arena_bytes, m.stack_bytes))
            rows.append((m.target, f"{m.instructions:,}", per_mac, f"{m.init:,}", *memory, ratio))
        return _markdown(rows)

    def _cycles(self, m: Measurement) -> str:
        rows = [(m.target, "instructions", "of them vector", "cycles, estimated", "a dense MAC", "÷ dcgen")]
        for name, counted in (("dcgen", m), ("CMSIS-NN's convolutions", self.peers.get(m.target))):
            if counted is not None:
                vectors, cycles = _estimate(counted).values()
                shares = cycles / sum(self.macs.values()), cycles / _estimate(m)["cycles_estimated"]
                counts = (f"{n:,}" for n in (counted.instructions, vectors, cycles))
                rows.append((name, *counts, f"{shares[0]:.3f}", f"{shares[1]:.2f}"))
        return _markdown(rows)

    def _layers(self, m: Measurement) -> str:
        peer = self.peers.get(m.target)
        rows: list[tuple[str, ...]] = [(m.target, "instructions", "dense MACs", "a dense MAC")]
        if peer:
            rows[0] += ("CMSIS-NN", "CMSIS-NN ÷ dcgen")
        for name, count in m.layers.items():
            macs = self.macs.get(name)
            row = (name, f"{count:,}", f"{macs:,}" if macs else "", f"{count / macs:.3f}" if macs else "")
            if peer:
                theirs = peer.layers.get(name)
                row += (f"{theirs:,}", f"{theirs / count:.2f}") if theirs else ("", "")
            rows.append(row)
        return _markdown(rows)


def _estimate(counted: Measurement | Peer) -> dict[str, Any]:
    """The estimate of cycles for a machine with vector instructions: each takes two cycles, any other one."""
    if (vectors := counted.vector_instructions) is None:
        return {}
    return {"vector_instructions": vectors, "cycles_estimated": counted.instructions + vectors}


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    ruled = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled)
