"""The ``dcgen`` command."""

from __future__ import annotations

import signal
import sys
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from dcgen import __version__
from dcgen.command import arguments, commands, console
from dcgen.compress.recipes import DEFAULT
from dcgen.config import load_recipe
from dcgen.encode.schema import MAX_CODE_BITS
from dcgen.errors import BudgetError, ConfigError, DcgenError
from dcgen.files import write_file
from dcgen.frontier import frontier
from dcgen.models.catalogue import MODELS
from dcgen.pipeline import compile_model
from dcgen.plan.firmware.needs import Budget
from dcgen.plan.firmware.tables import MIN_TABLE_BITS
from dcgen.result import Job
from dcgen.targets import CHECK_NAME, DEFAULT_TARGET, ENGINES, HOST, TARGETS, find

app = typer.Typer(
    name="dcgen",
    help="Put a trained SqueezeNet-class CNN on a microcontroller: a compressed blob, C firmware that "
    "runs it without expanding it, and the proof that both equal one integer reference.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
OutFolder = Annotated[Path, typer.Argument(help="Output folder of 'compile'.", metavar="OUT", show_default=False)]
Weights = Annotated[
    Path | None,
    typer.Option(help="State dict for a named model: .npz, .safetensors or .pth.", show_default=False),
]
InputSize = Annotated[
    int | None, typer.Option(help="Input height and width; default: the preset's, or the model's own.")
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"dcgen {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


@app.command("compile")
def compile_(
    model: Annotated[
        str,
        typer.Argument(help="An .onnx, .pt2 or .net file, or a name that 'dcgen model' lists.", metavar="MODEL"),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", show_default=False)],
    calibration: Annotated[Path, typer.Option(help="Folder of pictures, without labels.", show_default=False)],
    weights: Weights = None,
    preprocess: Annotated[
        str | None,
        typer.Option(help="caffe, torchvision or digits; default: what a named model was trained with."),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Explicit preprocessing: byte per channel, e.g. 104,117,123.")
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="Explicit preprocessing: deviation per channel in bytes.")
    ] = None,
    order: Annotated[str | None, typer.Option(help="Explicit preprocessing: rgb, bgr or grey.")] = None,
    fit: Annotated[
        str | None, typer.Option(help="Explicit preprocessing: squash (default) or short-side.")
    ] = None,
    input_size: InputSize = None,
    recipe: Annotated[str, typer.Option(help="second-order, deep-compression, keep, or a TOML file.")] = DEFAULT,
    max_bytes: Annotated[
        str | None, typer.Option(help="Goal: bytes of model.dcb at most, e.g. 380K (of 1,000) or 365000.")
    ] = None,
    max_kl: Annotated[
        float | None, typer.Option(help="Goal: mean KL divergence in nats at most, on held-out pictures.")
    ] = None,
    max_top1_drop: Annotated[
        float | None, typer.Option(help="Goal: points of accuracy lost at most, on held-out pictures.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Lines of 'file index' for the calibration pictures, for --max-top1-drop.")
    ] = None,
    density: Annotated[
        float | None, typer.Option(help="Constraint: share of weights that are not zero, at most.")
    ] = None,
    levels: Annotated[
        int | None, typer.Option(help="Constraint: different values of a layer's weights, zero included.")
    ] = None,
    symmetric: Annotated[
        bool, typer.Option("--symmetric", help="Constraint: with each level its negative.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A setting of the recipe; repeats. A wrong name lists them."
        ),
    ] = None,
    point: Annotated[
        Path | None,
        typer.Option(
            help="A point that 'frontier' wrote for this MODEL: compile it as it is.", show_default=False
        ),
    ] = None,
    distill: Annotated[
        bool,
        typer.Option(
            "--distill",
            help="Go on from there by training on the float network's answers to augmented pictures; needs "
            "PyTorch, and what it changes is kept only if it is better.",
        ),
    ] = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="With --distill: folder that the training is kept in and goes on from.", show_default=False
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="The machine it is meant for, as 'dcgen targets' lists it: its work then counts beside the "
            "bytes of the file (not on the host). Firmware is emitted for every machine; an engine adds its "
            "gateware, in OUT/rtl.",
            show_default=False,
        ),
    ] = None,
    ram: Annotated[
        str | None,
        typer.Option(
            help="Bytes of the target's RAM at most, e.g. 144K (of 1,024): arena, picture, scores, static data "
            "and stack. Where whole layers do not fit, the firmware takes the picture row by row.",
            show_default=False,
        ),
    ] = None,
    table_bits: Annotated[
        int | None,
        typer.Option(
            min=MIN_TABLE_BITS,
            max=MAX_CODE_BITS,
            help="Bits of a code that the firmware's decoding tables are entered with: fewer take less RAM, but "
            "longer codes a second look-up. Default: what is fastest within --ram.",
            show_default=False,
        ),
    ] = None,
    flash: Annotated[
        str | None,
        typer.Option(
            help="Budget: bytes of blob, code and constants on the target at most, e.g. 400K (of 1,024)."
        ),
    ] = None,
    max_instructions: Annotated[
        str | None,
        typer.Option(
            help="Budget: most instructions of a picture, of one that leaves no zeros to skip, e.g. 200M."
        ),
    ] = None,
    lanes: Annotated[
        str | None,
        typer.Option(
            help="Lanes of the engine, or auto: as many as make this network fastest on the board. Default: the "
            "target's, whose bitstream serves all networks.",
            show_default=False,
        ),
    ] = None,
    bitstream: Annotated[
        bool, typer.Option("--bitstream", help="Place and route the engine for its board: takes long.")
    ] = False,
    json: Json = False,
) -> None:
    """Compile MODEL into the folder OUT: blob, firmware, golden data, manifest."""
    asked = {
        "max_bytes": None if max_bytes is None else arguments.amount("--max-bytes", max_bytes),
        "max_kl": max_kl,
        "max_top1_drop": max_top1_drop,
        "density": density,
        "levels": levels,
        "symmetric": symmetric or None,
        "distill": distill or None,
    }
    machine = find(target or DEFAULT_TARGET)
    if lanes is not None and lanes != "auto":
        machine = arguments.engine_with_lanes(machine, lanes)
    job = Job(
        model,
        weights,
        arguments.preprocess(preprocess, mean, std, order, fit, input_size),
        input_size,
        calibration,
        load_recipe(recipe, settings or (), {k: v for k, v in asked.items() if v is not None}),
        machine,
        bitstream,
        labels,
        weigh=target is not None and machine is not HOST,
        point=point,
        ram=None if ram is None else arguments.amount("--ram", ram, 1024),
        table_bits=table_bits,
        budget=Budget(
            None if flash is None else arguments.amount("--flash", flash, 1024),
            None if max_instructions is None else arguments.amount("--max-instructions", max_instructions),
        ),
        best_lanes=lanes == "auto",
        checkpoint=checkpoint,
    )
    with console.progress() as progress:
        data = compile_model(job, out, progress)
    if json:
        console.print_json(data)
    else:
        commands.show_compiled(data, out)


