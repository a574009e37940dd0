"""A training from samples to its folder: stages in order, the epoch that is kept, and going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dcgen.compress.fold import canonical
from dcgen.compress.point import read_point
from dcgen.compress.recipes import Keep
from dcgen.compress.shrink import shrunk
from dcgen.errors import OutputError
from dcgen.importers.onnx_import import load_onnx
from dcgen.integers import as_integers
from dcgen.ir.graph import Graph
from dcgen.progress import unheard
from dcgen.run_folder import Run
from dcgen.stages import stage
from dcgen.training import Stage, TrainJob, train
from tests.process import ROOT

DENSE = {"method": "dense", "epochs": 2, "batch": 32, "shift": 0, "rate": 0.005}
PRUNING = {"method": "magnitude", "density": 0.25, "epochs": 2, "batch": 32, "shift": 0}
SHARING = {"method": "sharing", "bits_fc": 3, "epochs": 2, "batch": 32, "shift": 0, "rate": 1e-4}
RATE = {"method": "rate", "epochs": 3, "batch": 32, "shift": 1, "distill": 0.5}


def stages(*tables: dict[str, object]) -> tuple[Stage, ...]:
    return tuple(stage(table, number) for number, table in enumerate(tables, 1))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright squares in one of four corners of 8x8 pixels, in noise."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    x = rng.integers(0, 120, (400, 8, 8)).astype(np.uint8)
    for picture, label in zip(x, labels, strict=True):
        picture[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 60
    file = tmp_path_factory.mktemp("data") / "corners.npz"
    np.savez(file, x_train=x, y_train=labels)
    return file


def job(data: Path, *tables: dict[str, object]) -> TrainJob:
    return TrainJob(model="lenet300", data=data, stages=stages(*tables), size=8)


def trained(job: TrainJob, out: Path) -> dict[str, object]:
    return train(job, out, lambda *_: None, unheard)


def network(out: Path) -> tuple[Graph, Graph]:
    """The canonical float network, and the one that was trained."""
    graph = canonical(load_onnx(out / "float.onnx", None, None).graph, Run.read(out).preprocess)
    return graph, read_point(out / "trained.npz", graph).applied(graph)


class Killed(Exception):
    pass


def killed_after(steps: int) -> Callable[[str, int, int], None]:
    """A progress callback that raises at its call number ``steps``."""
    calls = iter(range(steps))

    def progress(*_: object) -> None:
        if next(calls, None) is None:
            raise Killed

    return progress


def assert_same(out: Path, other: Path) -> None:
    for name in ("float.onnx", "curves.csv", "trained.npz", "calibration.npz", "run.json"):
        assert (out / name).read_bytes() == (other / name).read_bytes(), name


def test_pruning_then_sharing_keeps_zeros_and_compiles_to_the_same_clusters(data: Path, tmp_path: Path) -> None:
    found = trained(job(data, DENSE, PRUNING, SHARING), tmp_path / "run")
    assert found["shared"] and found["density"] == pytest.approx(0.25, abs=0.001)
    graph = shrunk(network(tmp_path / "run")[1])
    with np.load(tmp_path / "run" / "calibration.npz") as kept:
        pictures = Run.read(tmp_path / "run").preprocess.centred(kept["x"])
    mean = Run.read(tmp_path / "run").preprocess.camera_mean
    _, _, qgraph, blob = as_integers(graph, pictures, mean, Keep(), lambda *_: None, {})
    assert len(blob.data) == found["blob_bytes"]
    integers = {node.name: node.op for node in qgraph.nodes}
    for node, conv in graph.convs():
        values, whole = conv.weight.values, integers[node.name].weights  # type: ignore[union-attr]
        assert len(np.unique(values)) <= 8
        pairs = np.unique(np.stack([values.ravel(), whole.ravel()]), axis=1)
        assert len(pairs.T) == len(np.unique(values)) == len(np.unique(whole))
        assert np.array_equal(values == 0, whole == 0)


@pytest.mark.parametrize("method", ["filters", "divnet"])
def test_channels_that_a_stage_removes_stay_away_in_the_next_ones(data: Path, tmp_path: Path, method: str) -> None:
    some = {"epochs": 1, "batch": 32, "shift": 0}
    removing = some | {"method": method, "keep": 0.5}
    lasso = some | {"method": "group-lasso"}
    trained(job(data, DENSE, removing, lasso, removing, RATE | {"epochs": 1}), tmp_path / "run")
    float_graph, graph = network(tmp_path / "run")
    left = [len(conv.bias) for _, conv in shrunk(graph).convs()]
    assert [len(conv.bias) for _, conv in float_graph.convs()] == [300, 100, 4]
    assert left[0] <= 75 and left[1] <= 25 and left[2] == 4


def test_dense_after_pruning_lets_every_weight_grow_again(data: Path, tmp_path: Path) -> None:
    found = trained(job(data, DENSE, PRUNING, DENSE), tmp_path / "run")
    assert not found["shared"] and found["blob_bytes"] is None
    assert found["density"] > 0.9  # type: ignore[operator]


@pytest.mark.slow
def test_a_file_size_is_kept_to(data: Path, tmp_path: Path) -> None:
    long = RATE | {"batch": 4, "epochs": 6, "distill": 0.0, "rate": 0.004}  # the price answers in some 50 steps
    found = trained(job(data, DENSE, long | {"max_bytes": 6_000, "squeeze": 0.3}), tmp_path / "run")
    assert found["missed"] == [] and 2_000 < found["blob_bytes"] <= 6_000  # type: ignore[operator]


def test_an_accuracy_is_kept_to(data: Path, tmp_path: Path) -> None:
    found = trained(job(data, DENSE, RATE | {"max_top1_drop": 2.5, "epochs": 6}), tmp_path / "run")
    held_out: Any = found["held_out"]
    assert found["missed"] == []
    assert held_out["float"]["top1"] - held_out["trained"]["top1"] <= 0.025 + 1e-9


def test_of_the_last_stage_the_epoch_of_least_error_is_kept(data: Path, tmp_path: Path) -> None:
    wild = DENSE | {"epochs": 6, "rate": 0.3, "decay": "constant"}
    found = trained(job(data, wild), tmp_path / "run")
    rows = [r.split(",") for r in (tmp_path / "run" / "curves.csv").read_text().splitlines()[1:]]
    best = max(rows, key=lambda row: (float(row[3]), -float(row[4])))
    assert best is not rows[-1]
    assert found["held_out"]["trained"]["top1"] == float(best[3])  # type: ignore[index]


def test_an_epoch_that_is_not_pruned_to_the_end_is_not_kept(data: Path, tmp_path: Path) -> None:
    late = PRUNING | {"density": 0.02, "epochs": 4, "until": 1.0}
    assert trained(job(data, DENSE, late), tmp_path / "run")["density"] <= 0.02  # type: ignore[operator]


def test_a_goal_that_is_missed_is_said(data: Path, tmp_path: Path) -> None:
    found = trained(job(data, DENSE, RATE | {"max_bytes": 10}), tmp_path / "run")
    (missed,) = found["missed"]  # type: ignore[misc]
    assert missed == f"{found['blob_bytes']:,} bytes, at most 10 are wanted"


def test_without_epochs_a_method_is_applied_alone(data: Path, tmp_path: Path) -> None:
    none = {"epochs": 0}
    trained(job(data, DENSE, PRUNING | none, SHARING | none), tmp_path / "run")
    float_graph, graph = network(tmp_path / "run")
    for (_, before), (_, after) in zip(float_graph.convs(), graph.convs(), strict=True):
        kept = after.weight.values != 0
        assert np.abs(before.weight.values[kept]).min() >= np.abs(before.weight.values[~kept]).max(initial=0)
        assert np.array_equal(before.bias, after.bias)


EVERY = (DENSE, {"method": "surgery", "epochs": 1, "batch": 32}, PRUNING, RATE | {"max_top1_drop": 2.0})
CHANNELS = (DENSE, *({"method": name, "epochs": 1, "batch": 32} for name in ("group-lasso", "similar", "energy")))


@pytest.mark.slow
@pytest.mark.parametrize("tables", [EVERY, (DENSE, PRUNING | {"epochs": 0}, SHARING), CHANNELS])
def test_a_training_goes_on_to_the_same_bytes_wherever_it_was_stopped(
    data: Path, tmp_path: Path, tables: Sequence[dict[str, object]]
) -> None:
    asked = job(data, *tables)
    trained(asked, tmp_path / "whole")
    stops = 0
    for steps in (1, 9, 14, 25, 13, 1, 22, 100, 1_000):
        try:
            train(asked, tmp_path / "stopped", killed_after(steps), unheard)
            break
        except Killed:
            stops += 1
    assert stops >= 4
    assert_same(tmp_path / "stopped", tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "run.json").read_text()) == trained(asked, tmp_path / "whole")


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_to_the_same_bytes(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "stages.toml"
    names = ("method", "epochs", "batch", "shift", "rate", "density", "bits_fc")
    text = ""
    for table in (DENSE | {"epochs": 8}, PRUNING, SHARING):
        text += "[[stage]]\n" + "".join(f"{n} = {json.dumps(table[n])}\n" for n in names if n in table)
    file.write_text(text)
    command = [sys.executable, "-m", "dcgen", "train", "lenet300", "--data", str(data), "--stages", str(file)]
    command += ["--input-size", "8", "-o"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    begun = subprocess.Popen([*command, str(tmp_path / "stopped")], env=environment, stderr=subprocess.DEVNULL)
    while not (tmp_path / "stopped" / "curves.csv").exists():
        assert begun.poll() is None
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    assert not (tmp_path / "stopped" / "run.json").exists()
    for out in ("stopped", "whole"):
        subprocess.run([*command, str(tmp_path / out)], env=environment, check=True, capture_output=True)
    assert_same(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.slow
def test_stages_are_taken_from_a_training_that_ends_earlier(data: Path, tmp_path: Path) -> None:
    trained(job(data, DENSE, PRUNING), tmp_path / "first")
    asked = job(data, DENSE, PRUNING, SHARING)
    train(asked, tmp_path / "run", lambda *_: None, unheard, begun=tmp_path / "first")
    trained(asked, tmp_path / "whole")
    assert_same(tmp_path / "run", tmp_path / "whole")
    with pytest.raises(OutputError, match="first: holds a training of other data or settings"):
        other = job(data, DENSE, PRUNING | {"density": 0.3}, SHARING)
        train(other, tmp_path / "other", lambda *_: None, unheard, begun=tmp_path / "first")


def test_a_kill_before_the_first_checkpoint_was_whole_leaves_nothing_in_the_way(
    data: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint.pt.new").write_bytes(b"half")
    assert trained(job(data, DENSE), tmp_path)["missed"] == []


def test_other_settings_do_not_go_on_with_a_training(data: Path, tmp_path: Path) -> None:
    trained(job(data, DENSE), tmp_path / "run")
    with pytest.raises(OutputError, match="holds a training of other data or settings"):
        trained(job(data, DENSE | {"epochs": 3}), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(OutputError, match="is not empty and holds no training"):
        trained(job(data, DENSE), tmp_path / "other")
