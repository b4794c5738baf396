"""The training loop as a generator: it owns no files, no stop button and no printing. To stop is to stop iterating."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import torch

from core.annotation.raster import Mask
from core.inference.metrics import ConfusionMatrix
from core.networks.network import Network
from core.training.batch import Batch
from core.training.config import TrainingConfig
from core.training.learner import Learner, NotANumber, TrainingState, tile_sampler
from core.training.learner import TrainingData as TrainingData  # part of this door, though not used here
from core.training.memory import out_of_memory
from core.training.schedule import Clock, Course, learning_rate
from core.training.team import Order, Team
from core.training.tiles import Ahead
from core.training.unlabelled import UnlabelledTiles
from core.training.validation import Validation

_HALVINGS: Final = 3  # of the learning rate: who diverges again has another trouble


@dataclass(frozen=True)
class StepResult:
    """One Step. Epochs and Steps count from 1; seconds since the Run's start; progress 0..1 of the whole training.

    waiting_share: 0..1 of its time in which nothing was computed, because the Tiles were not there yet.
    """

    step: int
    epoch: int
    seconds: float
    loss: float
    learning_rate: float
    progress: float
    waiting_share: float


@dataclass(frozen=True)
class EpochResult:
    """One Epoch. What was not measured is None: without validation pictures, or between validations.

    network: the (averaged) weights that validate and predict. predictions: by Sample, for the previews.
    waiting_share: that of all its Steps.
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
    waiting_share: float
    network: Network
    state: TrainingState
    predictions: Mapping[str, Mask] = field(default_factory=dict)


@dataclass(frozen=True)
class Notice:
    """What a person should know of the training's course; it comes after Step `step`."""

    step: int
    text: str


Result = StepResult | EpochResult | Notice


def train(
    config: TrainingConfig, data: TrainingData, *, resume: TrainingState | None = None, team: Team | None = None
) -> Iterator[Result]:
    """Train, and yield each Step and each Epoch.  team: whom this process leads.

    Without validation pictures the best Epoch is the one of the lowest training loss. Where the loss is no number any
    more, it goes on from the last Epoch with half the learning rate; where memory runs out, with smaller batches.
    Raises UserError when that does not help, ConfigError and ReadError for what the settings or a picture make
    impossible.
    """
    team = team or Team()
    learner = Learner(config, data, team)
    if resume is not None:
        learner.restore(resume)
    clock = Clock(config, learner.course.seconds)
    tiles = _Tiles(config, data, team, learner.device)
    validation = Validation(config, data, learner)
    good = learner.snapshot()
    try:
        while not clock.over(learner.course.step):
            if config.patience and learner.course.since_best >= config.patience:
                yield Notice(learner.course.step, _no_better(config, learner.course))
                break
            try:
                yield from _epoch(config, learner, clock, tiles, validation)
                team.tell(Order.KEEP)
                good = learner.snapshot()
            except NotANumber as error:
                notice = _gone_back(learner, good, error)
                team.tell(Order.GO_BACK)
                yield notice
    finally:
        tiles.close()
        team.tell(Order.END)


def follow(config: TrainingConfig, data: TrainingData, team: Team, *, resume: TrainingState | None = None) -> None:
    """Learn this process's share of each Step, with the same weights as the leader of `team`, until it says the end."""
    learner = Learner(config, data, team)
    if resume is not None:
        learner.restore(resume)
    tiles, good = _Tiles(config, data, team, learner.device), learner.snapshot()
    while True:
        order, rate, progress = team.told()
        match order:
            case Order.STEP:
                with suppress(NotANumber):  # the leader has found the same, and says what to do
                    learner.gradients(*tiles.draw(learner, progress))
                    learner.change_weights(rate)
            case Order.KEEP:
                good = learner.snapshot()
            case Order.GO_BACK:
                learner.restore(good)
            case Order.END:
                tiles.close()
                return


class _Tiles:
    """What each Step learns from: Tiles of labelled pictures, and of those without labels where they teach."""

    def __init__(self, config: TrainingConfig, data: TrainingData, team: Team, device: torch.device) -> None:
        self._team = team
        sampler = tile_sampler(config, data.train, data.cache, tiles=config.step_tiles, varied=True)
        self._labelled = Ahead(sampler) if device.type == "cuda" else sampler
        teaches = config.consistency and data.unlabelled
        self._unlabelled = UnlabelledTiles(config, data.unlabelled, data.cache) if teaches else None

    def draw(self, learner: Learner, progress: float) -> tuple[Batch, Batch | None]:
        """This process's share of the Step that is next; which Tiles, only seed and Step decide."""
        step, further = learner.course.step, None
        if self._unlabelled is not None:
            further = self._unlabelled.batch(step, progress, learner.probabilities)
        shared = self._team.share(self._labelled.batch(step))
        return shared, further and self._team.share(further)

    def close(self) -> None:
        if isinstance(self._labelled, Ahead):
            self._labelled.close()


