"""Numbers of planner and runtime: C and the documents have them from one table."""

from __future__ import annotations

import re

from dcgen.plan.firmware.constants import definitions, markdown
from tests.process import ROOT

RUNTIME = "\n".join(p.read_text() for p in sorted((ROOT / "firmware" / "runtime").glob("*.[ch]")))
NAMES = [f"DCG_{name}" for name, _, _ in definitions()]


def test_the_document_has_every_number_and_its_reason() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()
    assert markdown() in text, "run python -m dcgen.plan.firmware.constants"


def test_the_runtime_uses_every_number_and_defines_none_again() -> None:
    assert [name for name in NAMES if not re.search(rf"\b{name}\b", RUNTIME)] == []
    assert [name for name in NAMES if re.search(rf"#define {name}\b", RUNTIME)] == []
