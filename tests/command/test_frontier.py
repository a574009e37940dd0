"""How ``dcgen frontier`` shows its curve."""

from pathlib import Path

from dcgen.command.console import stdout
from dcgen.command.frontier import show
from dcgen.frontier import Row


def test_a_curve_is_readable_in_80_columns(capsys, monkeypatch):
    monkeypatch.setattr(stdout, "width", 80)
    one = Row(
        "points/01.npz", 1_447_180, 0.0464, 0.925, 0.2, 0.7257, 999_939_429, 877_091_543, 16_230_908, 8.97e-8
    )
    two = Row("points/02.npz", 245_212, 0.449, 0.66, 0.4, 0.385, 189_474_167, None, None, 5e-7)
    show((one, two), Path("curve"))
    table, written, how = capsys.readouterr().out.rsplit("\n", 3)[:3]
    assert "│ 01    │ 1,447,180 │  0.0464 │    0.9250 │  0.7257 │ 999.94 │ 877.09 │ 16.23  │" in table
    assert "│ 02    │   245,212 │  0.4490 │    0.6600 │  0.3850 │ 189.47 │        │        │" in table
    assert written == "written to curve, without a plot: pip install 'dcgen[plot]' for one"
    assert how == "compile a point of this model with --point curve/points/01.npz"


def test_a_curve_of_values_shows_their_error(capsys, monkeypatch):
    monkeypatch.setattr(stdout, "width", 80)
    one = Row("points/01.npz", 2_320, None, None, 0.0532, 0.7257, 40_019, 319_136, 16_230_908, 8.97e-8)
    show((one,), Path("curve"))
    table = capsys.readouterr().out
    assert "error" in table and "mean KL" not in table and "agreement" not in table
    assert "│ 01    │ 2,320 │ 0.0532 │  0.7257 │ 0.04 │ 0.32   │ 16.23  │" in table
