"""Names and values are written in C so that any text is safe."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from dcgen.emit.render import c_rows, c_string, comment_text, environment, render


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
