"""What the commands besides ``compile`` do, and how results are shown to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dcgen import pictures as host
from dcgen.command.console import print_table, print_warning
from dcgen.encode.reader import describe
from dcgen.errors import BlobError, ConfigError, PictureError
from dcgen.fidelity import Fidelity
from dcgen.frontier import Row
from dcgen.importers import load
from dcgen.intervals import CONFIDENCE
from dcgen.ir.graph import Graph, macs
from dcgen.ir.to_onnx import to_onnx
from dcgen.models.catalogue import find as find_model
from dcgen.output import Output, open_output
from dcgen.pipeline import compare
from dcgen.progress import Progress, counted
from dcgen.targets import CHECK_NAME, TARGETS, find_check
from dcgen.verify import Check, host_scores, verify, verify_rtl


@dataclass(frozen=True)
class Evaluation:
    """Fidelity on some pictures, and which pictures they were.

    pictures_sha256 : digest of all of them, in order
    overlap : how many of them served each purpose of calibration; None if the output does not list them
    """

    fidelity: Fidelity
    pictures_sha256: str
    overlap: dict[str, int] | None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.fidelity.to_json(),
            "pictures_sha256": self.pictures_sha256,
            "calibration_overlap": self.overlap,
        }


def run_checks(
    out: Path, on: Sequence[str], images: Path | None, count: int | None, progress: Progress
) -> tuple[Check, ...]:
    """Verify the output folder on the named machines (all of them if none is named)."""
    output = open_output(out)
    machines = tuple(dict.fromkeys(find_check(name) for name in on if name != CHECK_NAME))
    files = host.files(images or out / "golden")[:count]
    loaded = host.load_all(files, output.preprocess, output.size)

    def said(step: str) -> None:
        progress(step, 1, 1)

    checks: tuple[Check, ...] = ()
    if machines or not on:
        checks = verify(out, machines or TARGETS, loaded, output.qgraph, said)
    if CHECK_NAME in on:
        checks = (*checks, verify_rtl(out, loaded, output.qgraph, said))
    return checks


def evaluate(out: Path, images: Path, labels: Path | None, on: str, progress: Progress) -> Evaluation:
    """Fidelity, and with labels accuracy, on the labelled pictures (or on all of a folder)."""
    if on not in ("golden", "host"):
        raise ConfigError("--on", f"must be golden or host, not {on!r}")
    output = open_output(out)
    indices = None
    if labels is None:
        files = host.files(images)
    else:
        host.files(images)
        known = host.labels(labels)
        files = [images / name for name in known]
        indices = np.array(list(known.values()), np.int64)
        if indices.max() >= output.qgraph.n_scores:
            raise PictureError(labels, f"names class {indices.max()}, the network has {output.qgraph.n_scores}")
    pictures = host.load_all(files, output.preprocess, output.size)
    scores = None
    if on == "host":
        scores = host_scores(out, pictures, counted(progress, "running the emitted C", len(pictures)))
    found = compare(output.float_graph(), output.preprocess, output.qgraph, pictures, indices, progress, scores)
    return Evaluation(found, host.digest(pictures), _overlap(output, pictures))


def _overlap(output: Output, pictures: host.U8) -> dict[str, int] | None:
    if not output.calibrated_on:
        return None
    seen = host.digests(pictures)
    return {purpose: sum(s in hashes for s in seen) for purpose, hashes in output.calibrated_on.items()}


def show_frontier(rows: Sequence[Row], out: Path) -> None:
    """The points of a curve as a table."""
    headings = ("point", "bytes", "mean KL", "agreement", "density", "MACs", "instr.", "cycles")
    shown = [
        (
            *(Path(r.point).stem, r.blob_bytes, r.mean_kl, r.agreement, r.density),
            *(
                "" if count is None else f"{count / 1e6:.2f}"
                for count in (r.nonzero_macs, r.instructions, r.cycles)
            ),
        )
        for r in rows
    ]
    print_table("On held-out calibration pictures; non-zero MACs and work in millions", headings, shown)
    plotted = (out / "frontier.svg").exists()
    print(f"written to {out}" + ("" if plotted else ", without a plot: pip install 'dcgen[plot]' for one"))
    print(f"compile a point of this model with --point {out / rows[0].point}")


def export_model(name: str, weights: Path | None, size: int | None) -> bytes:
    """A named model as the bytes of an ONNX file."""
    find_model(name)
    return bytes(to_onnx(load(name, weights=weights, input_size=size).graph).SerializeToString())


def inspect(what: str, weights: Path | None) -> dict[str, Any]:
    """A description of an output folder (its manifest), a blob or a model."""
    path = Path(what)
    if weights is not None and (path.is_dir() or path.suffix == ".dcb"):
        raise ConfigError(path, f"holds its own weights, found weights {weights} as well")
    if path.is_dir():
        return {"kind": "output", **open_output(path).manifest}
    if path.suffix == ".dcb":
        try:
            data = path.read_bytes()
        except OSError as e:
            raise BlobError(path, f"cannot be read: {e.strerror}", code="ARGUMENT") from e
        try:
            return {"kind": "blob", "file": what, **describe(data).to_json()}
        except BlobError as e:
            raise BlobError(path, str(e), code=e.code) from e
    return {"kind": "model", **_describe_graph(load(what, weights=weights).graph)}


def _describe_graph(graph: Graph) -> dict[str, Any]:
    dense = macs(graph)
    return {
        "name": graph.name,
        "inputs": {i.name: list(i.shape) for i in graph.inputs},
        "outputs": {o: list(graph.shapes[o]) for o in graph.outputs},
        "parameters": sum(c.weight.values.size + c.bias.size for _, c in graph.convs()),
        "macs": sum(dense.values()),
        "nodes": [
            {
                "name": n.name,
                "operator": type(n.op).__name__,
                "shape": list(graph.shapes[n.name]),
                "macs": dense.get(n.name, 0),
            }
            for n in graph.nodes
        ],
    }


def show_compiled(data: Mapping[str, Any], out: Path) -> None:
    """The figures of a compilation."""
    held = data["held_out"]
    rows = [
        ("blob", f"{data['blob_bytes']:,} bytes"),
        ("non-zero weights", f"{data['nonzeros']:,} of {data['parameters']:,} parameters"),
        ("multiply-accumulates", f"{data['nonzero_macs']:,} of {data['macs']:,} dense"),
        ("arena", f"{data['arena_bytes']:,} bytes" + (", picture pushed row by row" if data["streamed"] else "")),
        (
            "agreement with float",
            f"{100 * held['agreement']:.1f} % [{_percent(held['agreement_interval'])}] "
            f"of {held['n']} held-out calibration pictures",
        ),
        ("mean KL from float", f"{held['mean_kl']:.4f} nats [{_interval(held['mean_kl_interval'])}] on them"),
        *distillation_rows(data),
        *_predicted_rows(data),
        *_engine_rows(data),
        ("written to", str(out)),
    ]
    print_table(f"{data['name']}, recipe {data['settings']['recipe']}", ("", ""), rows)


def distillation_rows(data: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Whether training helped, if there was any."""
    if (found := data.get("distillation")) is None:
        return []
    start, best, rounds = found["start"], found["best"], len(found["rounds"])

    def figures(trial: Mapping[str, Any]) -> str:
        return f"{trial['blob_bytes']:,} bytes at {trial['mean_kl']:.4f} nats"

    if best is None:
        return [("distillation", f"did not help: nothing better than {figures(start)} in {rounds} rounds")]
    if not found["helped"]:
        return [("distillation", f"did not help: {figures(start)} kept, {rounds} rounds gave {figures(best)}")]
    return [("distillation", f"{figures(start)} became {figures(best)} in {rounds} rounds")]


