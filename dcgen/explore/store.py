"""The study in its database, which several workers share: who tries which network, and what was found.

Every network has a number, from 0 without a gap. Mostly it is that of Optuna's trial; but where a worker ended in
the middle of a trial, another trial takes over its network, with the same number, parameters and seed.
"""

from __future__ import annotations

import fcntl
import json
import random
import secrets
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState, create_trial

from dcgen.errors import ConfigError, ToolError
from dcgen.explore.samplers import Grid, hush, sampler
from dcgen.explore.study import Study
from dcgen.explore.trial import Outcome

BEAT = 15
"""Seconds between two signs of life of a worker in the database."""
GRACE = 60
"""Seconds without a sign after which a worker in another folder is taken to have ended."""
PAUSE = 0.5
"""Seconds between two looks at what other workers do."""
TRIES = 5
"""How often a database is opened that another worker may be creating at the same time."""


@dataclass(frozen=True)
class Task:
    """A network that this worker is to try."""

    number: int
    trial: optuna.Trial


@dataclass(frozen=True)
class Tried:
    """A network and what is known of it; None where no trial has ended.

    parameters : what is varied, by name, as the database stores it
    """

    number: int
    parameters: dict[str, Any]
    outcome: Outcome | None


class Store:
    """One worker's view of the study.

    folder : this worker's output folder; workers of one folder tell by file locks whether others still run
    url : of the database, None for a file in the folder

    Raises ToolError where the database cannot be used, and ConfigError where it holds a study of that name with
    other settings.
    """

    def __init__(self, study: Study, folder: Path, url: str | None) -> None:
        hush()
        self._study, self._locks = study, folder / "workers"
        self._locks.mkdir(parents=True, exist_ok=True)
        self._storage = _opened(url or f"sqlite:///{folder.resolve() / 'study.db'}", self._again)
        seed, name = study.settings.seed, study.settings.sampler
        chosen = Grid(study.space.grid(), _place) if name == "grid" else sampler(name, seed)
        directions: list[Literal["minimize", "maximize"]] = [
            "maximize" if o == "accuracy" else "minimize" for o in study.objectives
        ]
        try:
            self._optuna = optuna.create_study(
                storage=self._storage,
                sampler=chosen,
                study_name=study.name,
                directions=directions,
                load_if_exists=True,
            )
            settings = json.dumps(study.table, sort_keys=True, default=str)
            known = self._optuna.user_attrs.get("settings", settings)
            if known == settings:
                self._optuna.set_user_attr("settings", settings)
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as e:
            raise _unusable(self._storage.engine.url, e) from None
        if known != settings:
            problem = f"holds a study called {study.name} with other settings than this file's"
            raise ConfigError(url or folder, problem, "name another folder, or give the study another name")
        self._worker = secrets.token_hex(8)
        self._lock = (self._locks / self._worker).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Let others see that this worker has ended."""
        (self._locks / self._worker).unlink(missing_ok=True)
        self._lock.close()

    def next(self) -> Task | None:
        """A network to try, first those whose workers have ended; None where no more are to be tried.

        Where others in other folders still try some, it waits for their signs of life.
        """
        until = time.monotonic() + GRACE + BEAT
        while True:
            self._retire()
            trials = self._trials()
            running = [t for t in trials if t.state == TrialState.RUNNING]
            if (
                not any(t.state == TrialState.WAITING for t in trials)
                and len(_fresh(trials)) >= self._study.budget
            ):
                elsewhere = [t for t in running if not self._is_here(t)]
                if not elsewhere or time.monotonic() > until:
                    return None
                time.sleep(PAUSE)
                continue
            if (task := self._asked()) is not None:
                return task

    def _asked(self) -> Task | None:
        """The next trial; None where it is one too many, as several workers have asked at once."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Heartbeat of storage")  # ``alive`` records it in place of Optuna
            trial = self._optuna.ask()
        frozen = next(t for t in self._trials() if t.number == trial.number)
        number = _place(self._optuna, frozen)
        if number >= self._study.budget:
            trial.set_user_attr("surplus", True)
            self._optuna.tell(trial, state=TrialState.FAIL)
            return None
        trial.set_user_attr("network", number)
        trial.set_user_attr("worker", self._worker)
        return Task(number, trial)

    @contextmanager
    def alive(self, task: Task) -> Iterator[None]:
        """Gives signs of life while the block works on ``task``. Where it raises, others may take that over."""
        study = self._storage.get_study_id_from_name(self._study.name)
        trial = self._storage.get_trial_id_from_study_id_trial_number(study, task.trial.number)
        ended = threading.Event()

        def beat() -> None:
            while True:
                with suppress(sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError):
                    self._storage.record_heartbeat(trial)
                if ended.wait(BEAT):
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            frozen = self._storage.get_trial(trial)
            self._optuna.tell(task.trial, state=TrialState.FAIL, skip_if_finished=True)
            self._again(self._optuna, frozen)
            raise
        finally:
            ended.set()
            thread.join()

    def tell(self, task: Task, outcome: Outcome) -> None:
        """Write down what a trial has shown."""
        for name, share in outcome.excess.items():
            task.trial.set_constraint(name, share)
        task.trial.set_user_attr("outcome", outcome.to_json())
        values = [outcome.figures.get(name) for name in self._study.objectives]
        if None in values:
            self._optuna.tell(task.trial, state=TrialState.PRUNED, skip_if_finished=True)
        else:
            self._optuna.tell(task.trial, [float(v) for v in values if v is not None], skip_if_finished=True)

    def tried(self) -> list[Tried]:
        """All networks so far by number."""
        trials = self._trials()
        found: dict[int, Tried] = {}
        for trial in trials:  # of several trials of one network, the last counts
            if "surplus" in trial.user_attrs or "network" not in trial.user_attrs:
                continue
            data = trial.user_attrs.get("outcome") if trial.state.is_finished() else None
            outcome = None if data is None else Outcome.from_json(data)
            number = trial.user_attrs["network"]
            found[number] = Tried(number, trial.params, outcome)
        return [found[number] for number in sorted(found)]

    def _trials(self) -> list[FrozenTrial]:
        return self._optuna.get_trials(deepcopy=False)

    def _retire(self) -> None:
        """Give back the networks of workers that have ended."""
        for trial in self._trials():
            if trial.state == TrialState.RUNNING and self._has_ended(trial):
                try:
                    self._optuna.tell(trial.number, state=TrialState.FAIL)
                except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
                    continue  # another worker was faster
                self._again(self._optuna, trial)
        fail_stale_trials(self._optuna)

    def _is_here(self, trial: FrozenTrial) -> bool:
        """Whether a trial is of a worker of this folder."""
        return (self._locks / str(trial.user_attrs.get("worker"))).exists()

    def _has_ended(self, trial: FrozenTrial) -> bool:
        """Whether a trial is of a worker of this folder that runs no more, or that never said which it is."""
        if "worker" not in trial.user_attrs and trial.datetime_start is not None:
            return (datetime.now() - trial.datetime_start).total_seconds() > GRACE
        try:
            with (self._locks / str(trial.user_attrs.get("worker"))).open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    @staticmethod
    def _again(study: optuna.Study, trial: FrozenTrial) -> None:
        """Let a network be tried again that nobody tries any more."""
        attributes = {"network": _place(study, trial), "again": True}
        waiting = create_trial(
            state=TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=attributes,
        )
        study.add_trial(waiting)


