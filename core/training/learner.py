"""What learns: the network, the running mean of its weights and the optimizer; one Step at a time."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.errors import ReadError, UserError
from core.images import IntensityRule
from core.networks import build_network
from core.networks.card import ModelCard
from core.training.balance import class_weights
from core.training.config import TrainingConfig
from core.training.device import choose_device, choose_precision
from core.training.losses import loss_parts, weighted_loss
from core.training.memory import smaller_batches
from core.training.schedule import Course
from core.training.supervision import supervised_loss
from core.training.team import Team
from core.training.tiles import Batch, LabelledPicture, PictureCache, TileSampler


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
class TrainingState:
    """All that is needed to go on exactly: tensors by name, and numbers. Valid until the next iteration."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]  # those of the Course, and "scaler"


class NotANumber(UserError):
    """The training has diverged."""


class Learner:
    """The network, its running mean and its optimizer."""

    def __init__(self, config: TrainingConfig, data: TrainingData, team: Team | None = None) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.team = team or Team()
        self.device = choose_device(config)
        self._dtype = choose_precision(config, self.device)
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
        self._compute = self.team.together(self.network)
        self.average = copy.deepcopy(self.network).requires_grad_(False) if config.ema_decay else self.network
        self.optimizer = _optimizer(config, self.network)
        # gradients in half precision would vanish: they are computed of a loss that is so many times as large
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self._dtype == torch.float16)
        weights = class_weights(config.class_weights, [p.pixels for p in data.train], classes=config.network.classes)
        self._class_weights = torch.tensor(weights, device=self.device) if weights else None
        self.course = Course(batches=config.accumulate)

    def gradients(self, batch: Batch, further: Batch | None = None) -> tuple[float, Mask]:
        """The gradient of the loss of a Step's Tiles, summed up over as many parts as the Course says.

        further: Tiles of pictures without labels, with what a teacher is sure of. The loss, and the class ids that the
        network saw in `batch`, (B, H, W). Raises NotANumber. May be repeated.
        """
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        whole, guess = 0.0, np.empty_like(batch.masks)
        parts = split_batch(batch, self.course.batches)
        others = split_batch(further, len(parts)) if further else [None] * len(parts)
        for i, (part, other, shares) in enumerate(zip(parts, others, self._shares(parts), strict=True)):
            count = len(part.masks)
            outputs, target = self.forward(self._compute, joined(part, other))
            labelled = [logits[:count] for logits in outputs]
            loss = supervised_loss(labelled, target[:count], partial(self.loss, shares=shares))
            if further is not None:
                loss = loss + self._further_loss(outputs[-1][count:], target[count:]) / further.masks.size
            whole += finite(self.team.mean(float(loss.detach())), self.course.step + 1)
            self._scaler.scale(loss).backward()
            guess[i :: len(parts)] = labelled[-1].detach().argmax(dim=1).to(torch.uint8).cpu().numpy()
        return whole, guess

    def _further_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross entropy where the teacher is sure, summed up: over all pixels it is the less, the less is sure."""
        total = functional.cross_entropy(logits.float(), target, ignore_index=IGNORE_ID, reduction="sum")
        return self.config.consistency * total

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the averaged weights predict: (B, H, W, 3) -> (B, C, H, W)."""
        unknown = Batch(images, np.zeros(images.shape[:3], np.uint8))
        outputs, _ = self.forward(self.average.eval().every_output, unknown)
        return np.asarray(outputs[-1].float().softmax(dim=1).cpu().numpy())

    def change_weights(self, rate: float) -> None:
        """Go a Step along the gradient. Raises NotANumber, and then the weights are as they were."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip or math.inf)
        try:
            if self._scaler.get_scale() <= 1:  # else it was scaled too much: the scaler leaves this Step out
                finite(float(norm), self.course.step + 1, what="gradient")
            self._scaler.step(self.optimizer)
        finally:
            self._scaler.update()  # it waits for this before it takes another gradient
        self.course.step += 1
        if self.config.ema_decay:
            self._update_average()

    def take_smaller_batches(self) -> bool:
        """Learn the Tiles of a Step in more parts from now on; False where there cannot be more."""
        least = 2 if self.config.tile == self.config.network.multiple_of else 1  # as TrainingConfig demands
        batches = smaller_batches(self.config.step_tiles, self.course.batches, least=least)
        if batches == self.course.batches or self.team.size > 1:  # the others would still learn larger ones
            return False
        self.course.batches = batches
        return True

    def free_memory(self) -> None:
        """Forget the gradient, and give back what torch keeps for later."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def loss(self, logits: Tensor, target: Tensor, shares: Mapping[str, float] | None = None) -> Tensor:
        """Of logits (B, C, H, W) and target (B, H, W) int64, as the Config says.  shares: see `_shares`."""
        return weighted_loss(logits, target, self.config, class_weights=self._class_weights, parts=shares)

    def _shares(self, parts: Sequence[Batch]) -> Sequence[Mapping[str, float] | None]:
        """What share of each of the Step's losses each part makes; None: all."""
        if len(parts) == 1:
            return [None]
        return loss_parts([self._target(part) for part in parts], self.config, class_weights=self._class_weights)

    def forward(self, compute: Callable[[Tensor], list[Tensor]], batch: Batch) -> tuple[list[Tensor], Tensor]:
        """All outputs of a network for a batch, the last of them (B, C, H, W) logits, and target (B, H, W) int64."""
        images = self._moved(batch.images).permute(0, 3, 1, 2)  # channels last in memory already
        half = self._dtype != torch.float32
        with torch.autocast(self.device.type, dtype=self._dtype if half else None, enabled=half):
            return compute((images.float() - self._mean) / self._std), self._target(batch)

    def _target(self, batch: Batch) -> Tensor:
        return self._moved(batch.masks).long()

    def _moved(self, values: NDArray[np.uint8]) -> Tensor:
        found = torch.from_numpy(values)
        if self.device.type == "cuda":
            found = found.pin_memory()  # so that the processor goes on while it is copied
        return found.to(self.device, non_blocking=True)

    @torch.no_grad()
    def _update_average(self) -> None:
        step = self.course.step
        decay = min(self.config.ema_decay, (1 + step) / (10 + step))  # the first weights are forgotten soon
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
        return TrainingState(tensors, {**asdict(self.course), "scaler": self._scaler.state_dict()})

    def snapshot(self) -> TrainingState:
        """`state`, copied: it stays as it is."""
        state = self.state()
        return TrainingState({name: value.to("cpu", copy=True) for name, value in state.tensors.items()}, state.numbers)

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
                laid = torch.empty_like(parameters[int(index)]).copy_(value) if value.ndim else value.clone()
                moments.setdefault(int(index), {})[key] = laid.detach()
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
            numbers = dict(state.numbers)
            scaler, best = numbers.pop("scaler", {}), numbers["best"]
            self.course = Course(**{**numbers, "best": tuple(best) if best else None})
            if self._scaler.is_enabled():
                self._scaler.load_state_dict(scaler)
        except (RuntimeError, LookupError, TypeError, ValueError) as error:
            raise ReadError(
                "The saved state does not fit the settings of this run.", hint="Start a new run."
            ) from error


