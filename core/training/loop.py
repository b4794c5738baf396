"""The training loop as a generator: it owns no files, no stop button and no printing. To stop is to stop iterating."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.errors import ReadError, UserError
from core.images import IntensityRule
from core.inference.metrics import ConfusionMatrix
from core.inference.predict import predict
from core.inference.torch_backend import fastest_device, has_bfloat16, network_backend
from core.networks import build_network
from core.networks.card import ModelCard
from core.networks.network import Network
from core.training.config import TrainingConfig
from core.training.losses import weighted_loss
from core.training.schedule import Clock, learning_rate
from core.training.supervision import supervised_loss
from core.training.tiles import Batch, LabelledPicture, PictureCache, TileSampler
from core.training.unlabelled import UnlabelledTiles

_VALIDATION_BATCHES: Final = 2  # for the validation loss: the same Tiles after each Epoch


@dataclass(frozen=True)
class TrainingData:
    """The pictures of a Run. Those that validate never train. unlabelled: those that nobody has labelled."""

    labels: LabelSet
    intensity: IntensityRule
    train: Sequence[LabelledPicture]
    val: Sequence[LabelledPicture]
    cache: PictureCache
    unlabelled: Sequence[LabelledPicture] = ()


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
class TrainingState:
    """All that is needed to go on exactly: tensors by name, and numbers. Valid until the next iteration."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]  # epoch, step, seconds, best


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
    network: Network
    state: TrainingState
    predictions: Mapping[str, Mask] = field(default_factory=dict)


def train(
    config: TrainingConfig, data: TrainingData, *, resume: TrainingState | None = None
) -> Iterator[StepResult | EpochResult]:
    """Train, and yield each Step and each Epoch.

    Without validation pictures the best Epoch is the one of the lowest training loss. Raises UserError when the loss
    is no number any more, ConfigError and ReadError for what the settings or a picture make impossible.
    """
    learner = _Learner(config, data)
    if resume is not None:
        learner.restore(resume)
    clock = Clock(config, learner.seconds)
    sampler = _sampler(config, data.train, data.cache, varied=True)
    learns_more = config.consistency and data.unlabelled
    unlabelled = UnlabelledTiles(config, data.unlabelled, data.cache) if learns_more else None
    validation = _Validation(config, data, learner)
    while not clock.over(learner.step):
        epoch, losses = learner.epoch + 1, []
        matrix = ConfusionMatrix(config.network.classes)
        for _ in range(config.steps_per_epoch):
            progress = clock.progress(learner.step)
            rate = learning_rate(config, progress)
            further = unlabelled.batch(learner.step, progress, learner.probabilities) if unlabelled else None
            loss = learner.learn(sampler.batch(learner.step), rate, matrix, further)
            losses.append(loss)
            yield StepResult(learner.step, epoch, clock.seconds(), loss, rate, clock.progress(learner.step))
            if clock.over(learner.step):
                break
        learner.epoch, train_loss = epoch, sum(losses) / len(losses)
        began = clock.seconds()
        found = validation.measure() if epoch % config.validate_every == 0 or clock.over(learner.step) else None
        clock.validation_seconds = clock.seconds() - began
        learner.seconds = clock.seconds()
        score = _score(found, train_loss, validates=bool(data.val))
        is_best = score is not None and (learner.best is None or score > learner.best)
        learner.best = score if is_best else learner.best
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


def _sampler(
    config: TrainingConfig, pictures: Sequence[LabelledPicture], cache: PictureCache, *, varied: bool
) -> TileSampler:
    return TileSampler(
        pictures,
        cache,
        tile=config.tile,
        batch=config.batch,
        foreground_share=config.foreground_share,
        augment=config.augment if varied else "none",
        seed=config.seed,
        cut_mix=config.cut_mix if varied else 0.0,
        copy_paste=config.copy_paste if varied else 0.0,
    )


def choose_device(config: TrainingConfig) -> torch.device:
    """Raises UserError where a GPU is asked for and there is none."""
    if config.device == "auto":
        return fastest_device()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("This machine has no GPU that torch can use.", hint="Set the device to auto or cpu.")
    return torch.device(config.device)


# ------------------------------------------------------------------------------------------------------- learner


