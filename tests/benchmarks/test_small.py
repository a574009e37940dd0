"""What the default makes of small networks: bytes and fidelity, beside onnxruntime's 8-bit quantizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.small import Figures, Row, judged, measured, table
from benchmarks.zoo.members import MEMBERS, Member
from tests.zoo import network

QUICK = ("gratings2_timid", "presence_timid")
"""One network with classes and one without, whose training and compilation take seconds."""


def figures(**changes: object) -> Figures:
    start: dict[str, object] = {"n": 2000, "relative_error": [0.05], "float_": 0.95, "compressed": 0.949}
    start |= {
        "change": -0.001,
        "change_interval": (-0.003, 0.001),
        "agreement": 0.99,
        "agreement_interval": (0.98, 1),
    }
    return Figures(**{**start, **changes})  # type: ignore[arg-type]


def row(kind: str, size: int, ours: Figures) -> Row:
    return Row("x", kind, 4000, size, ours, 5.0, 5000, figures())


def test_a_row_that_reaches_every_bar_misses_none() -> None:
    assert row("classes", 3600, figures()).misses() == []
    assert row("values", 3600, figures(relative_error=[0.1, 0.02])).misses() == []


def test_each_bar_is_missed_by_name_and_figure() -> None:
    assert row("classes", 3601, figures()).misses() == ["3,601 bytes, more than 3,600"]
    assert row("classes", 1, figures(n=999)).misses() == ["999 samples, fewer than 1000"]
    assert row("classes", 1, figures(change=-0.0105)).misses() == ["1.05 points lost, more than 1"]
    assert row("classes", 1, figures(agreement=0.969)).misses() == ["agreement 96.9 %, less than 97 %"]
    assert row("values", 1, figures(relative_error=[0.1, 0.12])).misses() == [
        "relative error 0.120, more than 0.1"
    ]


def test_a_refusal_is_what_was_missed() -> None:
    refused = Row("x", "values", 4000, None, None, 5.0, 5000, figures(), "max_kl cannot be met")
    assert refused.misses() == ["max_kl cannot be met"]
    assert table([refused]).splitlines()[-1].endswith("| max_kl cannot be met |")


def test_the_table_has_both_rivals_in_one_line() -> None:
    head, _, line = table([row("classes", 3601, figures())]).splitlines()
    cells = dict(zip(head.split(" | "), line.split(" | "), strict=True))
    assert (cells["bytes"], cells["int8 bytes"]) == ("3,601", "5,000")
    assert cells["change, points"] == "-0.10 [-0.30, +0.10], n 2,000"


def check(member: Member, out: Path) -> None:
    """dcgen reaches the bars. What onnxruntime's quantizer makes stands beside it, but is not judged: on some
    processors, sums of its products saturate."""
    found = measured(network(member), out)
    assert found.misses() == [], table([found])
    assert (
        found.rival_bytes > found.parameters
        and found.figures is not None
        and found.rival_figures.n == found.figures.n
    )


@pytest.mark.parametrize("name", QUICK)
def test_the_default_is_small_and_right_on_a_small_network(name: str, tmp_path: Path) -> None:
    (member,) = (m for m in MEMBERS if m.name == name)
    check(member, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("member", [m for m in MEMBERS if m.name not in QUICK], ids=lambda m: m.name)
def test_the_default_is_small_and_right_on_every_small_network(member: Member, tmp_path: Path) -> None:
    check(member, tmp_path)


def test_a_binary_network_is_judged_by_the_sign_of_its_score() -> None:
    (member,) = (m for m in MEMBERS if m.name == "presence_timid")
    made = network(member)
    reference = made.test.targets.astype(np.float32) - 0.25
    worse = reference.copy()
    worse[:20] *= -1
    found = judged(made, reference, worse)
    assert (found.float_, found.compressed) == (1.0, 0.99) and found.change == pytest.approx(-0.01)
    assert found.agreement is None
