"""The report on planted faults is of the present gateware, and the tests have caught every fault in it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from types import ModuleType
from typing import Any

import pytest

from tests.process import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutate_gateware", ROOT / "scripts" / "mutate_gateware.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs/hardware/mutations.json").read_text(encoding="utf-8"))
    return found


def test_the_faults_that_were_tried_are_those_of_the_gateware_there_is_now(
    script: ModuleType, report: dict[str, Any]
) -> None:
    """If not, ``python scripts/mutate_gateware.py --report docs/hardware/mutations.json`` makes it, in an hour."""
    drawn = [script.described(mutant) for mutant in script.draw(report["seed"], report["per_block"])]
    assert [{k: v for k, v in fault.items() if k != "verdict"} for fault in report["mutants"]] == drawn


def test_three_faults_a_block_and_forty_in_all(script: ModuleType, report: dict[str, Any]) -> None:
    blocks = Counter(fault["block"] for fault in report["mutants"])
    with_logic = {f.stem: sum(1 for _ in script.mutants(f)) for f in script.blocks()}
    assert blocks == {name: min(3, faults) for name, faults in with_logic.items() if faults}
    assert sum(blocks.values()) >= 40
    assert {fault["rule"] for fault in report["mutants"]} == {rule.__name__ for rule in script.RULES}


def test_every_fault_is_caught_or_changes_nothing_for_a_stated_reason(
    script: ModuleType, report: dict[str, Any]
) -> None:
    for fault in report["mutants"]:
        reason = script.EQUIVALENT.get(fault["name"])
        expected = f"equivalent: {reason}" if reason else "caught by test_"
        assert fault["verdict"].startswith(expected), fault["name"]
