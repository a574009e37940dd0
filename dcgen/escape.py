"""Names from files made harmless for a terminal and for Markdown. What users named is shown, never obeyed.

Names of nodes, tensors, graphs and files may hold anything: escape sequences that clear a terminal or write to its
clipboard, characters that turn the direction of the text, line ends, markup, HTML.
"""

from __future__ import annotations

import re

_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that are drawn as nothing."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#!|~&$@:])")


def plain(text: str) -> str:
    r"""``text`` for a terminal: one line, in which each character that is not printed has the form ``\x1b``.

    These are control and format characters (bidirectional, of no width), line ends, blanks other than the space,
    surrogates, and code points without a character.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and c not in _BLANK else _escaped(c) for c in text)


def markdown(text: object) -> str:
    """``text`` for Markdown, tables included: in one line, each sign that may mean something after a backslash."""
    return _MARKDOWN.sub(r"\\\1", plain(str(text))).replace("www.", "www\\.")


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
