"""Small networks by dcgen's default and by onnxruntime's 8-bit quantizer, in one table.

    python -m benchmarks.small [--only NAME]... [--hidden] [--labels] [--networks FOLDER] OUT

The networks of ``benchmarks.zoo`` are trained into OUT/networks, or read from FOLDER where they are there already.
OUT/small.md is the table, OUT/small.json has the same figures. A network that OUT has figures of is not compiled
again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.rivals.onnxruntime_int8 import quantize
from benchmarks.zoo.members import HIDDEN, MEMBERS
from benchmarks.zoo.network import Network, open_network
from dcgen.fidelity import agreement
from dcgen.importers import load
from dcgen.intervals import Interval, mean_intervals
from dcgen.metric import relative_errors
from dcgen.output import open_output
from dcgen.quant.execute import execute

FIXED_BYTES, BYTES_A_PARAMETER = 1000, 0.65
"""A file may have so many bytes, and so many for each parameter."""
MOST_LOST, LEAST_AGREEMENT, MOST_ERROR = 0.01, 0.97, 0.1
"""With classes: share of the samples by which accuracy may fall, and on which the first class stays. With values:
largest relative error."""
LEAST_SAMPLES = 1000
"""So many test samples are needed to judge an accuracy."""


@dataclass(frozen=True)
class Figures:
    """A compressed network against the float network, on n test samples.

    float_, compressed : shares of right answers; None where outputs are values
    change, change_interval : ``compressed`` minus ``float_``, and its 95 % interval
    agreement, agreement_interval : share of the samples with the same first class; None without classes
    relative_error : of each output, as ``dcgen.metric`` defines it
    """

    n: int
    relative_error: list[float]
    float_: float | None = None
    compressed: float | None = None
    change: float | None = None
    change_interval: Interval | None = None
    agreement: float | None = None
    agreement_interval: Interval | None = None


@dataclass(frozen=True)
class Row:
    """What is known of one network.

    parameters : weights and biases of the float network, BatchNorm folded
    bytes, figures : of dcgen's file by the default; None where it refused
    refusal : the message of ``dcgen compile`` where it failed
    seconds : of processor time that ``dcgen compile`` took
    rival_bytes, rival_figures : of onnxruntime's int8 network: its weights, biases, scales and zero points
    """

    name: str
    kind: str
    parameters: int
    bytes: int | None
    figures: Figures | None
    seconds: float
    rival_bytes: int
    rival_figures: Figures
    refusal: str = ""

    @property
    def limit(self) -> float:
        """Most bytes that the file may have."""
        return FIXED_BYTES + BYTES_A_PARAMETER * self.parameters

    def misses(self) -> list[str]:
        """The bars that dcgen's network does not reach, each with its figure."""
        f, found = self.figures, []
        if f is None or self.bytes is None:
            return [self.refusal]
        if self.bytes > self.limit:
            found.append(f"{self.bytes:,} bytes, more than {self.limit:,.0f}")
        if f.n < LEAST_SAMPLES:
            found.append(f"{f.n} samples, fewer than {LEAST_SAMPLES}")
        if self.kind == "values":
            if (worst := max(f.relative_error)) > MOST_ERROR:
                found.append(f"relative error {worst:.3f}, more than {MOST_ERROR}")
            return found
        assert f.change is not None and f.agreement is not None
        if f.change < -MOST_LOST:
            found.append(f"{-100 * f.change:.2f} points lost, more than {100 * MOST_LOST:g}")
        if f.agreement < LEAST_AGREEMENT:
            found.append(f"agreement {100 * f.agreement:.1f} %, less than {100 * LEAST_AGREEMENT:g} %")
        return found


def judged(network: Network, reference: NDArray[np.float32], found: NDArray[Any]) -> Figures:
    """The outputs ``found`` for the network's test samples against the float network's, [N, S] each."""
    errors = [float(e) for e in relative_errors(reference, found)]
    targets = network.test.targets
    if network.binary:
        before, after = ((scores[:, 0] > 0) == (targets[:, 0] > 0.5) for scores in (reference, found))
        (interval,) = mean_intervals((after.astype(np.float64) - before)[:, None])
        change = float(after.mean() - before.mean())
        return Figures(len(found), errors, float(before.mean()), float(after.mean()), change, interval)
    if network.kind == "values":
        return Figures(len(found), errors)
    a = agreement(reference, found, found, targets)
    assert a.float_ is not None and a.compressed is not None and a.top1_change is not None
    tops = a.float_.top1, a.compressed.top1, a.top1_change.value, a.top1_change.interval
    return Figures(len(found), errors, *tops, a.agreement, a.agreement_interval)


