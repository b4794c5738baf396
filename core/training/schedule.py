"""How far a training is, and the learning rate there."""

import math
import time
from dataclasses import dataclass
from typing import Final

from core.training.config import TrainingConfig

_LEAST_RATE: Final = 0.01  # the end of cosine and poly, as a part of the learning rate


@dataclass
class Course:
    """How far a training has come and how its score went; a part of its state."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: tuple[float, float] | None = None
    since_best: int = 0  # scores that were not better
    plateaus: int = 0  # how often the learning rate has dropped for that
    halvings: int = 0  # how often the learning rate was halved because it diverged
    batches: int = 1  # in so many parts the Tiles of a Step are learned

    def add_score(self, score: tuple[float, float], *, plateau: int) -> bool:
        """Whether `score` is the best so far. After each `plateau` that are not better comes a drop."""
        if self.best is None or score > self.best:
            self.best, self.since_best = score, 0
            return True
        self.since_best += 1
        self.plateaus += self.since_best % plateau == 0
        return False


def learning_rate(config: TrainingConfig, progress: float, *, plateaus: int = 0, halvings: int = 0) -> float:
    """The learning rate at `progress` (0..1): it rises from 0 during the warm-up, then falls as the schedule says.

    plateaus, halvings: those of the Course.
    """
    highest = config.learning_rate * 0.5**halvings
    if progress < config.warm_up:
        return highest * (progress + 1 / config.steps) / (config.warm_up + 1 / config.steps)
    rest = (progress - config.warm_up) / max(1 - config.warm_up, 1e-9)
    match config.schedule:
        case "cosine":
            part = max(0.5 * (1 + math.cos(math.pi * rest)), _LEAST_RATE)
        case "poly":
            part = max((1 - rest) ** 0.9, _LEAST_RATE)
        case "step":
            part = config.drop_factor ** min(math.floor(rest * (config.drops + 1)), config.drops)
        case "plateau":
            part = config.drop_factor**plateaus
        case "constant":
            part = 1.0
    return highest * part


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
