"""The entry point of the ``dcgen`` script."""

import sys

import pytest

from dcgen.__main__ import main


class _Interrupts:
    """An import finder that behaves as if the user pressed Ctrl-C while the command line is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name == "dcgen.command.app":
            raise KeyboardInterrupt


def test_an_interrupt_while_loading_ends_in_one_line(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "dcgen.command.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Interrupts(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "dcgen: interrupted\n"
