"""Losses on pictures small enough to know the answer, and on those that break careless ones."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from core.training.config import TrainingConfig
from core.training.losses import (
    LOSSES,
    Loss,
    boundary_loss,
    cross_entropy_loss,
    focal_loss,
    loss_parts,
    lovasz_softmax_loss,
    ohem_loss,
    soft_dice_loss,
    tversky_loss,
    weighted_loss,
)

SIDE = 8


def halves(left: int, right: int) -> Tensor:
    target = torch.full((1, SIDE, SIDE), left)
    target[..., SIDE // 2 :] = right
    return target


def sure_of(target: Tensor, classes: int, certainty: float) -> Tensor:
    """Logits that say `target` with that certainty; unlabelled pixels say class 0."""
    ids = target.clone()
    ids[ids == 255] = 0
    return torch.nn.functional.one_hot(ids, classes).movedim(-1, 1).float() * certainty


@pytest.fixture(params=list(LOSSES))
def loss(request: pytest.FixtureRequest) -> Loss:
    return LOSSES[request.param]


def test_a_certain_and_right_guess_costs_nothing(loss: Loss) -> None:
    target = halves(0, 1)
    assert loss(sure_of(target, 2, 50.0), target).item() == pytest.approx(0, abs=1e-4)


def test_a_better_guess_costs_less_and_the_opposite_most(loss: Loss) -> None:
    target = halves(0, 2)
    costs = [loss(sure_of(target, 3, certainty), target).item() for certainty in (3.0, 1.0, 0.0, -1.0, -3.0)]
    assert costs == sorted(costs)


def test_unlabelled_pixels_count_nowhere(loss: Loss) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(1, 3, SIDE, SIDE), halves(1, 2)
    target[:, :2] = 255
    changed = logits.clone()
    changed[:, :, :2] += 100 * torch.randn(1, 3, 2, SIDE)
    assert loss(logits, target).item() == pytest.approx(loss(changed, target).item(), rel=1e-6)


@pytest.mark.parametrize(
    "target",
    [halves(0, 0), halves(255, 255), halves(1, 1), halves(255, 1), halves(0, 255)],
    ids=["empty", "unlabelled", "all of one class", "half unlabelled", "background or unlabelled"],
)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_every_target_gives_a_finite_loss_and_gradient(loss: Loss, target: Tensor, scale: float) -> None:
    torch.manual_seed(0)
    logits = (scale * torch.randn(1, 3, SIDE, SIDE)).requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert math.isfinite(value.item())
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_dice_of_a_uniform_guess_is_known() -> None:
    target = halves(0, 1)  # each class: 2 * (1/2 * 1/2) / (1/2 + 1/2) = 1/2
    assert soft_dice_loss(torch.zeros(1, 2, SIDE, SIDE), target).item() == pytest.approx(0.5)


def test_dice_leaves_out_classes_that_are_absent() -> None:
    target = halves(0, 1)
    two = soft_dice_loss(sure_of(target, 2, 9.0), target)
    assert soft_dice_loss(sure_of(target, 5, 9.0), target).item() == pytest.approx(two.item(), abs=1e-2)


@pytest.mark.parametrize("wrong", [0, 3, 20])
def test_lovasz_of_a_certain_guess_is_one_minus_mean_iou(wrong: int) -> None:
    truth = halves(0, 1)
    guess = truth.clone().flatten()
    guess[:wrong] = 1 - guess[:wrong]
    guess = guess.view_as(truth)
    ious = [((truth == i) & (guess == i)).sum().item() / ((truth == i) | (guess == i)).sum().item() for i in (0, 1)]
    assert lovasz_softmax_loss(sure_of(guess, 2, 60.0), truth).item() == pytest.approx(1 - sum(ious) / 2, abs=1e-5)


def test_lovasz_of_many_pixels_agrees_with_that_of_few() -> None:
    target = halves(0, 1).repeat_interleave(64, 1).repeat_interleave(64, 2)  # 512 x 512
    logits = sure_of(target, 2, 1.5)
    few = lovasz_softmax_loss(sure_of(halves(0, 1), 2, 1.5), halves(0, 1))
    assert lovasz_softmax_loss(logits, target).item() == pytest.approx(few.item(), abs=0.02)


def test_the_weighted_sum_is_float32_even_of_half_precision_logits() -> None:
    target = halves(0, 1)
    logits = sure_of(target, 2, 2.0).bfloat16()
    config = TrainingConfig()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = weighted_loss(logits, target, config)
    expected = sum(getattr(config, name) * loss(logits.float(), target).item() for name, loss in LOSSES.items())
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(expected)


def test_focal_without_gamma_is_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, SIDE, SIDE), halves(1, 2).repeat(2, 1, 1)
    assert focal_loss(logits, target, gamma=0).item() == pytest.approx(cross_entropy_loss(logits, target).item())


def test_focal_is_the_formula_of_the_paper() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.25]]).T.reshape(1, 2, 1, 2)  # two pixels, class 0 and class 1
    target = torch.tensor([[[0, 1]]])
    p = np.array([1 / (1 + np.exp(-3.0)), 1 / (1 + np.exp(0.25))])
    assert focal_loss(logits, target, gamma=3).item() == pytest.approx(
        float((-((1 - p) ** 3) * np.log(p)).mean()), rel=1e-5
    )


def test_tversky_of_equal_weights_is_dice_of_the_labels() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(1, 2, SIDE, SIDE), halves(0, 1)
    guess, truth = logits.softmax(dim=1)[:, 1], target == 1
    dice = 2 * float(guess[truth].sum()) / float(guess.sum() + truth.sum())
    assert tversky_loss(logits, target, alpha=0.5, beta=0.5).item() == pytest.approx(1 - dice, rel=1e-5)


def test_tversky_counts_misses_more_than_false_alarms() -> None:
    target = halves(0, 1)
    missing, alarming = target.clone(), target.clone()
    missing[..., SIDE // 2] = 0
    alarming[..., SIDE // 2 - 1] = 1
    missed, alarmed = (tversky_loss(sure_of(guess, 2, 50.0), target).item() for guess in (missing, alarming))
    assert missed == pytest.approx(1 - 24 / (24 + 0.7 * 8), rel=1e-4)
    assert alarmed == pytest.approx(1 - 32 / (32 + 0.3 * 8), rel=1e-4)


def test_ohem_of_all_pixels_is_cross_entropy_and_of_few_the_hardest() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(1, 2, SIDE, SIDE), halves(0, 1)
    each = torch.nn.functional.cross_entropy(logits, target, reduction="none").flatten()
    assert ohem_loss(logits, target, share=1).item() == pytest.approx(each.mean().item(), rel=1e-5)
    assert ohem_loss(logits, target, share=0.125).item() == pytest.approx(
        each.sort().values[-8:].mean().item(), rel=1e-5
    )


def test_the_boundary_loss_sees_borders_only() -> None:
    target = torch.zeros(1, 32, 32, dtype=torch.long)
    target[:, :, 16:] = 1
    far, near = torch.zeros(1, 2, 32, 32), torch.zeros(1, 2, 32, 32)
    far[:, 1, :, :4] = 9  # wrong, away from the border
    near[:, 1, :, 14:16] = 9  # wrong, beside it
    right = boundary_loss(torch.zeros(1, 2, 32, 32), target).item()
    assert right == pytest.approx(math.log(2), rel=1e-5)
    assert boundary_loss(far, target).item() == pytest.approx(right, rel=1e-5)
    assert boundary_loss(near, target).item() > right
    target[:, :, 12:20] = 255  # nobody knows where the border is
    assert boundary_loss(near, target).item() == 0


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "ohem", "boundary"])
def test_equal_weights_of_classes_change_nothing_and_their_scale_neither(name: str) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(1, 3, SIDE, SIDE), halves(0, 2)
    target[:, :2] = 255
    plain = LOSSES[name](logits, target).item()
    for weight in (1.0, 7.0):
        weights = torch.full((3,), weight)
        assert LOSSES[name](logits, target, class_weights=weights).item() == pytest.approx(plain, rel=1e-5)


def test_weighted_cross_entropy_is_torchs_mean() -> None:
    torch.manual_seed(0)
    logits, weights = torch.randn(2, 3, SIDE, SIDE), torch.tensor([0.2, 1.0, 5.0])
    target = torch.randint(0, 3, (2, SIDE, SIDE))
    target[:, 0] = 255
    expected = torch.nn.functional.cross_entropy(logits, target, weights, ignore_index=255)
    assert cross_entropy_loss(logits, target, class_weights=weights).item() == pytest.approx(expected.item(), rel=1e-6)
    everything = ohem_loss(logits, target, share=1, class_weights=weights)
    assert everything.item() == pytest.approx(expected.item(), rel=1e-5)
    focal = focal_loss(logits, target, gamma=0, class_weights=weights)
    assert focal.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "ohem", "boundary"])
@pytest.mark.parametrize("target", [halves(255, 255), halves(1, 1), halves(0, 2)])
def test_weights_of_classes_keep_every_loss_finite(name: str, target: Tensor) -> None:
    logits = torch.zeros(1, 3, SIDE, SIDE, requires_grad=True)
    value = LOSSES[name](logits, target, class_weights=torch.tensor([1e-3, 1.0, 100.0]))
    value.backward()
    assert math.isfinite(value.item())
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_class_that_weighs_more_pulls_more() -> None:
    logits, target = torch.zeros(1, 2, SIDE, SIDE, requires_grad=True), halves(0, 1)
    weighted_loss(logits, target, TrainingConfig(), class_weights=torch.tensor([1.0, 4.0])).backward()
    assert logits.grad is not None
    pull = logits.grad[:, 1].abs()
    assert pull[..., SIDE // 2 :].mean() > 1.5 * pull[..., : SIDE // 2].mean()


@pytest.mark.parametrize(
    ("name", "weights"),
    [("ohem", None), *itertools.product(("cross_entropy", "focal", "boundary"), (None, torch.tensor([0.5, 2.0, 7.0])))],
)
def test_the_parts_of_a_step_make_the_gradient_of_one_batch(name: str, weights: Tensor | None) -> None:
    """Where the batches hold different numbers of pixels that count. OHEM keeps all here, as it chooses by batch."""
    torch.manual_seed(0)
    config = TrainingConfig(**{other: float(other == name) for other in LOSSES}, ohem_share=1.0)  # type: ignore[arg-type]
    target = torch.cat([halves(0, 1), halves(2, 255), halves(1, 2), halves(255, 255)])
    whole = torch.randn(4, 3, SIDE, SIDE, requires_grad=True)
    parted = whole.detach().clone().requires_grad_()
    expected = weighted_loss(whole, target, config, class_weights=weights)
    expected.backward()
    targets, total = target.split(1), torch.zeros(())
    for i, parts in enumerate(loss_parts(targets, config, class_weights=weights)):
        total = total + weighted_loss(parted[i : i + 1], targets[i], config, class_weights=weights, parts=parts)
    total.backward()
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert whole.grad is not None
    assert parted.grad is not None
    assert torch.allclose(whole.grad, parted.grad, atol=1e-6)


def test_a_step_without_a_labelled_pixel_has_parts_too() -> None:
    config = TrainingConfig(**dict.fromkeys(LOSSES, 1.0))  # type: ignore[arg-type]
    for parts in loss_parts([halves(255, 255)] * 2, config):
        value = weighted_loss(torch.zeros(1, 2, SIDE, SIDE), halves(255, 255), config, parts=parts)
        assert value.item() == 0
