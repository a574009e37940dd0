"""The register map: one description, rendered for C and for people."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dcgen.hw.contract import regmap
from dcgen.hw.contract.parameters import EngineParameters
from tests.process import ROOT


def test_the_document_is_current() -> None:
    assert (ROOT / "docs/registers.md").read_text() == regmap.markdown(), "run python -m dcgen.hw.contract.regmap"


def test_registers_lie_apart_and_below_the_command_window() -> None:
    offsets = [r.offset for r in regmap.REGISTERS]
    assert len(set(offsets)) == len(offsets)
    assert all(offset % 4 == 0 and offset < regmap.COMMANDS for offset in offsets)


@pytest.mark.parametrize("register", [r for r in regmap.REGISTERS if r.fields], ids=lambda r: r.name)
def test_fields_lie_apart(register: regmap.Register) -> None:
    masks = [f.mask for f in register.fields]
    assert sum(masks) < 1 << 32
    assert all(a & b == 0 for i, a in enumerate(masks) for b in masks[:i])


def test_every_parameter_has_a_register() -> None:
    values = regmap.parameter_values(EngineParameters())
    assert set(values) == set(EngineParameters.__dataclass_fields__)
    assert values["lanes"] == 49
    assert values["strides"] == 0x06030201


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^command_words must be at most 8192 behind a bus, not 9000$"):
        regmap.parameter_values(replace(EngineParameters(), command_words=9000))
    with pytest.raises(ValueError, match=r"^strides must be at most 4 behind a bus, not \(1, 2, 3, 4, 5\)$"):
        regmap.parameter_values(replace(EngineParameters(), strides=(1, 2, 3, 4, 5)))


def test_the_header_compiles_and_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "dcg_engine_regs.h").write_text(regmap.c_header())
    checks = [f"DCG_ENGINE_{r.name.upper()} == {r.offset}" for r in regmap.REGISTERS]
    checks += [
        f"DCG_ENGINE_{r.name.upper()}_{f.name.upper()}_MASK == {f.mask}u"
        for r in regmap.REGISTERS
        for f in r.fields
    ]
    tests = "\n".join(f"typedef char check_{i}[{c} ? 1 : -1];" for i, c in enumerate(checks))
    (tmp_path / "check.c").write_text(f'#include "dcg_engine_regs.h"\n{tests}\n')
    subprocess.run(["cc", "-std=c99", "-pedantic", "-Werror", "-c", "check.c"], cwd=tmp_path, check=True)
    exact = re.search(r"EXACT_PARAMETERS 0x([0-9A-F]+)u", regmap.c_header())
    assert exact and int(exact[1], 16).bit_count() == len(regmap.EXACT_PARAMETERS)
