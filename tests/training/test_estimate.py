"""Estimates: known figures add up, what was measured is remembered, nothing freezes a page."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.images import ImageSize
from core.project.home import projects_home
from core.training.config import TrainingConfig
from core.training.estimate import (
    cached_estimate,
    estimate_memory,
    estimate_seconds,
    measure_in_background,
    median_step,
    remember_step,
    rough_estimate,
    stop_measuring,
    time_step,
)
from core.training.presets import DataFacts
from tests.training.scenes import tiny
from tests.training.test_supervisor import until

FACTS = DataFacts(10, {ImageSize(256, 256): 10})


def test_nothing_is_known_before_it_is_measured() -> None:
    assert cached_estimate(TrainingConfig(), FACTS) is None
    assert rough_estimate(TrainingConfig(), FACTS) > 0


def test_what_a_step_takes_is_remembered_for_these_settings_only() -> None:
    config = TrainingConfig(epochs=10, steps_per_epoch=10)
    remember_step(config, 0.5)
    known = cached_estimate(config, FACTS)
    assert known is not None
    assert known == pytest.approx(100 * 0.5 + 6, rel=0.2)  # steps and the start; validation is small
    assert estimate_seconds(config, FACTS) == known
    assert cached_estimate(TrainingConfig(epochs=10, steps_per_epoch=10, batch=4), FACTS) is None
    longer = cached_estimate(TrainingConfig(epochs=20, steps_per_epoch=10), FACTS)
    assert longer is not None
    assert longer > 1.8 * known - 6


def test_minutes_bound_the_estimate() -> None:
    config = TrainingConfig(epochs=1000, minutes=2)
    remember_step(config, 1.0)
    assert cached_estimate(config, FACTS) == pytest.approx(120, rel=0.1)


def test_a_damaged_memory_is_forgotten() -> None:
    remember_step(TrainingConfig(), 1.0)
    (projects_home() / ".machine.json").write_text("{")
    assert cached_estimate(TrainingConfig(), FACTS) is None


def test_steps_are_timed_here() -> None:
    assert 0 < time_step(tiny()) < 60
    assert median_step([0, 1, 2, 12, 13]) == 1


def test_a_page_measures_in_the_background(tmp_path: Path) -> None:
    measure_in_background(tiny())
    until(lambda: cached_estimate(tiny(), FACTS) is not None, "the steps are timed")


def test_a_measurement_can_be_stopped_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        begun.append(real(*arguments, **options))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    measure_in_background(tiny())
    stop_measuring()
    assert begun[0].wait(20) != 0
    assert cached_estimate(tiny(), FACTS) is None


def test_memory_grows_with_batch_tile_and_width() -> None:
    small, config = estimate_memory(TrainingConfig(batch=4)), TrainingConfig()
    assert small < estimate_memory(config) < estimate_memory(TrainingConfig(tile=512))
    wide = config.with_settings({"network.name": "unet", "network.width": "64"})
    assert estimate_memory(wide) > estimate_memory(config)
