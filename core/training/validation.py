"""What an Epoch is measured by: whole pictures through the person's own `predict`, and the loss on fixed Tiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from core.annotation.raster import Mask
from core.inference.metrics import ConfusionMatrix
from core.inference.predict import predict
from core.inference.torch_backend import network_backend
from core.training.config import TrainingConfig
from core.training.learner import Learner, TrainingData, finite, tile_sampler
from core.training.tiles import LabelledPicture

_BATCHES: Final = 2  # for the validation loss: the same Tiles after each Epoch


@dataclass(frozen=True)
class Measurement:
    loss: float
    matrix: ConfusionMatrix
    predictions: Mapping[str, Mask]


class Validation:
    """Measures the averaged weights: IoU on whole pictures by the person's own `predict`, the loss on fixed Tiles."""

    def __init__(self, config: TrainingConfig, data: TrainingData, learner: Learner) -> None:
        self._config, self._cache, self._learner = config, data.cache, learner
        self._pictures = _first_megapixels(data.val, config.validation_megapixels)

    def measure(self) -> Measurement | None:
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
        return Measurement(loss, matrix, predictions)

    def score(self, found: Measurement | None, train_loss: float) -> tuple[float, float] | None:
        """What the best Epoch has most of: mean IoU of the drawn labels, then little loss. None between validations."""
        if found is not None:
            iou = found.matrix.mean_iou_foreground
            return (found.matrix.pixel_accuracy or 0.0 if iou is None else iou, -found.loss)
        return None if self._pictures else (0.0, -train_loss)

    @torch.no_grad()
    def _loss(self) -> float:
        network = self._learner.average.eval()
        sampler = tile_sampler(self._config, self._pictures, self._cache, tiles=self._config.batch, varied=False)
        losses = []
        for step in range(_BATCHES):
            outputs, target = self._learner.forward(network.every_output, sampler.batch(step))
            losses.append(finite(float(self._learner.loss(outputs[-1], target)), self._learner.course.step))
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