def _fresh(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The first trial of each network."""
    return [t for t in trials if "again" not in t.user_attrs and "surplus" not in t.user_attrs]


def _place(study: optuna.Study, trial: FrozenTrial) -> int:
    """The number of the network that a trial is of."""
    if "network" in trial.user_attrs:
        return int(trial.user_attrs["network"])
    return sum(t.number < trial.number for t in _fresh(study.get_trials(deepcopy=False)))


def _opened(url: str, again: Any) -> RDBStorage:
    try:
        known = sqlalchemy.engine.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise ConfigError("storage", "is no address of a database", "e.g. postgresql://user@host/name") from None
    if known.drivername == "postgresql":
        known = known.set(drivername="postgresql+psycopg")
    arguments = {"connect_args": {"timeout": 60}} if known.drivername.startswith("sqlite") else {}
    for left in reversed(range(TRIES)):
        try:
            return RDBStorage(
                known.render_as_string(hide_password=False),
                heartbeat_interval=BEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=again,
                engine_kwargs=arguments,
            )
        except ImportError as e:
            raise ToolError(
                e.name or "driver", "is needed for this database", "pip install dcgen[explore]"
            ) from None
        except Exception as e:  # drivers have exceptions of their own
            if not left:
                raise _unusable(known, e) from None
        time.sleep(random.uniform(0.1, 0.5))
    raise AssertionError("the last try has returned or raised")


def _unusable(url: sqlalchemy.engine.URL, error: Exception) -> ToolError:
    lines = str(error.__cause__ or error).strip().splitlines()
    shown = url.render_as_string(hide_password=True)
    return ToolError(shown, f"cannot be used as a database: {lines[0] if lines else type(error).__name__}")
