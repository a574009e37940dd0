"""Reads what users write on the command line, and says which flags exclude or need each other.

Library code knows no flags: in its messages the name of a setting stands in backquotes, e.g. `max_bytes`, and
``with_flags`` replaces it by the flag, --max-bytes, before people see it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast, get_args

from dcgen import pictures as host
from dcgen.amounts import amount as amount
from dcgen.compress.recipes import SecondOrder
from dcgen.errors import ConfigError
from dcgen.inputs.samples import InputForm
from dcgen.metric import OutputKind
from dcgen.plan.engine.lanes import with_lanes
from dcgen.plan.firmware.instructions import is_predicted
from dcgen.result import Job
from dcgen.targets import DEFAULT_TARGET, EngineTarget, Target, find

FLAGS = {"settings": "--set"} | {
    name: "--" + name.replace("_", "-")
    for name in (
        *("weights", "preprocess", "mean", "std", "order", "fit", "input_size", "name", "calibration", "labels"),
        *("max_bytes", "max_error", "density", "distill", "target", "ram", "flash", "max_instructions"),
        *("lanes", "trust", "stages"),
    )
}
"""Settings that library code names in its messages, and their flags."""


MOST_DIGITS = 9
"""Digits of a whole number on the command line: Python refuses to read one of thousands."""

Asked = tuple[str | None, str | None, str | None, str | None, str | None, int | None]
"""What a user says of preprocessing: ``preprocess``, ``mean``, ``std``, ``order``, ``fit``, ``input_size``."""
NOTHING_ASKED: Asked = (None, None, None, None, None, None)


def with_flags(message: str) -> str:
    """A message with the settings that stand in backquotes replaced by their flags."""
    return re.sub("`([a-z0-9_]+)`", lambda name: FLAGS.get(name[1], name[0]), message)


def outputs(text: str | None) -> tuple[OutputKind, ...] | None:
    """What ``--outputs`` says: one kind for all outputs, or one for each. Raises ConfigError for another word."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if unknown := [w for w in words if w not in get_args(OutputKind)]:
        raise ConfigError("--outputs", f"is made of the words classes and values, found {unknown[0]!r}")
    return tuple(cast(OutputKind, word) for word in words)


def check(job: Job) -> None:
    """Raise ConfigError where a flag was given that is of no use with the job's target or recipe."""
    if job.source.name is not None and not job.source.name.strip():
        raise ConfigError("--name", "is empty")
    target, limits, budget = job.target, job.limits, job.limits.budget
    trains = isinstance(job.recipe, SecondOrder) and job.recipe.distill
    has_board = isinstance(target, EngineTarget) and target.board is not None
    has_ram = isinstance(target, Target) and target.stack_bytes is not None
    board, figure = f"needs an engine on a board, not {target.name}", f"{target.name} has no such figure"
    see, name = "see dcgen targets", "name a microcontroller with --target"
    for flag, given, useful, problem, hint in (
        ("--checkpoint", job.checkpoint is not None, trains, "is for a training", "give --distill"),
        ("--bitstream", job.engine.bitstream, has_board, board, see),
        ("--lanes", job.engine.best_lanes, has_board, f"auto {board}", see),
        ("--ram", limits.ram is not None, has_ram, f"is for microcontrollers, not {target.name}", see),
        ("--flash", budget.flash is not None, is_predicted(target), figure, name),
        ("--max-instructions", budget.instructions is not None, is_predicted(target), figure, name),
    ):
        if given and not useful:
            raise ConfigError(flag, problem, hint)


def preprocess(
    name: str | None,
    mean: str | None = None,
    std: str | None = None,
    order: str | None = None,
    fit: str | None = None,
    size: int | None = None,
) -> host.Preprocess | None:
    """The preset of that name or the explicit settings; None, for the model's own, where nothing is given.

    Raises ConfigError where both are given, or only some of --mean, --std and --order.
    """
    flags = (("--mean", mean), ("--std", std), ("--order", order), ("--fit", fit))
    given = [flag for flag, value in flags if value is not None]
    if name is not None:
        if given:
            raise ConfigError("--preprocess", f"{name} and {given[0]} contradict each other", "give one of them")
        return host.with_size(host.preset(name), size)
    if not given:
        return None
    if mean is None or std is None or order is None:
        raise ConfigError("preprocess", f"{given[0]} alone is not enough", "--mean, --std and --order go together")
    means, deviations = _numbers("--mean", mean), _numbers("--std", std)
    return host.explicit(order, means, deviations, fit or "squash", None, size or 224)


def preprocess_of_output(form: InputForm, asked: Asked) -> InputForm:
    """The input of an output folder, ``form``, with another way of resizing pictures where one is asked for.

    Raises ConfigError where mean, deviation, order or size differ from those that the output was compiled with:
    its weights hold them.
    """
    if asked == NOTHING_ASKED:
        return form
    if not isinstance(form, host.Preprocess):
        raise ConfigError("preprocess", f"the output takes {form.name}, no pictures", "leave out all such options")
    name, mean, std, order, fit, size = asked
    resized_only = (name, mean, std, order) == (None,) * 4
    changed: dict[str, Any] = {} if fit is None else {"fit": fit}
    found = replace(form, **changed) if resized_only else preprocess(*asked)
    assert found is not None
    if (found.order, found.mean, found.std) != (form.order, form.mean, form.std):
        means, deviations = (",".join(f"{v:.7g}" for v in values) for values in (form.mean, form.std))
        compiled = f"was compiled with --order {form.order} --mean {means} --std {deviations}"
        raise ConfigError("preprocess", f"the output {compiled}, which its weights hold", "compile it again")
    if size not in (None, form.size):
        raise ConfigError("--input-size", f"is {size}, the output takes {form.size}", "compile it again")
    return replace(form, fit=found.fit, resize=max(found.resize, form.size) if name else form.resize)


def machine(target: str | None, lanes: str | None = None) -> Target | EngineTarget:
    """The target of that name, or the default one; an engine has ``lanes`` lanes unless they are ``auto``."""
    found = find(target or DEFAULT_TARGET)
    if lanes is None or lanes == "auto":
        return found
    if not isinstance(found, EngineTarget):
        raise ConfigError("--lanes", f"needs an engine, not {found.name}", "see dcgen targets")
    if not lanes.isdecimal() or len(lanes) > MOST_DIGITS:
        raise ConfigError("--lanes", f"expected a number or auto, found {lanes[:40]!r}")
    return with_lanes(found, int(lanes))


def amount_or_none(flag: str, text: str | None, kilo: int = 1000) -> int | None:
    """``amount`` of a flag that need not be given."""
    return None if text is None else amount(flag, text, kilo)


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(t) for t in text.split(",")]
    except ValueError:
        raise ConfigError(flag, f"expected numbers separated by commas, found {text!r}") from None
