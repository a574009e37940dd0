"""The files of a member of the zoo, written once and read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.zoo.members import Member
from dcgen.pictures import Preprocess


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples: pictures uint8 [N, H, W, C], and classes int64 [N] or values float32 [N, O]."""

    pictures: NDArray[np.uint8]
    targets: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Network:
    """One trained network of the zoo, and the samples that dcgen is judged on with it.

    kind : what its outputs are
    binary : it has one output, which is positive for yes
    model : its ONNX file
    calibration, test : samples of which none served training, and none is in both
    meta : contents of ``meta.json``
    """

    name: str
    kind: Literal["classes", "values"]
    binary: bool
    model: Path
    preprocess: Preprocess
    calibration: Labelled
    test: Labelled
    meta: dict[str, Any]


def preprocess(member: Member, size: int) -> Preprocess:
    """The preprocessing of its pictures; ``size`` is their longer side in pixels."""
    channels = 1 if member.order == "grey" else 3
    mean, std = (member.mean,) * channels, (member.std,) * channels
    return Preprocess("explicit", member.order, mean, std, "squash", size, size)


def sources() -> dict[str, bytes]:
    """The modules that decide what a member becomes, by name."""
    return {name: Path(__file__).with_name(name).read_bytes() for name in ("nets.py", "tasks.py", "train.py")}


def recipe(member: Member) -> str:
    """Digest of all that decides what the member becomes, but for the release of PyTorch and the processor."""
    digest = hashlib.sha256(repr(member).encode())
    for data in sources().values():
        digest.update(data)
    return digest.hexdigest()[:16]


def open_network(member: Member, folder: Path) -> Network:
    """The member's network, from ``folder``; trained and written there if it is not there yet.

    The folder has ``model.onnx``, ``cal.npz`` and ``test.npz`` (``x`` uint8 [N, H, W, C], ``y`` targets), and
    ``meta.json``, which is written last.
    """
    meta = folder / "meta.json"
    if not meta.exists() or json.loads(meta.read_text(encoding="utf-8"))["recipe"] != recipe(member):
        from benchmarks.zoo.train import trained

        folder.mkdir(parents=True, exist_ok=True)
        meta.unlink(missing_ok=True)
        made = trained(member, folder / "model.onnx")
        for name, (x, y) in (("cal", made.calibration), ("test", made.test)):
            np.savez_compressed(folder / f"{name}.npz", x=x, y=y)
        meta.write_text(json.dumps(_meta(member, made.test[0].shape[1:], made.about), indent=1) + "\n", "utf-8")
    found = json.loads(meta.read_text(encoding="utf-8"))
    calibration, test = (_read(folder / f"{name}.npz") for name in ("cal", "test"))
    how = preprocess(member, max(found["input"][:2]))
    return Network(
        member.name, found["kind"], found["binary"], folder / "model.onnx", how, calibration, test, found
    )


def _meta(member: Member, shape: tuple[int, ...], about: dict[str, Any]) -> dict[str, Any]:
    how = preprocess(member, max(shape[:2]))
    return {
        "name": member.name,
        "kind": "classes" if member.kind == "classes" else "values",
        "binary": member.kind == "logit",
        "input": list(shape),
        "order": how.order,
        "mean": list(how.mean),
        "std": list(how.std),
        "seed": member.seed,
        "opset": member.opset,
        **about,
        "recipe": recipe(member),
    }


def _read(path: Path) -> Labelled:
    with np.load(path) as arrays:
        return Labelled(arrays["x"], arrays["y"])
