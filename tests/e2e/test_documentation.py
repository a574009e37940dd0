"""The commands that the documents show exist."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.process import ROOT, dcgen

DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "architecture.md"]
PAGES = [ROOT / "README.md", ROOT / "hw" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shell_lines(document: Path) -> list[str]:
    """The commands in a document's indented blocks, continued lines joined, comments removed."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    return [m.split("#")[0].strip() for m in re.findall(r"^ {4}((?:dcgen|make) .*)$", text, re.MULTILINE)]


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
        words = line.split()
        if words[0] == "make":
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        else:
            unknown = [w for w in words[2:] if w.startswith("--") and w not in help_of(words[1])]
            assert unknown == [], line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    folders = "benchmarks|dcgen|docs|firmware|hw|scripts|templates|tests"
    named = [ROOT / name for name in re.findall(rf"`((?:{folders})/[\w./-]*\w)[/`]", text)]
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    named += [page.parent / link for link in links]
    assert named or page not in DOCUMENTS
    assert [str(name) for name in named if not name.exists()] == []


def test_the_readme_s_firmware_example_compiles(digits_out: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"```c\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "example.c").write_text(example)
    includes = [f"-I{digits_out / 'firmware' / folder}" for folder in ("runtime", "model")]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-c", "-o", "/dev/null"]
    subprocess.run(["gcc", *flags, *includes, tmp_path / "example.c"], check=True)
