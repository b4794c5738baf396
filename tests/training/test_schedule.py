"""The learning rate over a training, by Steps and by time."""

import pytest

from core.training.config import TrainingConfig
from core.training.schedule import Clock, learning_rate


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
