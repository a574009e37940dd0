"""Flags are known to the command line alone: their conditions, and their names in messages of other code."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest

from dcgen.command.arguments import FLAGS, NOTHING_ASKED, check, machine, preprocess_of_output, with_flags
from dcgen.command.compile import compile_
from dcgen.command.evaluate import eval_
from dcgen.command.frontier import frontier_
from dcgen.command.inspect import inspect_
from dcgen.command.train import train_
from dcgen.compress.recipes import recipe
from dcgen.errors import ConfigError
from dcgen.inputs.tensor import TensorInput
from dcgen.pictures import explicit, preset, with_size
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
    assert named and named <= set(FLAGS) <= {*signature(compile_).parameters, *signature(train_).parameters}


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


FORM = explicit("rgb", (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "squash", None, 32)
SAME = ("1,2,3", "4,5,6", "rgb")


def test_an_output_keeps_its_preprocessing() -> None:
    """What its weights hold cannot be changed; how pictures are resized can."""
    assert preprocess_of_output(FORM, NOTHING_ASKED) is FORM
    assert preprocess_of_output(FORM, (None, *SAME, None, None)) == FORM
    assert preprocess_of_output(FORM, (None, None, None, None, "short-side", 32)).fit == "short-side"  # type: ignore[union-attr]
    caffe = with_size(preset("caffe"), 64)
    assert preprocess_of_output(caffe, ("caffe", None, None, None, None, None)) == caffe
    for asked, problem in (
        (
            (None, "1,2,4", *SAME[1:], None, None),
            "was compiled with --order rgb --mean 1,2,3 --std 4,5,6, which",
        ),
        (
            ("caffe", None, None, None, None, None),
            "was compiled with --order rgb --mean 1,2,3 --std 4,5,6, which",
        ),
        ((None, *SAME, None, 64), "--input-size: is 64, the output takes 32"),
        ((None, "1,2,3", None, None, None, None), "--mean alone is not enough"),
    ):
        with pytest.raises(ConfigError, match=problem):
            preprocess_of_output(FORM, asked)


def test_an_output_of_values_has_no_preprocessing() -> None:
    values = TensorInput("int8", 1.0, 0.0, (4, 1, 1))
    assert preprocess_of_output(values, NOTHING_ASKED) is values
    with pytest.raises(ConfigError, match="preprocess: the output takes int8 values, no pictures"):
        preprocess_of_output(values, (None, None, None, None, "squash", None))


@pytest.mark.parametrize("command", [compile_, frontier_, eval_, inspect_])
def test_commands_that_read_pictures_take_the_same_options(command: Callable[..., None]) -> None:
    taken = signature(command).parameters
    wanted = ("preprocess", "mean", "std", "order", "fit", "input_size")
    assert {name: taken[name].annotation for name in wanted} == {
        name: signature(compile_).parameters[name].annotation for name in wanted
    }


def test_lanes_of_thousands_of_digits_are_no_number() -> None:
    with pytest.raises(ConfigError, match=r"--lanes: expected a number or auto, found '9{40}'"):
        machine("ulx3s-85f", "9" * 5_000)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name(name: str) -> None:
    with pytest.raises(ConfigError, match="--name: is empty"):
        check(replace(JOB, source=replace(JOB.source, name=name)))
