"""The comparison with rivals' files: the same levels in other codes, curves, and how NNCodec is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rivals import nncodec, same_levels
from benchmarks.rivals.same_levels import Levels
from benchmarks.rivals.table import Row, duels, interpolated
from dcgen.encode.reader import describe
from dcgen.encode.schema import Kind
from dcgen.encode.stream import stream_size
from dcgen.errors import ToolError
from dcgen.fidelity import Agreement, Fidelity, OutputFigures
from dcgen.importers import load
from dcgen.output import open_output
from dcgen.quant.qgraph import QConv
from tests.process import ROOT, dcgen_json


@pytest.fixture(scope="module")
def layers(digits_out: Path) -> list[Levels]:
    nodes = open_output(digits_out).qgraph.nodes
    return [Levels(n.op.indices, len(n.op.levels)) for n in nodes if isinstance(n.op, QConv)]


def row(size: int, kl: float) -> Row:
    classes = Agreement(1.0, (0.0, 1.0), kl, (kl, kl))
    return Row("x", "", size, Fidelity(1, (OutputFigures("scores", (10,), 0.0, classes),)))


def test_the_joint_code_makes_what_the_blob_holds(layers: list[Levels], digits_out: Path) -> None:
    convs = [a for a in describe((digits_out / "model.dcb").read_bytes()).layers if a.kind is Kind.CONV]
    assert same_levels.joint_huffman(layers) == sum(a.table_bytes + stream_size(a.stream_bits) for a in convs)


def test_no_code_is_below_the_entropy(layers: list[Levels]) -> None:
    least = same_levels.joint_entropy(layers)
    assert 0 < least < same_levels.joint_huffman(layers)
    assert least < same_levels.separate_huffman(layers)


def test_the_entropy_of_known_frequencies() -> None:
    """Eight pairs of zero run and level, each equally often, take three bits each."""
    flat = np.array([v for level in range(1, 5) for v in (level, 0, level)] * 64, np.uint8)
    assert same_levels.joint_entropy([Levels(flat.reshape(1, -1, 1, 1), 5)]) == 4 * 2 * 64 * 3 // 8


def test_a_curve_is_read_between_its_points() -> None:
    curve = [row(300, 0.1), row(100, 0.4)]
    assert interpolated(curve, 200) == pytest.approx(0.2)
    assert interpolated(curve, 100) == pytest.approx(0.4) and interpolated(curve, 301) is None
    (duel,) = duels([row(200, 0.05), row(500, 0.01)], [curve, [row(100, 0.1), row(300, 0.1)]])
    assert (duel.bytes, duel.ours, duel.theirs) == (200, 0.05, pytest.approx(0.1))


STUB = """
import io
import numpy as np

def compress(parameters, bitstream_path, use_dq, param_opt, return_bitstream, qp=0, **settings):
    assert use_dq == (qp < 0) and param_opt and bitstream_path is None and return_bitstream
    file = io.BytesIO()
    np.savez(file, **{k: np.rint(v * 2.0 ** (-qp / 16)).astype(np.int32) for k, v in parameters.items()}, qp=qp)
    return bytearray(file.getvalue() + bytes(-100 * qp))

def decompress(stream):
    file = np.load(io.BytesIO(bytes(stream)))
    return {k: (file[k] * 2.0 ** (file["qp"] / 16)).astype(np.float32) for k in file.files if k != "qp"}
"""


@pytest.fixture
def stubbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of NNCodec's name that rounds weights, and whose files are longer for finer steps."""
    for name, text in (("nncodec/__init__.py", ""), ("nncodec/nnc.py", STUB)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("nncodec", "torch"):
        (tmp_path / f"{name}-0.1.dist-info").mkdir()
        (tmp_path / f"{name}-0.1.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 0.1\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_nncodec_is_asked_for_the_smallest_stream_from_a_size_on(stubbed: Path) -> None:
    graph = load("digits").graph
    variants = (nncodec.Variant("plain", nncodec.COMMON),)
    small = 82_000
    versions, points = nncodec.encode(graph, (small, small + 1000), Path(sys.executable), stubbed, variants)
    assert versions["nncodec"] == "0.1" and [p.variant for p in points] == ["plain", "plain"]
    for point, target in zip(points, (small, small + 1000), strict=True):
        assert target <= point.bytes < target + 200
        for node, conv in graph.convs():
            error = np.abs(point.weights[node.name].values - conv.weight.values).max()
            assert error <= 2.0 ** (point.qp / 16) / 2 + 1e-6
            assert point.biases[node.name].shape == conv.bias.shape


def test_integers_are_coded_as_they_are(stubbed: Path) -> None:
    found = nncodec.coded_integers([np.arange(-500, 500, dtype=np.int32)], Path(sys.executable), stubbed)
    assert 4000 < found < 5000
    halves = [np.full(9, 0.5, np.float32)]  # come back rounded
    with pytest.raises(ToolError, match="not lossless"):
        nncodec.coded_integers(halves, Path(sys.executable), stubbed)  # type: ignore[arg-type]


def test_a_size_that_no_step_reaches_gives_no_point(stubbed: Path) -> None:
    variants = (nncodec.Variant("plain", nncodec.COMMON),)
    assert nncodec.encode(load("digits").graph, (10**9,), Path(sys.executable), stubbed, variants)[1] == []


def test_a_failing_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="nncodec"):
        nncodec.encode(load("digits").graph, (1,), Path(sys.executable), tmp_path)


def test_one_command_makes_the_table(digits_out: Path, digits_pictures: Path, tmp_path: Path) -> None:
    test, file = digits_pictures / "test", tmp_path / "rivals.json"
    arguments = [digits_out, "--images", test, "--labels", test / "labels.txt", "--json", file]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rivals", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    ours = found["rows"][0]
    theirs = dcgen_json("eval", digits_out, "--images", test, "--labels", test / "labels.txt")
    assert ours["bytes"] == (digits_out / "model.dcb").stat().st_size and found["n"] == 500
    assert ours["agreement"] == theirs["agreement"] and ours["mean_kl"] == pytest.approx(
        theirs["mean_kl"], rel=1e-4
    )
    assert found["pictures_sha256"] == theirs["pictures_sha256"]
    assert "| its levels | xz -9e |" in done.stdout
