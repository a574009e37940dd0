"""Runs inside NNCodec's own environment, started by ``nncodec``: ``python nncodec_worker.py JOB.json``.

For each variant and target size, the quantizer step is bisected for the smallest stream that is not smaller than
the target, so that NNCodec never has fewer bytes to work with. The worker writes the weights that NNCodec's
decoder gives back. A lossless job codes integers as they are, by the arithmetic coder alone.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nncodec import nnc

job = json.loads(Path(sys.argv[1]).read_text())
folder = Path(job["folder"])
with np.load(folder / "parameters.npz") as archive:
    parameters = {name: archive[name] for name in archive.files}


class Variant:
    """The streams of one set of settings by quantizer step, each coded once."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._streams: dict[int, bytearray] = {}

    def stream(self, qp: int) -> bytearray:
        if qp not in self._streams:
            stream = nnc.compress(dict(parameters), None, qp=qp, return_bitstream=True, **self._settings)
            self._streams[qp] = bytearray(stream)
        return self._streams[qp]

    def smallest_from(self, target: int) -> int | None:
        """The coarsest quantizer step whose stream has at least ``target`` bytes; None where no step's has."""
        coarse, fine = int(job["coarsest_qp"]), int(job["finest_qp"])
        if len(self.stream(fine)) < target:
            return None
        for qp, known in self._streams.items():
            if len(known) >= target:
                fine = max(fine, qp)
            else:
                coarse = min(coarse, qp)
        while coarse - fine > 1:
            middle = (coarse + fine) // 2
            if len(self.stream(middle)) >= target:
                fine = middle
            else:
                coarse = middle
        return fine


points: list[dict[str, Any]] = []
for named in job["variants"]:
    variant = Variant(named["settings"])
    for target in job["targets"]:
        qp = variant.smallest_from(target)
        if qp is None:
            continue
        stream = variant.stream(qp)
        file = folder / f"decoded{len(points)}.npz"
        np.savez(file, **nnc.decompress(stream))
        points.append({"variant": named["name"], "qp": qp, "bytes": len(stream), "file": str(file)})
result: dict[str, Any] = {"points": points}
if job["lossless"]:
    stream = nnc.compress(dict(parameters), None, use_dq=False, param_opt=True, return_bitstream=True)
    decoded = nnc.decompress(stream)
    assert all(np.array_equal(decoded[name], parameters[name]) for name in parameters), "not lossless"
    result["bytes"] = len(stream)
result["versions"] = {name: version(name) for name in ("nncodec", "numpy", "torch")}
(folder / "result.json").write_text(json.dumps(result))