def _predicted_rows(data: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """What is expected of the firmware, if the target is a microcontroller."""
    if (predicted := data.get("predicted")) is None:
        return []
    return [
        ("expected instructions", f"{predicted['instructions']:,} a picture on {data['target']}"),
        ("expected flash", f"{predicted['flash_bytes']:,} bytes"),
    ]


def _engine_rows(data: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """What is expected of the engine, if the target is one."""
    if (engine := data.get("engine")) is None:
        return []
    return [
        ("engine", f"{engine['lanes']} lanes, {engine['steps']} steps in {engine['segments']} segments"),
        ("expected cycles", f"{engine['predicted_cycles']:,}"),
        *_pace_rows(engine),
        ("utilisation", f"{100 * engine['utilisation']:.1f} % of the multipliers' cycles"),
        ("activation memory", f"{engine['memory_words_used']:,} of {engine['memory_words']:,} words"),
        ("command list", f"{engine['command_words_used']:,} of {engine['command_words']:,} words"),
    ]


def _pace_rows(engine: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Pictures a second on the engine's board, if it has one."""
    if (found := engine.get("pace")) is None:
        return []
    return [
        ("engine computes", f"{found['compute']:.2f} pictures a second at {found['megahertz']:g} MHz"),
        ("serial port carries", f"{found['link']:.3f} pictures a second, {found['bytes']:,} bytes each"),
    ]


def show_cycles(checks: Sequence[Check]) -> None:
    """Predicted against counted cycles of each layer, and what the engine did in them."""
    for c in checks:
        if (found := c.cycles) is None:
            continue
        rows: list[tuple[object, ...]] = [(k, p, n) for k, (p, n) in found.layers.items()]
        rows.append(("all", found.predicted, found.counted))
        print_table("Cycles by layer", ("layer", "predicted", "counted"), rows)
        causes = [(k, p, n, f"{100 * n / max(1, found.counted):.1f} %") for k, (p, n) in found.causes.items()]
        print_table("Cycles by cause", ("cause", "predicted", "counted", "share"), causes)


def show_checks(checks: Sequence[Check]) -> None:
    """One row a machine."""
    rows = []
    for c in checks:
        d = c.to_json()
        verdict = "equal" if c.passed else c.failure or f"{c.mismatches} bytes differ"
        if c.cycles and not c.failure and not c.mismatches and not c.passed:
            verdict = f"equal, but not the {c.cycles.predicted:,} cycles expected"
        figures = (d.get(k) for k in ("instructions", "cycles", "flash_bytes", "ram_bytes", "stack_bytes"))
        rows.append((c.target, verdict, c.layers, c.bytes_compared, *figures))
    print_table(
        "Against the golden model",
        ("machine", "verdict", "layers", "bytes compared", "instructions", "cycles", "flash", "RAM", "stack"),
        rows,
    )
    for c in checks:
        if c.first_mismatch:
            print(f"{c.target}: first difference at {c.first_mismatch}")


def show_evaluation(found: Evaluation) -> None:
    """Accuracy and agreement with n and intervals stated."""
    f = found.fidelity
    rows: list[tuple[object, ...]] = [
        ("agreement", f.agreement, _interval(f.agreement_interval)),
        ("mean KL, nats", f.mean_kl, _interval(f.mean_kl_interval)),
    ]
    for name, accuracy in (("float", f.float_), ("compressed", f.compressed)):
        if accuracy is not None:
            rows += [(f"{name} top-1", accuracy.top1, ""), (f"{name} top-5", accuracy.top5, "")]
    if (change := f.top1_change) is not None:
        rows.append(("change of top-1", change.value, _interval(change.interval)))
        rows.append((f"  {change.lost} lost, {change.gained} gained: p (McNemar)", change.p, ""))
    print_table(f"On {f.n} pictures", ("", "", f"{100 * CONFIDENCE:.0f} % interval"), rows)


def warn_of_overlap(found: Evaluation, images: Path) -> None:
    """A line on stderr where pictures served calibration too."""
    if found.overlap is not None and any(found.overlap.values()):
        measured, held_out = found.overlap.values()
        print_warning(
            f"{images}: of {found.fidelity.n} pictures calibration measured {measured} and held out "
            f"{held_out}; figures on them are too good"
        )


def _percent(bounds: Sequence[float]) -> str:
    return f"{100 * bounds[0]:.1f} .. {100 * bounds[1]:.1f}"


def _interval(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.4f} .. {bounds[1]:.4f}"


def _counted(value: object) -> object:
    """Long lists by their length; ``--json`` shows them whole."""
    return f"{len(value)} entries" if isinstance(value, list) and len(value) > 8 else value


def show_inspection(data: Mapping[str, Any]) -> None:
    """Plain values first, then every list of records as a table."""
    plain = [(k, v) for k, v in data.items() if not isinstance(v, list | dict)]
    print_table(str(data["kind"]), ("", ""), plain)
    for key, value in data.items():
        if isinstance(value, dict):
            print_table(key, ("", ""), [(k, _counted(v)) for k, v in value.items()])
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            columns = [c for c, v in value[0].items() if not isinstance(v, dict)]
            print_table(key, columns, [[row[c] for c in columns] for row in value])