def measured(network: Network, out: Path, with_labels: bool = False) -> Row:
    """Compile ``network`` by the default and quantize it with onnxruntime, both in the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    samples = network.preprocess.normalise(network.test.pictures)
    reference = _outputs(network.model, samples)
    refusal, seconds = _compile(network, out, with_labels)
    size, figures = None, None
    if not refusal:
        output = open_output(out / "dcgen")
        size = (out / "dcgen" / "model.dcb").stat().st_size
        scores = execute(output.qgraph, network.test.pictures) * output.qgraph.score_scale
        figures = judged(network, reference, scores if output.units is None else scores * output.units)
    rival = out / "int8.onnx"
    rival_bytes = quantize(network.model, network.preprocess.normalise(network.calibration.pictures), rival)
    parameters = sum(op.weight.values.size + op.bias.size for _, op in load(str(network.model)).graph.convs())
    rival_figures = judged(network, reference, _outputs(rival, samples))
    return Row(network.name, network.kind, parameters, size, figures, seconds, rival_bytes, rival_figures, refusal)


def _outputs(model: Path, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first output of an ONNX file for all samples: float32 [N, S].

    Every node is computed as it stands. With its optimizations, onnxruntime computes an int8 network by
    instructions whose 16-bit sums saturate on processors without VNNI, which costs up to 28 points of accuracy.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (tensor,) = session.get_inputs()
    batches = (samples[start : start + 100] for start in range(0, len(samples), 100))
    return np.concatenate([session.run(None, {tensor.name: b})[0].reshape(len(b), -1) for b in batches])


def _compile(network: Network, out: Path, with_labels: bool) -> tuple[str, float]:
    """Run ``dcgen compile`` into ``out``/dcgen.

    Returns the last line of its message where it failed, and the seconds of processor time that it took.
    """
    calibration = {"x": network.calibration.pictures}
    if with_labels and network.kind == "classes":
        calibration["y"] = network.calibration.targets
    np.savez(out / "calibration.npz", **calibration)
    p = network.preprocess
    preprocessing = ["--mean", _listed(p.mean), "--std", _listed(p.std), "--order", p.order]
    command = ["compile", str(network.model), "-o", str(out / "dcgen"), "--outputs", network.kind]
    command += ["--calibration", str(out / "calibration.npz"), *preprocessing]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "dcgen", *command, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "500"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    last = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
    return (last if done.returncode else ""), seconds


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{v:g}" for v in values)


HEAD = (
    "network", "parameters", "most bytes", "bytes", "a parameter", "float", "dcgen", "change, points", "agreement",
    "relative error", "seconds", "int8 bytes", "int8 change", "int8 agreement", "int8 relative error", "missed",
)  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown; ``int8`` is onnxruntime's network."""
    lines = [HEAD, ("---",) * len(HEAD)]
    for r in rows:
        f, rival = r.figures, r.rival_figures
        size = ("", "") if r.bytes is None else (f"{r.bytes:,}", f"{r.bytes / r.parameters:.2f}")
        before, after = ("", "") if f is None else (_share(f.float_), _share(f.compressed))
        lines.append((
            r.name, f"{r.parameters:,}", f"{r.limit:,.0f}", *size, before, after, *_fidelity(r.kind, f),
            f"{r.seconds:.0f}", f"{r.rival_bytes:,}", *_fidelity(r.kind, rival), "; ".join(r.misses()),
        ))  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _fidelity(kind: str, f: Figures | None) -> tuple[str, str, str]:
    """Change, agreement and relative error as the table has them, empty where they do not apply."""
    if f is None:
        return "", "", ""
    change = ""
    if f.change is not None and f.change_interval is not None:
        low, high = f.change_interval
        change = f"{100 * f.change:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}], n {f.n:,}"
    return change, _share(f.agreement), f"{max(f.relative_error):.3f}" if kind == "values" else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small", description=__doc__.split("\n\n")[0])
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to write")
    parser.add_argument("--only", metavar="NAME", action="append", help="this network alone; repeats")
    parser.add_argument("--hidden", action="store_true", help="the ten networks that only judge")
    parser.add_argument("--labels", action="store_true", help="give dcgen the labels of the calibration samples")
    parser.add_argument("--networks", metavar="FOLDER", type=Path, help="what python -m benchmarks.zoo wrote")
    arguments = parser.parse_args()
    rows = []
    for member in HIDDEN if arguments.hidden else MEMBERS:
        if arguments.only is not None and member.name not in arguments.only:
            continue
        out = arguments.out / member.name
        figures = out / "figures.json"
        if not figures.exists():
            print(f"measuring {member.name}", file=sys.stderr, flush=True)
            network = open_network(member, (arguments.networks or arguments.out / "networks") / member.name)
            row = measured(network, out, arguments.labels)
            figures.write_text(json.dumps(asdict(row)), encoding="utf-8")
        found = json.loads(figures.read_text(encoding="utf-8"))
        both = {key: Figures(**found.pop(key)) for key in ("figures", "rival_figures") if found[key]}
        rows.append(Row(**found, **both))
    (arguments.out / "small.json").write_text(
        json.dumps([asdict(r) for r in rows], indent=1) + "\n", encoding="utf-8"
    )
    (arguments.out / "small.md").write_text(table(rows) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
