"""``dcgen train``: labelled samples and a network become a network that is ready to be compiled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from dcgen.command import arguments, console, options
from dcgen.compress.settings import named
from dcgen.errors import GoalError
from dcgen.extras import import_torch
from dcgen.run_folder import DRAWING

Model = Annotated[
    str,
    Argument(
        help="An architecture by name (a wrong name lists all); FILE.py, which is run and defines "
        "network(channels, size, classes), a torch.nn.Module for inputs of size x size; or an .onnx, .tflite or "
        ".pt2 file, a trained network.",
        metavar="MODEL",
    ),
]
Data = Annotated[
    Path,
    Option(
        help="Folder with a folder of pictures for each class, .zip of it, folder of IDX files, or .npz file with "
        "x_train, uint8 [N, H, W(, C)] or float32 [N, ...], and y_train [N]. The test part is never opened."
    ),
]
RunFolder = Annotated[Path, Option("--out", "-o", help="Folder of the run; one that was interrupted goes on.")]
MaxBytes = Annotated[str | None, Option(help="Goal: most bytes of model.dcb, e.g. 8000 or 60K (K is 1,000).")]
Density = Annotated[
    float | None, Option(min=0.0001, max=1.0, help="Goal: largest share of weights that are not zero, e.g. 0.1.")
]
MaxTop1Drop = Annotated[
    float | None,
    Option(
        min=0.0,
        max=100.0,
        help="Goal: most percentage points of top-1 accuracy lost on held-out samples; the smallest file within "
        "it is kept.",
    ),
]
Stages = Annotated[Path | None, Option(help="TOML file with a table [[stage]] for each stage.")]
Settings = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting of the architecture, such as base_e=64 of squeezenet; repeats. A wrong name lists all.",
    ),
]
Weights = Annotated[
    Path | None,
    Option(
        help="State dict to start from: .npz, .safetensors or .pth. Where it has another number of classes, the "
        "classifier is a new one."
    ),
]
DeviceName = Annotated[
    Literal["cpu", "cuda"] | None, Option("--device", help="Default: cuda if PyTorch finds such a device.")
]
Seed = Annotated[int, Option(min=0, help="Of every random draw.")]


def train_(
    model: Model,
    data: Data,
    out: RunFolder,
    max_bytes: MaxBytes = None,
    density: Density = None,
    max_top1_drop: MaxTop1Drop = None,
    stages: Stages = None,
    settings: Settings = None,
    weights: Weights = None,
    trust: options.Trust = False,
    seed: Seed = 0,
    device: DeviceName = None,
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    order: options.Order = None,
    fit: options.Fit = None,
    input_size: options.InputSize = None,
    json: options.Json = False,
) -> None:
    """Train MODEL on labelled samples, and compress it while it is trained.

    'dcgen compile' takes the folder in place of a model. Without a goal and --stages, nothing is compressed. Of
    the last stage the best epoch that keeps to the goals is kept; where none does, the exit code is 1.
    """
    torch = import_torch("to train a network", device or "cpu")
    from dcgen.stages import load_stages
    from dcgen.start import Beginning, schedule_of
    from dcgen.train.goal import Goal
    from dcgen.training import TrainJob, train

    given = {
        "max_bytes": arguments.amount_or_none("--max-bytes", max_bytes),
        "max_density": density,
        "max_top1_drop": max_top1_drop,
    }
    goal = Goal(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    beginning = Beginning(
        model=model,
        data=data,
        settings={name: value for _, name, value in named(settings or ())},
        weights=weights,
        size=input_size,
        form=arguments.preprocess(preprocess, mean, std, order, fit, input_size),
        trust=trust,
        seed=seed,
    )
    job = TrainJob(
        **vars(beginning),
        stages=load_stages(stages, goal, schedule_of(beginning)),
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
    )
    with console.progress() as progress:
        found = train(job, out, progress, console.print_warning)
    if not (out / DRAWING).exists():
        console.print_warning("the training is not drawn, for which matplotlib is needed: pip install dcgen[plot]")
    if json:
        console.print_json(found)
    else:
        show(found, out)
    if found["missed"]:
        raise GoalError(
            out, "; ".join(found["missed"]), "the best network is kept there; loosen the goal or train longer"
        )


def show(data: Mapping[str, Any], out: Path) -> None:
    """A table of what a run says of itself."""
    held = data["held_out"]
    rows: list[tuple[object, ...]] = [
        ("float", f"top-1 {100 * held['float']['top1']:.2f} %, loss {held['float']['loss']:.4f} nats"),
        ("trained", f"top-1 {100 * held['trained']['top1']:.2f} %, loss {held['trained']['loss']:.4f} nats"),
        ("held-out samples", f"{held['n']:,}, for both"),
        ("weights that are not zero", f"{100 * data['density']:.2f} %"),
        *([("blob", f"{data['blob_bytes']:,} bytes")] if data["blob_bytes"] else []),
        ("written to", str(out)),
    ]
    console.print_table(f"{data['name']}, {len(data['job']['stages'])} stages", ("", ""), rows)
    console.print_line(f"compile it with: dcgen compile {out} -o OUT")
