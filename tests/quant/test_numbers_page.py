"""docs/numbers.md computes what it says: its examples are run, its files exist."""

from __future__ import annotations

import doctest
import re

from tests.process import ROOT

PAGE = ROOT / "docs" / "numbers.md"
FENCE = "```"


def examples(page: str) -> str:
    """The page with every line blank that is not in a Python block, so that examples keep their line numbers."""
    lines, inside = [], False
    for line in page.splitlines():
        fence = line.startswith(FENCE)
        lines.append(line if inside and not fence else "")
        inside = line == f"{FENCE}python" if fence else inside
    return "\n".join(lines)


def test_every_example_gives_what_it_shows() -> None:
    test = doctest.DocTestParser().get_doctest(examples(PAGE.read_text()), {}, PAGE.name, str(PAGE), 0)
    report: list[str] = []
    found = doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert found.failed == 0, "".join(report)
    assert found.attempted > 50


def test_an_example_that_is_wrong_is_noticed() -> None:
    text = examples(PAGE.read_text().replace("\n(390, 0.975)\n", "\n(391, 0.975)\n"))
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None).failed == 1


def test_every_file_that_it_names_exists() -> None:
    text = PAGE.read_text()
    named = [ROOT / f for f in re.findall(r"`((?:dcgen|tests)/[\w/.]+)`", text)]
    named += [ROOT / "dcgen" / "quant" / m for m in re.findall(r"`(\w+\.py)`", text)]
    named += [PAGE.parent / link for link in re.findall(r"\]\(([^)#]+)", text)]
    assert len(named) > 10
    assert [str(f) for f in named if not f.exists()] == []
