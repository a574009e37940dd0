"""What the commands say of figures that they are given."""

from pathlib import Path

from dcgen.command.commands import distillation_rows, show_frontier
from dcgen.command.console import stdout
from dcgen.frontier import Row

START, BEST = {"blob_bytes": 2000, "mean_kl": 0.1}, {"blob_bytes": 1900, "mean_kl": 0.09}


def test_whether_distillation_helped_is_said():
    def said(best, helped):
        found = {"start": START, "best": best, "helped": helped, "rounds": [{}] * 3}
        ((_, text),) = distillation_rows({"distillation": found})
        return text

    assert said(BEST, True) == "2,000 bytes at 0.1000 nats became 1,900 bytes at 0.0900 nats in 3 rounds"
    assert said(BEST, False).startswith("did not help: 2,000 bytes at 0.1000 nats kept")
    assert said(None, False).startswith("did not help: nothing better than 2,000 bytes")
    assert distillation_rows({}) == []


def test_a_curve_is_readable_in_80_columns(capsys, monkeypatch):
    monkeypatch.setattr(stdout, "width", 80)
    one = Row("points/01.npz", 1_447_180, 0.0464, 0.925, 0.7257, 999_939_429, 877_091_543, 16_230_908, 8.97e-8)
    two = Row("points/02.npz", 245_212, 0.449, 0.66, 0.385, 189_474_167, None, None, 5e-7)
    show_frontier((one, two), Path("curve"))
    table, written, how = capsys.readouterr().out.rsplit("\n", 3)[:3]
    assert "│ 01    │ 1,447,180 │  0.0464 │    0.9250 │  0.7257 │ 999.94 │ 877.09 │ 16.23  │" in table
    assert "│ 02    │   245,212 │  0.4490 │    0.6600 │  0.3850 │ 189.47 │        │        │" in table
    assert written == "written to curve, without a plot: pip install 'dcgen[plot]' for one"
    assert how == "compile a point of this model with --point curve/points/01.npz"
