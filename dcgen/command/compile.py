"""``dcgen compile``: a model and calibration pictures become an output folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from dcgen.command import arguments, console, options
from dcgen.compress.recipes import DEFAULT, RECIPES, Keep
from dcgen.config import load_recipe
from dcgen.encode.schema import MAX_CODE_BITS
from dcgen.errors import ConfigError
from dcgen.pipeline import compile_model
from dcgen.plan.firmware.needs import Budget
from dcgen.plan.firmware.tables import MIN_TABLE_BITS
from dcgen.result import EngineChoices, Job, Limits, Pictures, Source
from dcgen.run_folder import CALIBRATION, Run
from dcgen.targets import HOST

RecipeName = Annotated[
    str | None,
    Option(
        help=f"{', '.join(r.name for r in RECIPES)}, or a TOML file. Default: {DEFAULT}; {Keep.name} for a "
        "trained network whose weights are shared."
    ),
]
MaxBytes = Annotated[str | None, Option(help="Goal: most bytes of model.dcb, e.g. 365000 or 380K (K is 1,000).")]
MaxKl = Annotated[
    float | None,
    Option(help="Goal: most nats of mean KL divergence from the float model, on held-out pictures."),
]
MaxError = Annotated[
    float | None,
    Option(help="Goal: most error of any output, relative to its deviation from picture to picture, e.g. 0.05."),
]
MaxTop1Drop = Annotated[
    float | None, Option(help="Goal: most percentage points of top-1 accuracy lost on held-out pictures.")
]
Name = Annotated[
    str | None,
    Option(help="What files, macros and functions of the firmware are named after; default: the model's."),
]
Density = Annotated[float | None, Option(help="Constraint: largest share of weights that are not zero.")]
Levels = Annotated[int | None, Option(help="Constraint: most different weights in a layer, zero included.")]
Symmetric = Annotated[
    bool, Option("--symmetric", help="Constraint: with each value, a layer's weights have its negative, too.")
]
Point = Annotated[Path | None, Option(help="A point that 'frontier' wrote for this MODEL: compile it as it is.")]
Distill = Annotated[
    bool,
    Option(
        "--distill",
        help="Train the compressed network on the float network's answers to augmented pictures; needs PyTorch. "
        "The trained network is kept only if it is better.",
    ),
]
Checkpoint = Annotated[
    Path | None, Option(help="With --distill: folder that the training is saved in and resumed from.")
]
Ram = Annotated[
    str | None,
    Option(
        help="Most bytes of the target's RAM, e.g. 144K (K is 1,024), for arena, picture, scores, static data and "
        "stack together. Where whole layers do not fit, the firmware takes the picture row by row."
    ),
]
TableBits = Annotated[
    int | None,
    Option(
        min=MIN_TABLE_BITS,
        max=MAX_CODE_BITS,
        help="Bits of a code that index the firmware's decoding tables: fewer bits take less RAM, but codes that "
        "are longer take a second look-up. Default: the fastest number that fits --ram.",
    ),
]
Flash = Annotated[
    str | None, Option(help="Budget: most bytes of flash (blob, code and constants), e.g. 400K (K is 1,024).")
]
MaxInstructions = Annotated[
    str | None, Option(help="Budget: most instructions of a picture that leaves no zeros to skip, e.g. 200M.")
]
Lanes = Annotated[
    str | None,
    Option(
        help="Lanes of the engine, or auto: as many as make this network fastest on the board. Default: the "
        "target's, whose bitstream serves all networks."
    ),
]
Bitstream = Annotated[bool, Option("--bitstream", help="Place and route the engine for its board: takes long.")]


def compile_(
    model: options.ModelOrRun,
    out: options.NewFolder,
    calibration: options.OwnCalibration = None,
    weights: options.Weights = None,
    trust: options.Trust = False,
    preprocess: options.PreprocessName = None,
    mean: options.Mean = None,
    std: options.Std = None,
    order: options.Order = None,
    fit: options.Fit = None,
    input_size: options.InputSize = None,
    recipe: RecipeName = None,
    max_bytes: MaxBytes = None,
    max_kl: MaxKl = None,
    max_error: MaxError = None,
    max_top1_drop: MaxTop1Drop = None,
    labels: options.Labels = None,
    density: Density = None,
    levels: Levels = None,
    symmetric: Symmetric = False,
    settings: options.Settings = None,
    point: Point = None,
    distill: Distill = False,
    checkpoint: Checkpoint = None,
    target: options.TargetName = None,
    ram: Ram = None,
    table_bits: TableBits = None,
    flash: Flash = None,
    max_instructions: MaxInstructions = None,
    lanes: Lanes = None,
    bitstream: Bitstream = False,
    name: Name = None,
    outputs: options.Outputs = None,
    json: options.Json = False,
) -> None:
    """Compile MODEL into the folder OUT: blob, firmware, golden data, manifest.

    MODEL may be a folder of 'dcgen train', whose levels are taken as they were trained. Firmware is emitted for
    every machine. An engine as --target adds its gateware, in OUT/rtl.
    """
    asked = {
        "max_bytes": arguments.amount_or_none("--max-bytes", max_bytes),
        "max_kl": max_kl,
        "max_error": max_error,
        "max_top1_drop": max_top1_drop,
        "density": density,
        "levels": levels,
        "symmetric": symmetric or None,
        "distill": distill or None,
    }
    machine = arguments.machine(target, lanes)
    chosen = arguments.preprocess(preprocess, mean, std, order, fit, input_size)
    budget = Budget(
        arguments.amount_or_none("--flash", flash, 1024),
        arguments.amount_or_none("--max-instructions", max_instructions),
    )
    source = Source(model=model, weights=weights, preprocess=chosen, size=input_size, name=name, trust=trust)
    if Path(model).is_dir():
        run = Run.read(Path(model))
        source, calibration = run.source(source), calibration or run.path / CALIBRATION
        goals = any(v is not None for v in asked.values())
        recipe = recipe or (Keep.name if run.shared and not goals else None)
    if calibration is None:
        raise ConfigError("`calibration`", "is missing", "name a folder of pictures or a file of arrays")
    job = Job(
        source=source,
        pictures=Pictures(folder=calibration, labels=labels),
        recipe=load_recipe(recipe or DEFAULT, settings or (), {k: v for k, v in asked.items() if v is not None}),
        point=point,
        checkpoint=checkpoint,
        outputs=arguments.outputs(outputs),
        target=machine,
        weigh=target is not None and machine is not HOST,
        limits=Limits(ram=arguments.amount_or_none("--ram", ram, 1024), table_bits=table_bits, budget=budget),
        engine=EngineChoices(best_lanes=lanes == "auto", bitstream=bitstream),
    )
    arguments.check(job)
    with console.progress() as progress:
        data = compile_model(job, out, progress, console.print_warning)
    if json:
        console.print_json(data)
    else:
        show(data, out)


def show(data: Mapping[str, Any], out: Path) -> None:
    """A table of the figures in the manifest ``data`` that people ask for first."""
    rows = [
        ("blob", f"{data['blob_bytes']:,} bytes"),
        ("non-zero weights", f"{data['nonzeros']:,} of {data['parameters']:,} parameters"),
        ("multiply-accumulates", f"{data['nonzero_macs']:,} of {data['macs']:,} dense"),
        *([("removed channels", f"{removed:,}")] if (removed := data["removed_channels"]) else []),
        ("arena", f"{data['arena_bytes']:,} bytes" + (", picture pushed row by row" if data["streamed"] else "")),
        *_head_rows(data),
        *_fidelity_rows(data["held_out"]),
        *_goal_rows(data),
        *distillation_rows(data),
        *_predicted_rows(data),
        *_engine_rows(data),
        ("written to", str(out)),
    ]
    console.print_table(f"{data['name']}, recipe {data['settings']['recipe']}", ("", ""), rows)


def _head_rows(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the model does with the scores that are the network's outputs here, and where it was cut."""
    heads = [(o.get("head", data["head"]), o["name"]) for o in data["outputs"]]
    return [("left to the host", f"{head} of the scores that {o} makes") for head, o in heads if head != "none"]


