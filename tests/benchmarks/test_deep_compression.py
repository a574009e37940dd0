"""The experiments of Deep Compression: their cases, the sizes that the paper counts, and a short run of all."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.deep_compression.cases import LONG, SHORT, Scale, cases
from benchmarks.deep_compression.measure import fixed_bytes
from benchmarks.deep_compression.table import csv_text, drawing
from dcgen.ir.graph import Conv, Graph, Input, Node, Weight
from dcgen.stages import checked, stage
from tests.process import ROOT


@pytest.mark.parametrize("scale", [SHORT, LONG])
def test_a_case_begins_with_an_earlier_one_and_its_stages_make_sense(scale: Scale) -> None:
    seen: set[str] = set()
    for case in cases(scale):
        assert case.name not in seen and (case.begun is None or case.begun.name in seen)
        seen.add(case.name)
        checked([stage(table, number) for number, table in enumerate(case.stages, 1)])


def test_the_long_form_has_what_the_paper_compares() -> None:
    both = [c.labels for c in cases(LONG) if c.group == "both" and c.network == "lenet5"]
    assert {(c["bits"], c["start"], c["trained"]) for c in both} == {
        (bits, start, trained)
        for bits in (2, 3, 4, 5, 8)
        for start in ("linear", "density", "forgy")
        for trained in (False, True)
    }
    assert {c.group for c in cases(LONG)} == {"dense", "pruned", "shared", "both", "dsd"}


def graph(values: np.ndarray) -> Graph:
    conv = Conv(Weight(values.astype(np.float32)), np.zeros(len(values), np.float32))
    return Graph("g", (Input("x", (values.shape[1], 1, 1)),), (Node("c", conv, ("x",)),), ("c",))


def test_sizes_without_huffman_are_those_that_the_paper_counts() -> None:
    full = np.ones((4, 100, 1, 1))
    assert fixed_bytes(graph(full), None) == 4 * (400 + 4)
    assert fixed_bytes(graph(full), 2) == (400 * 2 + 4 * 32 + 4 * 32) / 8
    sparse = np.zeros((4, 100, 1, 1))
    sparse.flat[[10, 43, 44, 200]] = 1  # runs of 10, 32, 0 and 155 zeros, which take 1 and 4 fillers
    assert fixed_bytes(graph(sparse), 4) == (9 * (4 + 5) + 4 * 32 + 16 * 32) / 8


@pytest.mark.slow
def test_the_short_form_runs_and_goes_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 300), ("test", 60)):
        labels = rng.integers(0, 10, count)
        pictures = rng.integers(0, 100, (count, 28, 28)).astype(np.uint8)
        pictures[np.arange(count), 2 * labels] += 100
        arrays |= {f"x_{part}": pictures, f"y_{part}": labels}
    np.savez(tmp_path / "data.npz", **arrays)
    command = [sys.executable, "-m", "benchmarks.deep_compression", str(tmp_path / "out"), "--short"]
    command += ["--data", str(tmp_path / "data.npz")]
    for _ in range(2):  # the second time from the folders of the runs
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    rows = list(csv.DictReader((tmp_path / "out" / "deep_compression.csv").open()))
    assert [row["case"] for row in rows] == [case.name for case in cases(SHORT)]
    for row in rows:
        assert 0 <= float(row["error"]) <= 1 and row["test_samples"] == "60"
        if row["group"] == "both":
            assert float(row["density_found"]) <= 0.08
            assert float(row["huffman_bytes"]) < float(row["fixed_bytes"]) < float(row["float_bytes"]) / 8
    assert (tmp_path / "out" / "deep_compression.png").read_bytes().startswith(b"\x89PNG")


def test_table_and_drawing_have_all_cases() -> None:
    rows = [
        {"network": c.network, "case": c.name, "group": c.group, **c.labels, "error": 0.1}
        | {"float_bytes": 100.0, "fixed_bytes": 10.0, "huffman_bytes": 8.0}
        for c in cases(SHORT)
    ]
    assert len(csv_text(rows).splitlines()) == 1 + len(rows)
    assert drawing(rows).startswith(b"\x89PNG")
