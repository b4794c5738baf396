"""One Step of the learner: its gradient, however it is computed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.inference.metrics import ConfusionMatrix
from core.training.config import TrainingConfig
from core.training.learner import Learner, split_batch
from core.training.tiles import Batch
from tests.training.scenes import tiny
from tests.training.test_loop import make_data


def some_tiles(count: int, *, side: int = 32) -> Batch:
    """Each with a square of its own size, and another part of it not labelled."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    masks = np.zeros((count, side, side), np.uint8)
    for i in range(count):
        masks[i, : 4 + i, : 4 + i] = 1
        masks[i, side - 3 * i :] = 255
    return Batch(images, masks)


def gradients(learner: Learner) -> list[Tensor]:
    return [parameter.grad for parameter in learner.network.parameters() if parameter.grad is not None]


def learned(config: TrainingConfig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Learner, float]:
    """After one Step whose learning rate is 0, with BatchNorm as it is when it predicts."""
    learner = Learner(config, make_data(folder))
    learner.network.eval()
    monkeypatch.setattr(learner.network, "train", lambda: learner.network)
    return learner, learner.learn(some_tiles(8), 0.0, ConfusionMatrix(2))


@pytest.mark.parametrize("class_weights", ["none", "inverse"])
@pytest.mark.parametrize(("batch", "accumulate"), [(4, 2), (2, 4), (1, 8)])
def test_accumulated_batches_have_the_gradient_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, accumulate: int, class_weights: str
) -> None:
    monkeypatch.setattr("core.training.learner.has_bfloat16", lambda _: False)
    config = tiny(batch=8, cross_entropy=1.0, dice=0.0, lovasz=0.0, gradient_clip=0.0, class_weights=class_weights)
    one, loss = learned(config, tmp_path, monkeypatch)
    parted = tiny(**{**vars(config), "batch": batch, "accumulate": accumulate})
    several, sum_of_losses = learned(parted, tmp_path, monkeypatch)
    assert sum_of_losses == pytest.approx(loss, rel=1e-5)
    assert len(gradients(one)) > 10
    for first, second in zip(gradients(one), gradients(several), strict=True):
        assert torch.allclose(first, second, rtol=1e-3, atol=1e-6)


def test_each_part_of_a_batch_has_its_share_of_the_centred_tiles() -> None:
    batch = Batch(np.zeros((7, 1, 1, 3), np.uint8), np.arange(7, dtype=np.uint8).reshape(7, 1, 1))
    assert [part.masks.ravel().tolist() for part in split_batch(batch, 3)] == [[0, 3, 6], [1, 4], [2, 5]]
    assert split_batch(batch, 1) == [batch]
