"""Runs inside NNCodec's own environment: ``python nncodec_worker.py JOB.json`` (see ``nncodec.Codec``).

For each target size the step of one variant is bisected until its stream is the smallest that is
not below the target, so that the rival never has fewer bytes. What is written are the weights that
NNCodec's decoder gives back.
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
with np.load(folder / "weights.npz") as archive:
    parameters = {name: archive[name].astype(np.float32) for name in archive.files}


def encode(qp: int, settings: dict[str, Any]) -> bytearray:
    return bytearray(nnc.compress(dict(parameters), bitstream_path=None, return_bitstream=True, qp=qp, **settings))


def smallest_from(target: int, settings: dict[str, Any]) -> tuple[int, bytearray] | None:
    """The coarsest step whose stream has at least ``target`` bytes; None where none has."""
    coarse, fine = job["coarsest_qp"], job["finest_qp"]
    best = fine, encode(fine, settings)
    if len(best[1]) < target:
        return None
    while coarse - fine > 1:
        middle = (coarse + fine) // 2
        stream = encode(middle, settings)
        if len(stream) >= target:
            fine, best = middle, (middle, stream)
        else:
            coarse = middle
    return best


points: list[dict[str, Any]] = []
for variant in job["variants"]:
    for target in job["targets"]:
        found = smallest_from(target, variant["settings"])
        if found is None:
            continue
        qp, stream = found
        file = folder / f"decoded{len(points)}.npz"
        np.savez(file, **nnc.decompress(stream))
        point = {"variant": variant["name"], "target": target, "qp": qp, "bytes": len(stream), "file": str(file)}
        points.append(point)
versions = {name: version(name) for name in ("nncodec", "numpy", "torch")}
(folder / "result.json").write_text(json.dumps({"versions": versions, "points": points}))
