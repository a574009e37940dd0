"""The runtime's files and functions are named as docs/kernels.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RUNTIME = ROOT / "firmware" / "runtime"
PAGE = (ROOT / "docs" / "kernels.md").read_text()
SOURCES = sorted(p.name for p in RUNTIME.glob("*.c"))
FOR_ARCHITECTURES = [name for name in SOURCES if name.endswith(("_dsp.c", "_helium.c"))]


def table(heading: str) -> str:
    """The page's text under a heading."""
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_says_what_it_is_about(name: str) -> None:
    what = name.removesuffix(".c").split("_")[1]
    assert f"`{what}`" in table("The grammar")


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith("dcg_conv_")])
def test_a_convolution_s_file_names_its_kernel_or_part(name: str) -> None:
    kernel_or_part = name.removesuffix(".c").split("_")[2]
    assert f"`{kernel_or_part}`" in table("The grammar")


@pytest.mark.parametrize("name", FOR_ARCHITECTURES)
def test_what_is_exported_for_an_architecture_has_a_portable_twin(name: str) -> None:
    """The file without an architecture's name defines the same functions."""
    exported = r"^(?:DCG_NAKED )?(?!static|DCG_)\w[\w ]*\b(dcg_\w+)\([^;]*?\{"
    found = set(re.findall(exported, (RUNTIME / name).read_text(), re.MULTILINE))
    twin = re.sub(r"_(dsp|helium)\.c$", ".c", name)
    assert found and found <= set(re.findall(exported, (RUNTIME / twin).read_text(), re.MULTILINE))


def test_the_page_names_files_that_exist_and_every_kernel() -> None:
    named = set(re.findall(r"`(dcg_\w+\.[ch])`", PAGE))
    assert named <= {p.name for p in RUNTIME.iterdir()} | {"dcg_format.h"}
    assert named >= {*FOR_ARCHITECTURES} - {"dcg_weights_read_dsp.c"}
