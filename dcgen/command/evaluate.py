"""``dcgen eval``: the compiled network against the float one on pictures of the user's choice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from typer import Option

from dcgen import pictures as host
from dcgen.command import console, options
from dcgen.errors import ConfigError, PictureError
from dcgen.fidelity import Fidelity
from dcgen.intervals import CONFIDENCE
from dcgen.output import Output, open_output
from dcgen.pipeline import compare
from dcgen.progress import Progress, counted
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
    images: Annotated[Path, Option(help="Folder of pictures.")],
    labels: Annotated[Path | None, Option(help="Lines of 'file index'; without it no accuracy.")] = None,
    on: Annotated[str, Option(help="golden (the Python reference) or host (the emitted C).")] = "golden",
    json: options.Json = False,
) -> None:
    """Compare the compiled network with the float one on the same pictures."""
    with console.progress() as progress:
        found = evaluate(out, images, labels, on, progress)
    warn_of_overlap(found, images)
    if json:
        console.print_json(found.to_json())
    else:
        show(found)


def evaluate(out: Path, images: Path, labels: Path | None, on: str, progress: Progress) -> Evaluation:
    """Fidelity on the labelled pictures of a folder, with accuracy; without labels, on all pictures of the folder.

    on : ``golden`` to run the Python reference, ``host`` to run the emitted C

    Raises ConfigError for another ``on``, PictureError where a label or a picture cannot be used.
    """
    if on not in ("golden", "host"):
        raise ConfigError("--on", f"must be golden or host, not {on!r}")
    output = open_output(out)
    indices = None
    if labels is None:
        files = host.files(images)
    else:
        host.files(images)  # raises where that is no folder of pictures
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
    """``Evaluation.overlap`` of the pictures."""
    if not output.calibrated_on:
        return None
    seen = host.digests(pictures)
    return {purpose: sum(s in hashes for s in seen) for purpose, hashes in output.calibrated_on.items()}


def show(found: Evaluation) -> None:
    """A table of agreement, divergence and accuracy, with the number of pictures and intervals."""
    f = found.fidelity
    rows: list[tuple[object, ...]] = [
        ("agreement", f.agreement, console.interval(f.agreement_interval)),
        ("mean KL, nats", f.mean_kl, console.interval(f.mean_kl_interval)),
    ]
    for name, accuracy in (("float", f.float_), ("compressed", f.compressed)):
        if accuracy is not None:
            rows += [(f"{name} top-1", accuracy.top1, ""), (f"{name} top-5", accuracy.top5, "")]
    if (change := f.top1_change) is not None:
        rows.append(("change of top-1", change.value, console.interval(change.interval)))
        rows.append((f"  {change.lost} lost, {change.gained} gained: p (McNemar)", change.p, ""))
    console.print_table(f"On {f.n} pictures", ("", "", f"{100 * CONFIDENCE:.0f} % interval"), rows)


def warn_of_overlap(found: Evaluation, images: Path) -> None:
    """A warning where pictures served calibration, too: figures on these are better than on new pictures."""
    if found.overlap is not None and any(found.overlap.values()):
        measured, held_out = found.overlap.values()
        used = f"of {found.fidelity.n} pictures calibration measured {measured} and held out {held_out}"
        console.print_warning(f"{images}: {used}; figures on them are too good")
