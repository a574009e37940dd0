"""Runs NNCodec, Fraunhofer HHI's coder of ISO/IEC 15938-17, in a virtual environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dcgen.errors import ToolError
from dcgen.ir.graph import F32, Graph, Weight

REQUIREMENT = "nncodec==2.1.3"
WORKER = Path(__file__).with_name("nncodec_worker.py")
INSTALL_TORCH = Path(__file__).resolve().parents[2] / "scripts" / "install_torch.py"
QP_DENSITY = 4
"""2**QP_DENSITY quantizer steps make a factor of two, which is fine enough to meet a size within about 3 %."""
COMMON = {
    "use_dq": True,  # dependent (trellis-coded) quantization with 8 states
    "param_opt": True,  # optimisation of the arithmetic coder's context parameters
    "row_skipping": True,
    "qp_density": QP_DENSITY,
    "nonweight_qp": -10 * 2**QP_DENSITY,  # biases in steps of 2**-10: the default's 2**-19 costs 1.4 % more bytes
}


@dataclass(frozen=True)
class Variant:
    """A choice of settings: arguments of ``nncodec.nnc.compress``."""

    name: str
    settings: Mapping[str, Any]


VARIANTS = (
    Variant("dq, param_opt", COMMON),
    Variant("dq, param_opt, lambda 1", {**COMMON, "lambda_scale": 1.0}),
    Variant("dq, param_opt, lambda 4", {**COMMON, "lambda_scale": 4.0}),
)


@dataclass(frozen=True, eq=False)
class Point:
    """One stream of NNCodec.

    variant : name of its settings
    qp : the quantizer step is 2**(qp / 2**QP_DENSITY)
    bytes : of the stream
    weights, biases : what it decodes to, by Conv node
    """

    variant: str
    qp: int
    bytes: int
    weights: dict[str, Weight]
    biases: dict[str, F32]


def install(environment: Path) -> Path:
    """The Python interpreter of ``environment``, which is made, and NNCodec installed in it, where that is
    needed."""
    python = environment / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(environment)])
    if subprocess.run([str(python), "-c", "import nncodec"], capture_output=True).returncode != 0:
        _run([str(python), str(INSTALL_TORCH)])
        _run([str(python), "-m", "pip", "install", "--quiet", REQUIREMENT])
    return python


def encode(
    graph: Graph, targets: Sequence[int], python: Path, folder: Path, variants: Sequence[Variant] = VARIANTS
) -> tuple[dict[str, str], list[Point]]:
    """The versions in use, and for each variant and target size the smallest stream that is not smaller.

    graph : float network; its convolutions' weights and biases are coded
    targets : sizes in bytes
    python : interpreter of NNCodec's environment
    folder : an empty one, for files that pass between the two environments
    """
    names = [node.name for node, _ in graph.convs()]
    arrays: dict[str, NDArray[Any]] = {}
    for i, (_, conv) in enumerate(graph.convs()):
        arrays[f"w{i}"], arrays[f"b{i}"] = conv.weight.values, conv.bias
    steps = {"coarsest_qp": -1 * 2**QP_DENSITY, "finest_qp": -12 * 2**QP_DENSITY}
    result = _work(python, folder, arrays, variants=[asdict(v) for v in variants], targets=list(targets), **steps)
    points = []
    for found in result["points"]:
        with np.load(found["file"]) as decoded:
            weights = {n: Weight(decoded[f"w{i}"]) for i, n in enumerate(names)}
            biases = {n: decoded[f"b{i}"] for i, n in enumerate(names)}
        points.append(Point(found["variant"], found["qp"], found["bytes"], weights, biases))
    return result["versions"], points


def coded_integers(arrays: Sequence[NDArray[np.int32]], python: Path, folder: Path) -> int:
    """Bytes that NNCodec's context-adaptive arithmetic coder takes for integers. It is checked that they come
    back.

    Raises ToolError where they do not.
    """
    found = _work(python, folder, {f"w{i}": a for i, a in enumerate(arrays)}, lossless=True)
    return int(found["bytes"])


def _work(python: Path, folder: Path, arrays: Mapping[str, NDArray[Any]], **job: Any) -> dict[str, Any]:
    """Have the worker do ``job`` on ``arrays``, and return what it found."""
    np.savez(folder / "parameters.npz", **arrays)  # type: ignore[arg-type]
    (folder / "job.json").write_text(json.dumps({"folder": str(folder), "variants": [], "lossless": False, **job}))
    # -P keeps the worker's folder off the path: this very module would be imported in place of NNCodec.
    _run([str(python), "-P", str(WORKER), str(folder / "job.json")])
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolError(Path(command[0]).name, (done.stderr.strip() or "failed").splitlines()[-1])
