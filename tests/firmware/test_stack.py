"""The stated need of stack: no compiler at hand makes more of it, no run uses more, and none is wasted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.firmware.stack import COMPILERS, GCC_ARM, LEVELS, deepest
from dcgen.emit.firmware import runtime_files
from dcgen.targets import TARGETS, Target
from dcgen.targets.stack import STACK, Core
from tests.firmware.build import write
from tests.firmware.test_toolchains import checked

HARNESS_BYTES = 256
"""Stack of what calls the runtime in the programs that are run: start-up code, the harness and its trace."""
CORE_OF: dict[str, Core] = {"helium": "helium", "dsp": "dsp", "none": "other"}
"""The core whose figures hold for a target, by the target's extension."""
EVERYDAY: tuple[tuple[Core, str, str], ...] = (
    ("dsp", f"{GCC_ARM} -mcpu=cortex-m4", "-O2"),
    ("helium", COMPILERS["helium"][0], "-O0"),
)
ALL = [
    (core, compiler, level)
    for core, compilers in COMPILERS.items()
    for compiler in compilers
    for levels in LEVELS.values()
    for level in levels
]


def stated(core: Core, level: str) -> int:
    return STACK[core].not_optimised if level == "-O0" else STACK[core].optimised


@pytest.mark.parametrize(("core", "compiler", "level"), EVERYDAY)
def test_no_chain_of_calls_takes_more_than_stated(core: Core, compiler: str, level: str) -> None:
    count, chain = deepest(compiler, level)
    assert len(chain) > 3
    assert stated(core, level) - 512 < count <= stated(core, level), chain


@pytest.mark.slow
def test_the_figures_are_those_of_the_compilers_at_hand() -> None:
    """Each figure is the largest over all compilers and levels, rounded up to 64 bytes."""
    found: dict[tuple[Core, bool], int] = {}
    for core, compiler, level in ALL:
        key = core, level != "-O0"
        found[key] = max(found.get(key, 0), deepest(compiler, level)[0])
    for (core, optimised), count in found.items():
        figure = STACK[core].optimised if optimised else STACK[core].not_optimised
        assert figure - 64 < count <= figure, (core, optimised)


@pytest.mark.parametrize("target", [t for t in TARGETS if t.stack_bytes], ids=lambda t: t.name)
def test_a_budget_leaves_as_much(target: Target) -> None:
    assert target.stack_bytes
    assert STACK[CORE_OF[target.extension]].optimised + HARNESS_BYTES <= target.stack_bytes


@pytest.mark.parametrize("target", [t for t in TARGETS if t.stack_bytes], ids=lambda t: t.name)
def test_a_run_uses_no_more_than_stated(target: Target, digits_out: Path, tmp_path: Path) -> None:
    check = checked(digits_out, target.name, tmp_path, "-O2")
    assert check.stack_bytes
    assert check.stack_bytes <= STACK[CORE_OF[target.extension]].optimised + HARNESS_BYTES


@pytest.mark.parametrize(
    ("core", "compiler"),
    [
        ("helium", COMPILERS["helium"][0]),
        ("helium", COMPILERS["helium"][2]),
        ("dsp", f"{GCC_ARM} -mcpu=cortex-m4"),
        ("dsp", COMPILERS["dsp"][4]),
        ("other", f"{GCC_ARM} -mcpu=cortex-m0plus"),
        ("other", COMPILERS["other"][4]),
        ("wide", "gcc"),
        ("wide", "clang"),
    ],
)
@pytest.mark.parametrize("level", ["-O0", "-Os"])
def test_the_header_states_the_figure_of_its_core(core: Core, compiler: str, level: str, tmp_path: Path) -> None:
    write(tmp_path, runtime_files())
    (tmp_path / "t.c").write_text('#include "dcg.h"\nint found = DCG_STACK_BYTES;\n')
    command = [*compiler.split(), level, "-E", "t.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"int found = {stated(core, level)}u;"