def joined(batch: Batch, further: Batch | None) -> Batch:
    if further is None:
        return batch
    return Batch(np.concatenate((batch.images, further.images)), np.concatenate((batch.masks, further.masks)))


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """Every so-manieth Tile in each part: those centred on something drawn are the last of a batch."""
    if parts == 1:
        return [batch]
    return [
        Batch(np.ascontiguousarray(batch.images[i::parts]), np.ascontiguousarray(batch.masks[i::parts]))
        for i in range(parts)
    ]


def finite(value: float, step: int, *, what: str = "loss") -> float:
    if not math.isfinite(value):
        raise NotANumber(f"The {what} is no number any more at step {step}.", hint="Choose a lower learning rate.")
    return value


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


def tile_sampler(
    config: TrainingConfig, pictures: Sequence[LabelledPicture], cache: PictureCache, *, tiles: int, varied: bool
) -> TileSampler:
    """Batches of so many `tiles`.  varied: as the Config says, or as they are."""
    return TileSampler(
        pictures,
        cache,
        tile=config.tile,
        batch=tiles,
        foreground_share=config.foreground_share,
        augment=config.augment if varied else "none",
        seed=config.seed,
        cut_mix=config.cut_mix if varied else 0.0,
        copy_paste=config.copy_paste if varied else 0.0,
    )
