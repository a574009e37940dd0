"""The commands that the documents show exist."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.command import ROOT, dcgen

DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "architecture.md"]


def shell_lines(document: Path) -> list[str]:
    """The commands of a document's indented and fenced blocks, continued lines joined."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    return [m.strip() for m in re.findall(r"^(?: {4})?((?:dcgen|make) .*)$", text, re.MULTILINE)]


@cache
def help_of(command: str) -> str:
    done = dcgen(command, "--help")
    assert done.returncode == 0, f"there is no command dcgen {command}"
    return done.stdout


def test_the_two_commands_are_named() -> None:
    lines = shell_lines(ROOT / "README.md")
    assert "make demo" in lines and "make test" in lines


@pytest.mark.parametrize("command", ["compile", "verify", "eval", "inspect", "model", "targets"])
def test_every_command_is_shown_and_speaks_json(command: str) -> None:
    assert any(line.startswith(f"dcgen {command}") for line in shell_lines(ROOT / "README.md"))
    assert "--json" in help_of(command)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_shown_commands_exist(document: Path) -> None:
    for line in shell_lines(document):
        words = line.split("#")[0].split()
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        else:
            unknown = [w for w in words[2:] if w.startswith("--") and w not in help_of(words[1])]
            assert unknown == [], line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_named_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`((?:dcgen|docs|firmware|hw|scripts|templates|tests)/[\w./]*)`", text)
    named += [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert named
    folder = {name: (document.parent if name.startswith(".") else ROOT) for name in named}
    assert [name for name in named if not (folder[name] / name).exists()] == []
