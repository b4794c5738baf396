"""One Step of the learner: its gradient, however it is computed."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.errors import UserError
from core.training import device
from core.training.config import TrainingConfig
from core.training.learner import Learner, NotANumber, TrainingState, split_batch
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


def weights(learner: Learner) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in learner.network.parameters()])


def learned(config: TrainingConfig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Learner, float]:
    """With the gradient of some Tiles, BatchNorm as it is when it predicts; and their loss."""
    learner = Learner(config, make_data(folder))
    learner.network.eval()
    monkeypatch.setattr(learner.network, "train", lambda: learner.network)
    loss, _ = learner.gradients(some_tiles(8))
    learner.change_weights(0.0)
    return learner, loss


@pytest.mark.parametrize("class_weights", ["none", "inverse"])
@pytest.mark.parametrize(("batch", "accumulate"), [(4, 2), (2, 4), (1, 8)])
def test_accumulated_batches_have_the_gradient_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, accumulate: int, class_weights: str
) -> None:
    config = tiny(batch=8, cross_entropy=1.0, dice=0.0, lovasz=0.0, gradient_clip=0.0, class_weights=class_weights)
    config = replace(config, precision="fp32")
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


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_network_computes_in_the_precision_asked_for(tmp_path: Path, precision: str, dtype: torch.dtype) -> None:
    learner = Learner(tiny(precision=precision), make_data(tmp_path))
    logits, _ = learner.forward(learner.network, some_tiles(2))
    assert logits.dtype == dtype
    assert math.isfinite(learner.gradients(some_tiles(2))[0])
    learner.change_weights(0.01)
    assert {parameter.dtype for parameter in learner.network.parameters()} == {torch.float32}


def test_half_precision_gives_nearly_the_gradient_of_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_has_float16", lambda _: True)
    config = tiny(gradient_clip=0.0)
    full, half = (learned(replace(config, precision=name), tmp_path, monkeypatch) for name in ("fp32", "fp16"))
    assert half[1] == pytest.approx(full[1], rel=1e-2)
    one, other = (torch.cat([gradient.flatten() for gradient in gradients(learner)]) for learner, _ in (full, half))
    assert torch.linalg.vector_norm(one - other) < 0.02 * torch.linalg.vector_norm(one)


def test_gradients_that_overflow_change_nothing_and_are_scaled_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_has_float16", lambda _: True)
    learner = Learner(tiny(precision="fp16"), make_data(tmp_path))
    state = learner.state()
    scaler = {**state.numbers["scaler"], "scale": 1e30}
    learner.restore(TrainingState(state.tensors, {**state.numbers, "scaler": scaler}))
    before = weights(learner)
    learner.gradients(some_tiles(4))
    learner.change_weights(0.1)
    assert torch.equal(weights(learner), before)
    assert learner.state().numbers["scaler"]["scale"] == pytest.approx(5e29)


def test_half_precision_learns_again_after_it_diverged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_has_float16", lambda _: True)
    learner = Learner(tiny(precision="fp16"), make_data(tmp_path))
    kept = learner.snapshot()
    unscaled = TrainingState(kept.tensors, {**kept.numbers, "scaler": {**kept.numbers["scaler"], "scale": 1.0}})
    learner.restore(unscaled)
    learner.gradients(some_tiles(4))
    gradients(learner)[-1].fill_(math.nan)
    with pytest.raises(NotANumber):
        learner.change_weights(0.1)
    learner.restore(unscaled)
    before = weights(learner)
    learner.gradients(some_tiles(4))
    learner.change_weights(0.1)
    assert not torch.equal(weights(learner), before)


def test_half_precision_where_there_is_none_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(UserError, match=r"does not compute in fp16. Set the precision to auto or fp32."):
        Learner(tiny(precision="fp16"), make_data(tmp_path))


def test_a_gradient_that_is_no_number_leaves_the_weights_alone(tmp_path: Path) -> None:
    learner = Learner(tiny(gradient_clip=0.0), make_data(tmp_path))
    before = weights(learner)
    learner.gradients(some_tiles(4))
    gradients(learner)[-1].fill_(math.nan)
    with pytest.raises(NotANumber, match=r"The gradient is no number any more at step 1"):
        learner.change_weights(0.1)
    assert torch.equal(weights(learner), before)
    assert learner.course.step == 0


def test_without_clipping_the_gradient_stays_as_it_is(tmp_path: Path) -> None:
    learner = Learner(tiny(gradient_clip=0.0), make_data(tmp_path))
    learner.gradients(some_tiles(4))
    before = [gradient.clone() for gradient in gradients(learner)]
    learner.change_weights(0.0)
    assert all(torch.equal(first, second) for first, second in zip(before, gradients(learner), strict=True))


def test_a_snapshot_outlives_what_is_learned_after_it_even_twice(tmp_path: Path) -> None:
    learner, losses = Learner(tiny(), make_data(tmp_path)), []
    learner.gradients(some_tiles(4))
    learner.change_weights(0.1)
    kept = learner.snapshot()
    for _ in range(3):
        learner.restore(kept)
        for _ in range(3):
            losses.append(learner.gradients(some_tiles(4))[0])
            learner.change_weights(0.1)
    assert losses[:3] == losses[3:6] == losses[6:]
    assert len(set(losses)) == 3
