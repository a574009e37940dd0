"""How ``dcgen explore`` shows a front."""

import sys
from pathlib import Path

import pytest

from dcgen.command.explore import show
from dcgen.errors import ToolError
from dcgen.explore.tables import Row
from dcgen.extras import import_optuna


def test_a_front_is_shown_with_what_was_varied(capsys):
    point = {"squeeze_ratio": 0.4945754, "fires": 3, "bypass": "simple"}
    figures = {"accuracy": 0.97251, "bytes": 12_345, "instructions": 3_456_789}
    best = Row(7, "trained", point, figures, True, "runs/0007", "")
    rows = [
        Row(0, "infeasible", point, {}, False, "", "too large"),
        Row(3, "trained", point, {**figures, "bytes": 20_000}, False, "", ""),
        best,
    ]
    show(rows, Path("folder"))
    printed = capsys.readouterr().out
    assert "│       7 │   0.9725 │ 12,345 │ 3.46   │ squeeze_ratio 0.4946, fires 3, bypass simple │" in printed
    assert "20,000" not in printed
    assert printed.splitlines()[-3:] == [
        "3 networks: 1 infeasible, 2 trained",
        "written to folder, without plots: pip install 'dcgen[plot]' for them",
        "compile one of the front with: dcgen compile folder/runs/0007 -o OUT",
    ]


def test_a_study_without_a_front_says_so(capsys):
    show([Row(0, "infeasible", {"fires": 3}, {}, False, "", "too large")], Path("folder"))
    printed = capsys.readouterr().out
    assert "1 networks: 1 infeasible" in printed and "compile" not in printed


def test_a_missing_optuna_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ToolError, match=r"optuna: is needed to search \(pip install dcgen\[explore\]\)"):
        import_optuna("to search")
