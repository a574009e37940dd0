"""Names from files reach terminal and Markdown as text."""

import io

import pytest
from rich.console import Console

from dcgen.command import console
from dcgen.escape import markdown, plain


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("features.3.squeeze", "features.3.squeeze"),
        ("größe", "größe"),
        ("a\x1b[2Jb\x07", "a\\x1b[2Jb\\x07"),
        ("a\nb\r\u2028c\td", "a\\x0ab\\x0d\\u2028c\\x09d"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("pay\u202elaed\u2066", "pay\\u202elaed\\u2066"),
        ("a\u200bb\u2060\ufeff\u3164\xa0", "a\\u200bb\\u2060\\ufeff\\u3164\\xa0"),
        ("\udc80\U000e0041", "\\udc80\\U000e0041"),
    ],
)
def test_what_is_not_printed_is_escaped_for_terminals(name, shown):
    assert plain(name) == shown


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("conv1", "conv1"),
        ("a|b\nc", "a\\|b\\\\x0ac"),
        ("<script>x</script>", "\\<script\\>x\\</script\\>"),
        ("[a](http://b)`c`", "\\[a\\]\\(http\\://b\\)\\`c\\`"),
        ("www.a.b a@b **c** ~~d~~ &lt;", "www\\.a.b a\\@b \\*\\*c\\*\\* \\~\\~d\\~\\~ \\&lt;"),
    ],
)
def test_signs_with_a_meaning_are_escaped_in_markdown(name, written):
    assert markdown(name) == written


def test_markup_and_escape_sequences_are_text_everywhere(monkeypatch, capsys):
    shown = io.StringIO()
    terminal = Console(file=shown, width=100, force_terminal=True, color_system=None)
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(console, stream, terminal)
    name = "a[/b][red]c :smile: \x1b[2J"
    console.print_table(name, (name,), [(name,)], terminal)
    console.print_line(name)
    console.print_error(name)
    console.print_warning(name)
    with console.progress() as progress:
        progress(name, 1, 2)
    assert shown.getvalue().count("a[/b][red]c :smile: \\x1b[2J") >= 7
    assert "\x1b[2J" not in shown.getvalue()


def test_an_error_of_megabytes_is_cut(monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(console, "stderr", Console(file=shown))
    console.print_error("begin" + "x" * 5_000_000 + "end")
    text = shown.getvalue()
    assert text.startswith("dcgen: error: begin") and text.endswith("end\n") and len(text) < 2100
