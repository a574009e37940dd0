"""``dcgen eval``: the compiled network against the float one on pictures of the user's choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from dcgen import pictures as host
from dcgen.command import arguments, console, options
from dcgen.errors import ConfigError
from dcgen.fidelity import Agreement, Fidelity
from dcgen.inputs.forms import check_classes, warn_of_training
from dcgen.inputs.samples import InputForm, open_samples
from dcgen.intervals import CONFIDENCE
from dcgen.ir.runner import FloatRunner
from dcgen.metric import OutputKind
from dcgen.output import Output, open_output
from dcgen.pipeline import compare, output_kinds
from dcgen.progress import Progress, Warn, counted, unheard
from dcgen.verify import host_scores


@dataclass(frozen=True)
class Evaluation:
    """Fidelity on some pictures, and which pictures they were.

    pictures_sha256 : digest of the pictures' camera bytes, in order
    overlap : for each purpose of calibration, how many of the pictures served it too; None if the output does not
        list its calibration pictures
    """

    fidelity: Fidelity
    pictures_sha256: str
    overlap: dict[str, int] | None

    def to_json(self) -> dict[str, Any]:
        """The figures and the other two, under stable keys."""
        others = {"pictures_sha256": self.pictures_sha256, "calibration_overlap": self.overlap}
        return {**self.fidelity.to_json(), **others}


def eval_(
    out: options.OutFolder,
    images: options.Images,
    labels: options.Labels = None,
    on: Annotated[
        str, Option(help="golden (the Python reference) or host (the emitted C, which runs OUT's own Makefile).")
    ] = "golden",
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    order: options.Order = None,
    fit: options.Fit = None,
    input_size: options.InputSize = None,
    outputs: options.Outputs = None,
    json: options.Json = False,
) -> None:
    """Compare the compiled network with the float one on the same pictures."""
    output = open_output(out)
    form = arguments.preprocess_of_output(output.preprocess, (preprocess, mean, std, order, fit, input_size))
    with console.progress() as progress:
        asked = arguments.outputs(outputs)
        found = evaluate(output, form, images, labels, on, asked, progress, console.print_warning)
    warn_of_overlap(found, images)
    if json:
        console.print_json(found.to_json())
    else:
        show(found)


def evaluate(
    output: Output,
    form: InputForm,
    images: Path,
    labels: Path | None,
    on: str,
    asked: Sequence[OutputKind] | None,
    progress: Progress,
    warn: Warn = unheard,
) -> Evaluation:
    """Fidelity on the samples that ``labels`` names, with accuracy; without such a file, on all of ``images``.

    form : how samples become the bytes that the output takes
    on : ``golden`` to run the Python reference, ``host`` to run the emitted C
    asked : what the outputs are, one kind for all or one for each; None for what they were compiled as

    Raises ConfigError for another ``on`` or a kind that an output cannot be, PictureError where a label or a
    sample cannot be used. Labels are classes of the only output that is classes.
    """
    if on not in ("golden", "host"):
        raise ConfigError("--on", f"must be golden or host, not {on!r}")
    samples = open_samples(images, warn)
    which, indices = samples.labelled(labels)
    graph = output.float_graph()
    kinds = output.kinds if asked is None else output_kinds(asked, graph)
    sizes = [prod(s) for s in output.qgraph.score_shapes.values()]
    classes = [size for size, kind in zip(sizes, kinds, strict=True) if kind == "classes"]
    if len(classes) == 1:
        indices = check_classes(labels or images, indices, classes[0], asked=labels is not None)
        if indices is not None:
            warn_of_training(images, warn)
    inputs = samples.load(which, form, output.size, warn)
    scores, reference = None, None
    if on == "host":
        step = counted(progress, "running the emitted C", len(inputs.data))
        scores = host_scores(output.path, inputs.data, step)
    if inputs.real is not None:
        reference = FloatRunner(graph).run(inputs.real)
    found = compare(
        graph,
        form,
        output.qgraph,
        inputs.data,
        indices,
        progress,
        kinds=kinds,
        units=output.units,
        scores=scores,
        reference=reference,
    )
    return Evaluation(found, host.digest(inputs.data), _overlap(output, inputs.data))


def _overlap(output: Output, pictures: host.U8) -> dict[str, int] | None:
    """``Evaluation.overlap`` of the pictures."""
    if not output.calibrated_on:
        return None
    seen = host.digests(pictures)
    return {purpose: sum(s in hashes for s in seen) for purpose, hashes in output.calibrated_on.items()}


def show(found: Evaluation) -> None:
    """A table of agreement, divergence and accuracy, with the number of pictures and intervals."""
    f = found.fidelity
    rows: list[tuple[object, ...]] = []
    for o in f.outputs:
        if o.classes is not None:
            rows += _rows_of_classes(o.classes, f" of {o.name}" if len(f.outputs) > 1 else "")
    rows += [(f"relative error of {o.name}", o.relative_error, "") for o in f.outputs]
    console.print_table(f"On {f.n} pictures", ("", "", f"{100 * CONFIDENCE:.0f} % interval"), rows)


def _rows_of_classes(classes: Agreement, of: str) -> Iterator[tuple[object, ...]]:
    """The figures of an output that is classes; ``of`` says which of several it is."""
    yield f"agreement{of}", classes.agreement, console.interval(classes.agreement_interval)
    yield f"mean KL{of}, nats", classes.mean_kl, console.interval(classes.mean_kl_interval)
    for name, accuracy in (("float", classes.float_), ("compressed", classes.compressed)):
        if accuracy is not None:
            yield f"{name} top-1{of}", accuracy.top1, ""
            yield f"{name} top-5{of}", accuracy.top5, ""
    if (change := classes.top1_change) is not None:
        yield f"change of top-1{of}", change.value, console.interval(change.interval)
        yield f"  {change.lost} lost, {change.gained} gained: p (McNemar)", change.p, ""


def warn_of_overlap(found: Evaluation, images: Path) -> None:
    """A warning where pictures served calibration, too: figures on these are better than on new pictures."""
    if found.overlap is not None and any(found.overlap.values()):
        measured, held_out = found.overlap.values()
        used = f"of {found.fidelity.n} pictures calibration measured {measured} and held out {held_out}"
        console.print_warning(f"{images}: {used}; figures on them are too good")
