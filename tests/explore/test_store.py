"""Workers that share a study: each network is tried once, and again only where its worker has ended."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcgen.errors import ConfigError, DcgenError, ToolError
from dcgen.explore import store as module
from dcgen.explore.samplers import FIRST
from dcgen.explore.store import Store, Task
from dcgen.explore.study import Study
from tests.explore.made import outcome, tiny_study


def taken(store: Store) -> Task:
    """The next network, which there must be."""
    task = store.next()
    assert task is not None
    return task


def parameters(study: Study, task: Task) -> dict[str, Any]:
    study.space.suggest(task.trial)
    return dict(task.trial.params)


def all_tried(study: Study, folder: Path) -> dict[int, dict[str, Any]]:
    """Try what is left to be tried; the parameters of every network by number."""
    with closing(Store(study, folder, None)) as store:
        while (task := store.next()) is not None:
            with store.alive(task):
                study.space.suggest(task.trial)
            store.tell(task, outcome(task.number))
        return {t.number: t.parameters for t in store.tried()}


@pytest.mark.parametrize(
    "sampler", ["tpe", "grid", *(pytest.param(n, marks=pytest.mark.slow) for n in ("nsga2", "random"))]
)
def test_a_study_gives_the_same_points_however_often_it_stops(tmp_path: Path, sampler: str) -> None:
    study = tiny_study(tmp_path, sampler=f'"{sampler}"')
    whole = all_tried(study, tmp_path / "whole")
    assert list(whole) == [0, 1, 2, 3]
    if sampler == "grid":
        assert [p["base_e"] for p in whole.values()] == [4, 6, 8, 400]
    for number in range(2):
        with closing(Store(study, tmp_path / "parts", None)) as store:
            task = taken(store)
            assert task.number == number
            assert parameters(study, task) == whole[number]
            store.tell(task, outcome(number))
    assert all_tried(study, tmp_path / "parts") == whole


def test_points_that_cannot_fit_are_proposed_less_often(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, trials="30", sampler='"tpe"', base_e="{ low = 1, high = 100 }")
    sizes = []
    with closing(Store(study, tmp_path / "out", None)) as store:
        while (task := store.next()) is not None:
            sizes.append(study.space.suggest(task.trial)["base_e"])
            found = outcome(task.number, "trained" if sizes[-1] <= 40 else "infeasible")
            excess = {"flash": sizes[-1] / 40 - 1}
            store.tell(task, replace(found, excess=excess, figures=found.figures if sizes[-1] <= 40 else {}))
    drawn, proposed = sizes[:FIRST], sizes[FIRST:]
    assert sum(n > 40 for n in drawn) > len(drawn) / 3, "they are drawn at random at first"
    assert sum(n > 40 for n in proposed) < len(proposed) / 5


def test_what_was_found_comes_back_as_it_was(tmp_path: Path) -> None:
    study = tiny_study(tmp_path)
    with closing(Store(study, tmp_path / "out", None)) as store:
        for status in ("trained", "infeasible"):
            task = taken(store)
            store.tell(task, outcome(task.number, status))
        assert [t.outcome for t in store.tried()] == [outcome(0), outcome(1, "infeasible")]


def test_a_network_whose_worker_has_ended_is_tried_again_with_its_number(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, sampler='"random"')
    dead = Store(study, tmp_path / "out", None)
    lost = taken(dead)
    lost_point = parameters(study, lost)
    with closing(Store(study, tmp_path / "out", None)) as store:
        other = taken(store)
        assert other.number == 1, "the first worker still runs"
        dead._lock.close()  # as the end of its process does
        again = taken(store)
        assert again.number == lost.number and parameters(study, again) == lost_point
        store.tell(other, outcome(other.number))
        store.tell(again, outcome(again.number))
        assert [t.number for t in store.tried()] == [0, 1]
    assert list(all_tried(study, tmp_path / "out")) == [0, 1, 2, 3]


def test_a_network_at_which_a_worker_failed_is_tried_again(tmp_path: Path) -> None:
    study = tiny_study(tmp_path)
    with closing(Store(study, tmp_path / "out", None)) as store:
        task = taken(store)
        with pytest.raises(DcgenError, match="disk"), store.alive(task):
            raise DcgenError("disk", "is full")
        assert taken(store).number == task.number


def test_workers_of_other_folders_are_told_by_their_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT", 1)
    monkeypatch.setattr(module, "GRACE", 2)
    study, url = tiny_study(tmp_path, trials="1"), f"sqlite:///{tmp_path / 'shared.db'}"
    silent = Store(study, tmp_path / "silent", url)
    lost = taken(silent)
    silent._storage.record_heartbeat(lost.trial._trial_id)
    with closing(Store(study, tmp_path / "other", url)) as store:
        again = taken(store)
        assert again.number == 0
        store.tell(again, outcome(0))
        assert store.next() is None
    silent.close()


def test_workers_share_networks_and_make_no_more_than_asked_for(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, trials="12", sampler='"random"')
    with closing(Store(study, tmp_path / "out", None)):
        pass  # makes the database
    tried: list[int] = []

    def work() -> None:
        with closing(Store(study, tmp_path / "out", None)) as store:
            while (task := store.next()) is not None:
                study.space.suggest(task.trial)
                tried.append(task.number)
                store.tell(task, outcome(task.number))

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(tried) == list(range(12))


def test_more_networks_can_be_asked_for_later_but_no_other_study(tmp_path: Path) -> None:
    assert len(all_tried(tiny_study(tmp_path, trials="2"), tmp_path / "out")) == 2
    assert len(all_tried(tiny_study(tmp_path, trials="3"), tmp_path / "out")) == 3
    with pytest.raises(ConfigError, match="holds a study called tiny with other settings than this file's"):
        Store(tiny_study(tmp_path, seed="4"), tmp_path / "out", None)


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("postgres", ConfigError, "storage: is no address of a database (e.g. postgresql://"),
        ("oracle://me:secret@host/name", ToolError, "is needed for this database (pip install dcgen[explore])"),
        ("sqlite:////nowhere/study.db", ToolError, "sqlite:////nowhere/study.db: cannot be used as a database:"),
    ],
)
def test_a_database_that_is_none_is_named(
    tmp_path: Path, url: str, error: type[DcgenError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 1)
    with pytest.raises(error) as caught:
        Store(tiny_study(tmp_path), tmp_path / "out", url)
    assert message in str(caught.value) and "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRIES", 1)
    (tmp_path / "study.db").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(ToolError, match=r"study.db: cannot be used as a database: .*file is not a database"):
        Store(tiny_study(tmp_path), tmp_path / "out", f"sqlite:///{tmp_path / 'study.db'}")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(tmp_path / "study.db").execute("select 1 from studies")
