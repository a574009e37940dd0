"""An epoch depends on its seed alone, whatever was prepared ahead of it, and whether the training was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dcgen.errors import NumericError
from dcgen.pictures import explicit
from dcgen.train.data import Dataset, Part
from dcgen.train.loop import StageTrainer, speed
from dcgen.train.stage import Schedule

RNG = np.random.default_rng(0)
FORM = explicit("rgb", [128.0] * 3, [64.0] * 3, "squash", None, 8)
SCHEDULE = Schedule(epochs=3, batch=16, rate=0.01, warmup=0.5, shift=1, crop=0.5, mirror=True)


def part(count: int) -> Part:
    return Part(RNG.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8), np.arange(count) % 2)


DATA = Dataset(part(64), part(16), 2, FORM)


def trainer(schedule: Schedule = SCHEDULE) -> StageTrainer:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 2))
    return StageTrainer(network, DATA, schedule, 0, 5, FORM.normalise)


def weights(network: nn.Module) -> np.ndarray:
    return np.concatenate([p.detach().numpy().reshape(-1) for p in network.parameters()])


def test_a_training_that_goes_on_gives_the_bytes_of_one_that_was_not_stopped() -> None:
    whole, begun, resumed = trainer(), trainer(), trainer()
    for epoch in range(3):
        whole.epoch(epoch, lambda *_: None)
    begun.epoch(0, lambda *_: None)
    resumed.network.load_state_dict(begun.network.state_dict())
    resumed.restore(begun.state())
    for epoch in (1, 2):
        resumed.epoch(epoch, lambda *_: None)
    assert np.array_equal(weights(whole.network), weights(resumed.network))
    assert not np.array_equal(weights(whole.network), weights(begun.network))


def test_a_training_that_diverges_ends_with_what_to_do() -> None:
    hot = trainer(replace(SCHEDULE, optimizer="sgd", rate=1e20, warmup=0.0))
    problem = r"stage 1: has a loss that is not finite, in step [23] of epoch 1 \(lower its rate, or warm up"
    with pytest.raises(NumericError, match=problem):
        hot.epoch(0, lambda *_: None)


def test_each_step_is_reported() -> None:
    said: list[tuple[int, int]] = []
    trainer().epoch(0, lambda *step: said.append(step))
    assert said == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("decay", "speeds"),
    [("linear", [0, 0.5, 1, 0.5, 0]), ("cosine", [0, 0.5, 1, 0.5, 0]), ("constant", [0, 0.5, 1, 1, 1])],
)
def test_the_learning_rate_rises_to_its_peak_and_falls(decay: str, speeds: Sequence[float]) -> None:
    schedule = Schedule(warmup=0.2, decay=decay)  # type: ignore[arg-type]
    found = [speed(schedule, progress) for progress in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert found == pytest.approx(speeds, abs=1e-12)


def test_a_training_without_warmup_begins_at_its_rate() -> None:
    assert speed(Schedule(), 0.0) == 1.0
