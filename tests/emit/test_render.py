"""Names and values are written in C so that any text is safe."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from dcgen.emit.render import c_rows, c_string, comment_text, environment, identifier, render
from dcgen.resources import resource_dir


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", "digits"),
        ("SqueezeNet v1.1", "squeezenet_v1_1"),
        ("1x1", "n1x1"),
        ("int", "int_"),
        ("model", "model_"),
        ("dcg_crc", "dcg_crc_"),
        ("--a\n b--", "a_b"),
        ("größe", "gr_e"),
    ],
)
def test_identifier(name: str, expected: str) -> None:
    assert identifier(name) == expected


@pytest.mark.parametrize("name", ["", "  ", "---", "ß"])
def test_identifier_of_nothing(name: str) -> None:
    assert identifier(name) == "net"


def test_no_model_header_shadows_another() -> None:
    """A model's ``<name>.h`` comes before headers of the port and of C on the include path."""
    ports = {p.stem for p in (resource_dir("firmware") / "port").rglob("*.h")}
    assert {"port", "records"} <= ports
    for name in ports | {"stdint", "stddef", "stdio", "string"}:
        assert identifier(name) == f"{name}_"


@given(st.text())
def test_identifier_is_always_one(name: str) -> None:
    found = identifier(name)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", found)
    assert identifier(found) == found or found.endswith("_")


@given(st.text())
def test_c_string_is_plain_and_exact(text: str) -> None:
    literal = c_string(text)
    assert re.fullmatch(r'"([ !#-\[\]-~]|\\[0-7]{3})*"', literal)
    assert "??" not in literal
    body = re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), literal[1:-1].encode())
    assert body == text.encode()


@given(st.text())
def test_comment_text_cannot_end_its_comment(text: str) -> None:
    found = comment_text(text)
    assert "*/" not in found and "/*" not in found and "\n" not in found and found.isascii()


def test_c_rows() -> None:
    assert c_rows([1, 2, 3], 2, "u") == ["1u, 2u,", "3u,"]


def test_a_template_with_an_undefined_value_fails() -> None:
    with pytest.raises(UndefinedError):
        render("c/blob.S.j2")


def test_every_template_starts_with_the_banner() -> None:
    for template in environment().list_templates(filter_func=lambda n: n.startswith("c/") and "README" not in n):
        source = environment().loader.get_source(environment(), template)[0]  # type: ignore[union-attr]
        assert "banner }}" in source.splitlines()[0], template
