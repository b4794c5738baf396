"""The learning rate over a training, by Steps and by time."""

from dataclasses import replace

import pytest

from core.training.config import TrainingConfig
from core.training.schedule import Clock, Course, learning_rate


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant"])
def test_the_learning_rate_rises_and_falls(schedule: str) -> None:
    config = TrainingConfig(epochs=10, steps_per_epoch=10, warm_up=0.1, schedule=schedule)  # type: ignore[arg-type]
    rates = [learning_rate(config, step / 100) for step in range(101)]
    assert rates[0] < 0.2 * config.learning_rate
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == pytest.approx(config.learning_rate)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert min(rates) > 0
    assert rates[-1] == pytest.approx(config.learning_rate if schedule == "constant" else 0.01 * config.learning_rate)


def test_steps_drop_evenly_after_the_warm_up() -> None:
    config = TrainingConfig(epochs=10, steps_per_epoch=10, warm_up=0.1, schedule="step", drops=2, drop_factor=0.1)
    parts = [learning_rate(config, progress) / config.learning_rate for progress in (0.1, 0.39, 0.41, 0.69, 0.71, 1.0)]
    assert parts == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert learning_rate(replace(config, drops=0), 1.0) == config.learning_rate


def test_a_plateau_drops_as_often_as_there_was_one() -> None:
    config = TrainingConfig(schedule="plateau", drop_factor=0.5)
    assert [learning_rate(config, 0.9, plateaus=n) / config.learning_rate for n in (0, 1, 4)] == [1, 0.5, 0.0625]
    assert learning_rate(replace(config, schedule="constant"), 0.9, plateaus=4) == config.learning_rate
    assert learning_rate(config, 0.9, plateaus=1, halvings=2) == config.learning_rate / 8


def test_the_course_counts_what_is_not_better() -> None:
    course, better = Course(), []
    for score in (0.1, 0.3, 0.3, 0.2, 0.2, 0.2, 0.4, 0.4):
        better.append(course.add_score((score, 0.0), plateau=2))
    assert [i for i, is_better in enumerate(better) if is_better] == [0, 1, 6]
    assert (course.best, course.since_best, course.plateaus) == ((0.4, 0.0), 1, 2)


def test_steps_tell_how_far_it_is() -> None:
    clock = Clock(TrainingConfig(epochs=4, steps_per_epoch=5), seconds_before=1e6)
    assert [clock.progress(step) for step in (0, 5, 20, 21)] == [0, 0.25, 1, 1]
    assert not clock.over(19)
    assert clock.over(20)


def test_time_tells_how_far_it_is_when_it_ends_first() -> None:
    clock = Clock(TrainingConfig(epochs=1000, minutes=10), seconds_before=300)
    assert clock.progress(0) == pytest.approx(0.5, abs=0.01)
    clock.validation_seconds = 300  # room for the last measurement is kept
    assert clock.over(0)
