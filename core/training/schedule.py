"""How far a training is, and the learning rate there."""

import math
import time
from typing import Final

from core.training.config import TrainingConfig

_LEAST_RATE: Final = 0.01  # the schedule's end, as a part of the learning rate


def learning_rate(config: TrainingConfig, progress: float) -> float:
    """The learning rate at `progress` (0..1): it rises from 0 during the warm-up, then falls as the schedule says."""
    if progress < config.warm_up:
        return config.learning_rate * (progress + 1 / config.steps) / (config.warm_up + 1 / config.steps)
    rest = (progress - config.warm_up) / max(1 - config.warm_up, 1e-9)
    shape = {"cosine": 0.5 * (1 + math.cos(math.pi * rest)), "poly": (1 - rest) ** 0.9, "constant": 1.0}
    return config.learning_rate * max(shape[config.schedule], _LEAST_RATE)


class Clock:
    """How far the training is: by Steps, or by time where `minutes` ends it earlier."""

    def __init__(self, config: TrainingConfig, seconds_before: float) -> None:
        self._config = config
        self._began = time.monotonic() - seconds_before
        self.validation_seconds = 0.0  # the last measurement's; room for one more is kept

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def progress(self, step: int) -> float:
        by_steps = step / self._config.steps
        if self._config.minutes is None:
            return min(by_steps, 1.0)
        room = max(self._config.minutes * 60 - self.validation_seconds, 1e-9)
        return min(max(by_steps, self.seconds() / room), 1.0)

    def over(self, step: int) -> bool:
        return self.progress(step) >= 1.0