class _Learner:
    """The network, its running mean and its optimizer."""

    def __init__(self, config: TrainingConfig, data: TrainingData) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.device = choose_device(config)
        self.card = ModelCard(
            config.network,
            data.labels,
            intensity=data.intensity,
            window=max(config.tile, 512),
            clean_up=config.clean_up,
        )
        self._mean = torch.tensor(self.card.normalisation.mean, device=self.device).view(1, -1, 1, 1)
        self._std = torch.tensor(self.card.normalisation.std, device=self.device).view(1, -1, 1, 1)
        network = build_network(config.network, pretrained=config.pretrained).to(self.device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
        self.average = copy.deepcopy(self.network).requires_grad_(False) if config.ema_decay else self.network
        self.optimizer = _optimizer(config, self.network)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.best: tuple[float, float] | None = None

    def learn(self, batch: Batch, rate: float, matrix: ConfusionMatrix, unlabelled: Batch | None = None) -> float:
        """One Step; its loss. What the network saw right and wrong is added to `matrix`."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        outputs, target = self.forward(self.network, _together(batch, unlabelled))
        loss = self._loss(outputs, target, len(batch.masks))
        value = _finite(float(loss.detach()), self.step + 1)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.config.gradient_clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.step += 1
        if self.config.ema_decay:
            self._update_average()
        matrix.add(batch.masks, outputs[-1][: len(batch.masks)].detach().argmax(dim=1).to(torch.uint8).cpu().numpy())
        return value

    def _loss(self, outputs: list[Tensor], target: Tensor, labelled: int) -> Tensor:
        """Of the first `labelled` Tiles by the Config's losses, of the others cross entropy over all their pixels."""
        own = [logits[:labelled] for logits in outputs]
        loss = supervised_loss(own, target[:labelled], lambda logits, truth: weighted_loss(logits, truth, self.config))
        if labelled == len(target):
            return loss
        further = functional.cross_entropy(
            outputs[-1][labelled:].float(), target[labelled:], ignore_index=IGNORE_ID, reduction="sum"
        )
        return loss + self.config.consistency * further / target[labelled:].numel()

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the averaged weights predict: (B, H, W, 3) -> (B, C, H, W)."""
        outputs, _ = self.forward(self.average.eval(), Batch(images, np.zeros(images.shape[:3], np.uint8)))
        return outputs[-1].float().softmax(dim=1).cpu().numpy()

    def forward(self, network: Network, batch: Batch) -> tuple[list[Tensor], Tensor]:
        """The network's outputs, the last of them (B, C, H, W) logits, and target (B, H, W) int64 of a batch."""
        images = torch.from_numpy(batch.images).to(self.device).permute(0, 3, 1, 2)  # channels last in memory already
        target = torch.from_numpy(batch.masks).to(self.device).long()
        fast = has_bfloat16(self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=fast):
            return list(network.outputs((images.float() - self._mean) / self._std)), target

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))  # the first weights are forgotten soon
        for mean, value in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def state(self) -> TrainingState:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.config.ema_decay:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
        numbers = {"epoch": self.epoch, "step": self.step, "seconds": self.seconds, "best": self.best}
        return TrainingState(tensors, numbers)

    def restore(self, state: TrainingState) -> None:
        """Go on from `state`. Raises ReadError when it is not of this Config."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, value in state.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        try:
            self.network.load_state_dict(parts["network"])
            if self.config.ema_decay:
                self.average.load_state_dict(parts["average"])
            parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in parts["optimizer"].items():
                index, _, key = name.partition(".")
                # as the parameter lies in memory: the fused optimizer walks through both side by side
                laid = torch.empty_like(parameters[int(index)]).copy_(value) if value.ndim else value
                moments.setdefault(int(index), {})[key] = laid.detach()
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        except (RuntimeError, LookupError, ValueError) as error:
            raise ReadError(
                "The saved state does not fit the settings of this run.", hint="Start a new run."
            ) from error
        numbers = state.numbers
        self.epoch, self.step, self.seconds = numbers["epoch"], numbers["step"], numbers["seconds"]
        self.best = tuple(numbers["best"]) if numbers["best"] else None


def _together(batch: Batch, further: Batch | None) -> Batch:
    if further is None:
        return batch
    return Batch(np.concatenate((batch.images, further.images)), np.concatenate((batch.masks, further.masks)))


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise UserError(f"The loss is no number any more at step {step}.", hint="Choose a lower learning rate.")
    return loss


def _optimizer(config: TrainingConfig, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019), RAdam (Liu et al. 2020) with the same decoupled decay, or SGD with Nesterov's
    momentum."""
    groups, rate = _parameter_groups(network, config.weight_decay), config.learning_rate
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=config.momentum > 0, fused=True)
    if config.optimizer == "radam":
        return torch.optim.RAdam(groups, lr=rate, decoupled_weight_decay=True)
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights decay; biases and the scales of BatchNorm do not."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


# ---------------------------------------------------------------------------------------------------- validation


@dataclass(frozen=True)
class _Measurement:
    loss: float
    matrix: ConfusionMatrix
    predictions: Mapping[str, Mask]


class _Validation:
    """Measures the averaged weights: IoU on whole pictures by the person's own `predict`, the loss on fixed Tiles."""

    def __init__(self, config: TrainingConfig, data: TrainingData, learner: _Learner) -> None:
        self._config, self._cache, self._learner = config, data.cache, learner
        self._pictures = _first_megapixels(data.val, config.validation_megapixels)

    def measure(self) -> _Measurement | None:
        """None without validation pictures."""
        if not self._pictures:
            return None
        loss = self._loss()  # first: weights that are no numbers predict nothing
        matrix, predictions = ConfusionMatrix(self._config.network.classes), {}
        backend = network_backend(self._learner.average, self._learner.card)
        for i, listed in enumerate(self._pictures):
            picture = self._cache[listed.name]
            mask = predict(picture.image, backend).mask
            matrix.add(picture.mask, mask)
            if i < self._config.previews:
                predictions[listed.name] = mask
        return _Measurement(loss, matrix, predictions)

    @torch.no_grad()
    def _loss(self) -> float:
        network = self._learner.average.eval()
        sampler = _sampler(self._config, self._pictures, self._cache, varied=False)
        losses = []
        for step in range(_VALIDATION_BATCHES):
            outputs, target = self._learner.forward(network, sampler.batch(step))
            losses.append(_finite(float(weighted_loss(outputs[-1], target, self._config)), self._learner.step))
        return sum(losses) / len(losses)


def _first_megapixels(pictures: Sequence[LabelledPicture], megapixels: float) -> list[LabelledPicture]:
    """Pictures from the front while they fit, one at least."""
    chosen: list[LabelledPicture] = []
    room = megapixels * 1e6
    for picture in pictures:
        if chosen and picture.size.pixels > room:
            continue
        chosen.append(picture)
        room -= picture.size.pixels
    return chosen


def _score(found: _Measurement | None, train_loss: float, *, validates: bool) -> tuple[float, float] | None:
    """What the best Epoch has most of: mean IoU of the drawn labels, then little loss."""
    if found is not None:
        iou = found.matrix.mean_iou_foreground
        return (found.matrix.pixel_accuracy or 0.0 if iou is None else iou, -found.loss)
    return None if validates else (0.0, -train_loss)