@app.command("frontier")
def frontier_(
    model: Annotated[str, typer.Argument(help="A model, as 'compile' takes it.", metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.", show_default=False)],
    calibration: Annotated[Path, typer.Option(help="Folder of pictures, without labels.", show_default=False)],
    smallest: Annotated[str, typer.Option("--from", help="Size of the smallest file, e.g. 250K.")],
    largest: Annotated[str, typer.Option("--to", help="Size of the largest file, e.g. 450K.")],
    points: Annotated[int, typer.Option(min=2, max=99, help="Files, evenly spaced in size.")] = 12,
    weights: Weights = None,
    preprocess: Annotated[
        str | None,
        typer.Option(help="caffe, torchvision or digits; default: what a named model was trained with."),
    ] = None,
    input_size: InputSize = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of second-order; repeats.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="A machine whose work counts beside the bytes of the file.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Write the curve of bytes, fidelity, density and work of MODEL, every point ready for compile --point."""
    machine = find(target or DEFAULT_TARGET)
    job = Job(
        model,
        weights,
        arguments.preprocess(preprocess, None, None, None, None, input_size),
        input_size,
        calibration,
        load_recipe(DEFAULT, settings or ()),
        machine,
        weigh=target is not None and machine is not HOST,
    )
    sizes = arguments.amount("--from", smallest), arguments.amount("--to", largest)
    with console.progress() as progress:
        rows = frontier(job, out, points, sizes, progress)
    if json:
        console.print_json({"points": [asdict(r) for r in rows]})
    else:
        commands.show_frontier(rows, out)


@app.command()
def verify(
    out: OutFolder,
    on: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Repeats; default all of {', '.join(t.check_name for t in TARGETS)}. "
            f"{CHECK_NAME} simulates the engine.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of pictures; default: those in OUT/golden.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Use the first COUNT pictures.")] = None,
    cycles: Annotated[
        bool, typer.Option("--cycles", help="Show the engine's cycles by layer and by cause.")
    ] = False,
    json: Json = False,
) -> None:
    """Build the firmware, run it, and compare every byte of every layer with the golden model."""
    with console.progress() as progress:
        checks = commands.run_checks(out, on or [], images, count, progress)
    if json:
        console.print_json({"checks": [c.to_json() for c in checks]})
    else:
        commands.show_checks(checks)
        if cycles:
            commands.show_cycles(checks)
    if not all(c.passed for c in checks):
        raise typer.Exit(1)


@app.command("eval")
def eval_(
    out: OutFolder,
    images: Annotated[Path, typer.Option(help="Folder of pictures.", show_default=False)],
    labels: Annotated[Path | None, typer.Option(help="Lines of 'file index'; without it no accuracy.")] = None,
    on: Annotated[str, typer.Option(help="golden (the Python reference) or host (the emitted C).")] = "golden",
    json: Json = False,
) -> None:
    """Compare the compiled network with the float one on the same pictures."""
    with console.progress() as progress:
        found = commands.evaluate(out, images, labels, on, progress)
    commands.warn_of_overlap(found, images)
    if json:
        console.print_json(found.to_json())
    else:
        commands.show_evaluation(found)


@app.command()
def inspect(
    what: Annotated[
        str, typer.Argument(help="An output folder, a .dcb blob, or a model.", metavar="OUT|BLOB|MODEL")
    ],
    weights: Weights = None,
    json: Json = False,
) -> None:
    """Say what an output folder, a blob or a model holds."""
    data = commands.inspect(what, weights)
    if json:
        console.print_json(data)
    else:
        commands.show_inspection(data)


@app.command()
def model(
    name: Annotated[
        str | None, typer.Argument(help="A named model; without it they are listed.", metavar="[NAME]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="ONNX file to write.", show_default=False)
    ] = None,
    weights: Weights = None,
    input_size: InputSize = None,
    json: Json = False,
) -> None:
    """List the named models, or write one as ONNX."""
    if name is None and out is not None:
        raise ConfigError("NAME", "is missing", "'dcgen model' lists the names")
    if name is None:
        rows = [(m.name, m.preprocess, m.description) for m in MODELS]
        if json:
            console.print_json(
                {"models": [dict(zip(("name", "preprocess", "description"), r, strict=True)) for r in rows]}
            )
        else:
            console.print_table("Models", ("name", "preprocess", "what it is"), rows)
        return
    data = commands.export_model(name, weights, input_size)
    if out is None:
        raise ConfigError("--out", "is missing", f"dcgen model {name} -o {name}.onnx")
    write_file(out, data)
    if json:
        console.print_json({"file": str(out), "bytes": len(data)})
    else:
        print(f"wrote {out}, {len(data):,} bytes")


@app.command()
def targets(json: Json = False) -> None:
    """List the machines that firmware is generated for, and the engines that gateware is."""
    rows = [(t.name, t.check_name, t.description) for t in TARGETS]
    rows += [(e.name, CHECK_NAME, e.description) for e in ENGINES]
    if json:
        console.print_json(
            {"targets": [dict(zip(("name", "verify", "description"), r, strict=True)) for r in rows]}
        )
    else:
        console.print_table("Targets", ("name", "verify --on", "what it is"), rows)


class _Stopped(BaseException):
    """SIGINT or SIGTERM. No KeyboardInterrupt: typer ends that one without a word."""

    def __init__(self, number: int) -> None:
        self.number = number


def _stop(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not break the cleaning up
    raise _Stopped(number)


def main() -> None:
    """Entry point: our errors become one line on stderr and exit code 1, signals 128 + their number."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # where the locale lacks a character
    try:
        app()
    except BudgetError as e:
        console.print_table("Needed", e.headings, e.rows, console.stderr)
        console.print_error(str(e))
        sys.exit(1)
    except DcgenError as e:
        console.print_error(str(e))
        sys.exit(1)
    except OSError as e:  # of the machine, not of the input: a full disk under stdout or TMPDIR
        console.print_error(f"{e.filename or 'output'}: {e.strerror or e}")
        sys.exit(1)
    except _Stopped as e:
        console.stderr.print("dcgen: interrupted")
        sys.exit(128 + e.number)


if __name__ == "__main__":
    main()