def _fidelity_rows(held: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """The rows with figures on the held-out samples."""
    rows: list[tuple[object, ...]] = [("held-out samples", f"{held['n']:,} of the calibration, for all below")]
    several = [(o, f"{o['name']}: ") for o in held["outputs"]]
    for figures, whose in [(held, ""), *several]:
        if "agreement" in figures:
            low, high = figures["agreement_interval"]
            share = f"{100 * figures['agreement']:.1f} % [{100 * low:.1f} .. {100 * high:.1f}]"
            divergence = f"{figures['mean_kl']:.4f} nats [{console.interval(figures['mean_kl_interval'])}]"
            rows += [(f"{whose}agreement with float", share), (f"{whose}mean KL from float", divergence)]
    if "top1_change" in held:
        low, high = (100 * bound for bound in held["top1_change"]["interval"])
        points = f"{100 * held['top1_change']['value']:+.2f} points [{low:+.2f} .. {high:+.2f}]"
        tells = f"one sample is {100 / held['n']:.2f} points"
        rows.append(("top-1", f"{100 * held['compressed']['top1']:.1f} %, {points}; {tells}"))
    rows += [(f"relative error of {o['name']}", f"{o['relative_error']:.4f}") for o in held["outputs"]]
    return rows


def _goal_rows(data: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """The row that says how much of its limits the network uses where nobody has set a goal."""
    limits = data.get("goal", {}).get("limits", ())
    used = ", ".join(f"{part['name']} {part['reached']:.3g} of {part['limit']:.3g}" for part in limits)
    return [("default limits, expected", used)] if used else []


def distillation_rows(data: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """The row that says whether training helped; none if there was no training."""
    if (found := data.get("distillation")) is None:
        return []
    start, best, rounds = found["start"], found["best"], len(found["rounds"])

    def figures(trial: Mapping[str, Any]) -> str:
        return f"{trial['blob_bytes']:,} bytes at loss {trial['loss']:.4f}"

    if best is None:
        return [("distillation", f"did not help: nothing better than {figures(start)} in {rounds} rounds")]
    if not found["helped"]:
        return [("distillation", f"did not help: {figures(start)} kept, {rounds} rounds gave {figures(best)}")]
    return [("distillation", f"{figures(start)} became {figures(best)} in {rounds} rounds")]


def _predicted_rows(data: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """The rows with what the firmware is expected to take; none if the target is no microcontroller."""
    if (predicted := data.get("predicted")) is None:
        return []
    return [
        ("expected instructions", f"{predicted['instructions']:,} a picture on {data['target']}"),
        ("expected flash", f"{predicted['flash_bytes']:,} bytes"),
    ]


def _engine_rows(data: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """The rows with what the engine is expected to do; none if the target is no engine."""
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
    """The rows with pictures a second on the engine's board; none if it has no board."""
    if (found := engine.get("pace")) is None:
        return []
    return [
        ("engine computes", f"{found['compute']:.2f} pictures a second at {found['megahertz']:g} MHz"),
        ("serial port carries", f"{found['link']:.3f} pictures a second, {found['bytes']:,} bytes each"),
    ]