def _gone_back(learner: Learner, good: TrainingState, error: NotANumber) -> Notice:
    """Take the state of the last Epoch and half the learning rate. Raises `error` when that was done often enough."""
    halvings, batches = learner.course.halvings + 1, learner.course.batches
    if halvings > _HALVINGS:
        raise error
    learner.restore(good)
    learner.course.halvings, learner.course.batches = halvings, batches
    epoch = learner.course.epoch
    where = f"from the end of epoch {epoch}" if epoch else "from the beginning"
    return Notice(learner.course.step, f"{error.message} It goes on {where} with half the learning rate.")


def _epoch(
    config: TrainingConfig, learner: Learner, clock: Clock, tiles: _Tiles, validation: Validation
) -> Iterator[Result]:
    """One Epoch: its Steps, its measurement. Raises NotANumber."""
    course, losses, times = learner.course, list[float](), list[_StepTime]()
    matrix = ConfusionMatrix(config.network.classes)
    for _ in range(config.steps_per_epoch):
        progress = clock.progress(course.step)
        rate = learning_rate(config, progress, plateaus=course.plateaus, halvings=course.halvings)
        learner.team.tell(Order.STEP, rate, progress)
        began = clock.seconds()
        drawn = tiles.draw(learner, progress)
        waited = clock.seconds() - began
        losses.append((yield from _learn(learner, *drawn, rate, matrix)))
        times.append(_StepTime(waited, clock.seconds() - began))
        yield StepResult(
            step=course.step,
            epoch=course.epoch + 1,
            seconds=clock.seconds(),
            loss=losses[-1],
            learning_rate=rate,
            progress=clock.progress(course.step),
            waiting_share=_waiting_share(times[-1:]),
        )
        if clock.over(course.step):
            break
    course.epoch += 1
    train_loss = sum(losses) / len(losses)
    began = clock.seconds()
    found = validation.measure() if course.epoch % config.validate_every == 0 or clock.over(course.step) else None
    clock.validation_seconds = clock.seconds() - began
    course.seconds = clock.seconds()
    reached = validation.score(found, train_loss)
    is_best = reached is not None and course.add_score(reached, plateau=config.plateau_epochs)
    yield EpochResult(
        epoch=course.epoch,
        step=course.step,
        seconds=course.seconds,
        learning_rate=rate,
        train_loss=train_loss,
        train_matrix=matrix,
        val_loss=found.loss if found else None,
        val_matrix=found.matrix if found else None,
        is_best=is_best,
        progress=clock.progress(course.step),
        waiting_share=_waiting_share(times),
        network=learner.average,
        state=learner.state(),
        predictions=found.predictions if found else {},
    )


class _StepTime(NamedTuple):
    """Seconds of a Step: until its Tiles were there, and in all."""

    waited: float
    took: float


def _waiting_share(times: Sequence[_StepTime]) -> float:
    return sum(time.waited for time in times) / max(sum(time.took for time in times), 1e-9)


def _learn(
    learner: Learner, batch: Batch, further: Batch | None, rate: float, matrix: ConfusionMatrix
) -> Generator[Notice, None, float]:
    """One Step; its loss. What the network saw right and wrong is added to `matrix`."""
    while True:
        try:
            loss, guess = learner.gradients(batch, further)
            break
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or not learner.take_smaller_batches():
                raise
        learner.free_memory()  # only here: until the except clause ends, the error keeps all that was computed
        yield Notice(learner.course.step, _smaller(len(batch.masks), learner.course.batches))
    learner.change_weights(rate)
    matrix.add(batch.masks, guess)
    return loss


def _smaller(tiles: int, batches: int) -> str:
    return f"There is not enough memory: from here on the {tiles} tiles of a step are learned in {batches} batches."


def _no_better(config: TrainingConfig, course: Course) -> str:
    many = "validation" if config.patience == 1 else f"{config.patience} validations"
    return f"The last {many} brought no better score: the training ends after epoch {course.epoch} of {config.epochs}."
