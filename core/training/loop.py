"""The training loop as a generator: it owns no files, no stop button and no printing. To stop is to stop iterating."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import nn

from core.annotation.raster import Mask
from core.inference.metrics import ConfusionMatrix
from core.training.config import TrainingConfig
from core.training.learner import Learner, TrainingState, tile_sampler
from core.training.learner import TrainingData as TrainingData  # part of this door, though not used here
from core.training.schedule import Clock, learning_rate
from core.training.validation import Validation, score


@dataclass(frozen=True)
class StepResult:
    """One Step. Epochs and Steps count from 1; seconds since the Run's start; progress 0..1 of the whole training."""

    step: int
    epoch: int
    seconds: float
    loss: float
    learning_rate: float
    progress: float


@dataclass(frozen=True)
class EpochResult:
    """One Epoch. What was not measured is None: without validation pictures, or between validations.

    network: the (averaged) weights that validate and predict. predictions: by Sample, for the previews.
    """

    epoch: int
    step: int
    seconds: float
    learning_rate: float
    train_loss: float
    train_matrix: ConfusionMatrix
    val_loss: float | None
    val_matrix: ConfusionMatrix | None
    is_best: bool
    progress: float
    network: nn.Module
    state: TrainingState
    predictions: Mapping[str, Mask] = field(default_factory=dict)


def train(
    config: TrainingConfig, data: TrainingData, *, resume: TrainingState | None = None
) -> Iterator[StepResult | EpochResult]:
    """Train, and yield each Step and each Epoch.

    Without validation pictures the best Epoch is the one of the lowest training loss. Raises UserError when the loss
    is no number any more, ConfigError and ReadError for what the settings or a picture make impossible.
    """
    learner = Learner(config, data)
    if resume is not None:
        learner.restore(resume)
    clock = Clock(config, learner.seconds)
    sampler = tile_sampler(config, data.train, data.cache, augment=config.augment)
    validation = Validation(config, data, learner)
    while not clock.over(learner.step):
        epoch, losses = learner.epoch + 1, []
        matrix = ConfusionMatrix(config.network.classes)
        for _ in range(config.steps_per_epoch):
            rate = learning_rate(config, clock.progress(learner.step))
            loss = learner.learn(sampler.batch(learner.step), rate, matrix)
            losses.append(loss)
            yield StepResult(learner.step, epoch, clock.seconds(), loss, rate, clock.progress(learner.step))
            if clock.over(learner.step):
                break
        learner.epoch, train_loss = epoch, sum(losses) / len(losses)
        began = clock.seconds()
        found = validation.measure() if epoch % config.validate_every == 0 or clock.over(learner.step) else None
        clock.validation_seconds = clock.seconds() - began
        learner.seconds = clock.seconds()
        reached = score(found, train_loss, validates=bool(data.val))
        is_best = reached is not None and (learner.best is None or reached > learner.best)
        learner.best = reached if is_best else learner.best
        yield EpochResult(
            epoch=epoch,
            step=learner.step,
            seconds=learner.seconds,
            learning_rate=rate,
            train_loss=train_loss,
            train_matrix=matrix,
            val_loss=found.loss if found else None,
            val_matrix=found.matrix if found else None,
            is_best=is_best,
            progress=clock.progress(learner.step),
            network=learner.average,
            state=learner.state(),
            predictions=found.predictions if found else {},
        )
