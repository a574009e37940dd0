"""Flags are known to the command line alone: their conditions, and their names in messages of other code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest

from dcgen.command.arguments import FLAGS, check, with_flags
from dcgen.command.compile import compile_
from dcgen.compress.recipes import recipe
from dcgen.errors import ConfigError
from dcgen.plan.firmware.needs import Budget
from dcgen.result import EngineChoices, Job, Limits, Pictures, Source
from dcgen.targets import HOST, ULX3S_85F, EngineTarget, Target, find
from tests.process import ROOT

JOB = Job(
    source=Source(model="digits"),
    pictures=Pictures(folder=Path("pictures")),
    recipe=recipe("second-order"),
    target=find("cortex-m7"),
)


def texts_of_errors() -> Iterator[tuple[str, str]]:
    """Each text in a ``raise`` outside of the command layer, with its file."""
    for file in (ROOT / "dcgen").rglob("*.py"):
        if "command" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise):
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield str(file.relative_to(ROOT)), part.value


def test_library_code_names_no_flags() -> None:
    flags = re.compile("|".join(rf"--{name.replace('_', '-')}\b" for name in signature(compile_).parameters))
    assert [(file, text) for file, text in texts_of_errors() if flags.search(text)] == []


def test_every_setting_that_a_message_names_has_a_flag() -> None:
    named = {name for _, text in texts_of_errors() for name in re.findall("`([a-z0-9_]+)`", text)}
    assert named and named <= set(FLAGS) <= set(signature(compile_).parameters)


def test_people_see_flags() -> None:
    assert with_flags("net: needs 5 bytes, `max_bytes` allows 4") == "net: needs 5 bytes, --max-bytes allows 4"
    assert with_flags("`a`.onnx: is no file of `ours`") == "`a`.onnx: is no file of `ours`"


@pytest.mark.parametrize("target", [HOST, ULX3S_85F], ids=lambda t: t.name)
def test_a_target_without_figures_takes_no_budget(target: Target | EngineTarget) -> None:
    job = replace(JOB, target=target)
    check(job)
    for flag, budget in (("--flash", Budget(flash=1)), ("--max-instructions", Budget(instructions=1))):
        with pytest.raises(ConfigError, match=rf"{flag}: .* has no such figure \(name a micro.* with --target\)"):
            check(replace(job, limits=Limits(budget=budget)))
        check(replace(JOB, limits=Limits(budget=budget)))


@pytest.mark.parametrize("target", [HOST, ULX3S_85F], ids=lambda t: t.name)
def test_ram_is_a_microcontroller_s(target: Target | EngineTarget) -> None:
    limits = Limits(ram=65_536)
    check(replace(JOB, limits=limits))
    with pytest.raises(ConfigError, match=f"--ram: is for microcontrollers, not {target.name}"):
        check(replace(JOB, limits=limits, target=target))


@pytest.mark.parametrize("target", ["cortex-m7", "engine-8"])
def test_a_bitstream_and_the_best_lanes_need_a_board(target: str) -> None:
    for flag, wanted in (
        ("--bitstream", EngineChoices(bitstream=True)),
        ("--lanes", EngineChoices(best_lanes=True)),
    ):
        check(replace(JOB, engine=wanted, target=ULX3S_85F))
        with pytest.raises(ConfigError, match=f"{flag}: .*needs an engine on a board, not {target}"):
            check(replace(JOB, engine=wanted, target=find(target)))


def test_a_checkpoint_is_a_training_s() -> None:
    job = replace(JOB, checkpoint=Path("training"))
    check(replace(job, recipe=recipe("second-order", {"distill": True})))
    for other in ("second-order", "keep"):
        with pytest.raises(ConfigError, match=r"--checkpoint: is for a training \(give --distill\)"):
            check(replace(job, recipe=recipe(other)))
