"""Losses: (logits, target) -> scalar. Computed in float32 outside autocast; 255 counts nowhere.

B: pictures, C: classes, H, W: pixels, N: pixels that count. Each is finite and differentiable for any target: empty,
wholly unlabelled or of one class. class_weights: (C,) float32, positive: pixels count as much as their class weighs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.annotation.labels import IGNORE_ID
from core.training.config import TrainingConfig

Loss = Callable[..., Tensor]

# More are thinned out evenly: sorting half a million takes longer than the network's head.
_LOVASZ_PIXELS: Final = 65_536
_LEAST_WEIGHT: Final = 1e-12  # so that nothing is divided by 0


def cross_entropy_loss(logits: Tensor, target: Tensor, *, class_weights: Tensor | None = None) -> Tensor:
    """Mean over the pixels that count of -log(probability of the true class).

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.
    For one label this is binary cross entropy: with two classes the softmax is a sigmoid of the logits' difference.
    """
    total = functional.cross_entropy(logits, target, class_weights, ignore_index=IGNORE_ID, reduction="sum")
    return total / _weight(target, class_weights).clamp_min(_LEAST_WEIGHT)


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the mean soft Dice over the classes present in the batch.

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.
    """
    valid = target != IGNORE_ID
    truth = _one_hot(target, valid, logits.shape[1])  # (B, C, H, W)
    guess = logits.softmax(dim=1) * valid.unsqueeze(1)
    overlap = (guess * truth).sum((0, 2, 3))
    pixels = truth.sum((0, 2, 3))
    scores = 2 * overlap / (guess.sum((0, 2, 3)) + pixels).clamp_min(1e-6)
    present = pixels > 0  # an absent class has Dice 0 whatever we guess: no gradient, only noise
    return 1 - (scores * present).sum() / present.sum() if bool(present.any()) else logits.flatten()[0] * 0


def lovasz_softmax_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The Lovász extension of 1 - IoU (Berman et al. 2018), its mean over the classes present in the batch.

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.  Of more than 65,536 pixels every k-th
    is taken.
    """
    step = max(1, target.numel() // _LOVASZ_PIXELS)
    step += step > 1 and step % 2 == 0  # an odd step walks through all columns
    true = target.flatten()[::step]
    guess = logits.movedim(1, -1).reshape(-1, logits.shape[1])[::step]
    counts = true != IGNORE_ID
    true, probability = true[counts], guess[counts].softmax(dim=1)  # (N,), (N, C)
    present = torch.bincount(true, minlength=logits.shape[1])[: logits.shape[1]].nonzero()[:, 0]
    if len(present) == 0:
        return logits.flatten()[0] * 0
    truth = (true.unsqueeze(0) == present.unsqueeze(1)).float()  # (classes present, N)
    errors, order = (truth - probability.T[present]).abs().sort(dim=1, descending=True)
    return (errors * _jaccard_steps(truth.gather(1, order))).sum(dim=1).mean()


def focal_loss(logits: Tensor, target: Tensor, *, gamma: float = 2.0, class_weights: Tensor | None = None) -> Tensor:
    """Cross entropy in which sure pixels count little (Lin et al. 2017): the mean of -(1 - p)^gamma log p.

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.  gamma: 0 is cross entropy.
    """
    true, pixels = _cross_entropies(logits, target)
    unsure = -torch.expm1(-pixels)  # 1 - p: exact where p is nearly 1
    # the power has no gradient at 0 for gamma below 1
    return _mean(unsure.clamp_min(1e-6) ** gamma * pixels, true, class_weights) + logits.flatten()[0] * 0


def tversky_loss(logits: Tensor, target: Tensor, *, alpha: float = 0.3, beta: float = 0.7) -> Tensor:
    """One minus the mean soft Tversky index (Salehi et al. 2017) over the labels present in the batch.

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.  alpha, beta: what a false alarm and a
    miss weigh; both 0.5 is Dice. Misses weigh more by default: rare things are found. Background is left out: its
    misses are the labels' false alarms, so that with it the two weights would cancel. 0 without any label.
    """
    valid = target != IGNORE_ID
    truth = _one_hot(target, valid, logits.shape[1])  # (B, C, H, W)
    guess = logits.softmax(dim=1) * valid.unsqueeze(1)
    overlap, pixels, guessed = ((guess * truth).sum((0, 2, 3)), truth.sum((0, 2, 3)), guess.sum((0, 2, 3)))
    scores = overlap / (overlap + alpha * (guessed - overlap) + beta * (pixels - overlap)).clamp_min(1e-6)
    present = pixels > 0
    present[0] = False
    return 1 - (scores * present).sum() / present.sum() if bool(present.any()) else logits.flatten()[0] * 0


def ohem_loss(logits: Tensor, target: Tensor, *, share: float = 0.25, class_weights: Tensor | None = None) -> Tensor:
    """Cross entropy over the hardest pixels only (online hard example mining, Shrivastava et al. 2016).

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.  share: the part of the pixels that count
    which is kept, at least one; which are the hardest, weights of classes do not change.
    """
    true, pixels = _cross_entropies(logits, target)
    if len(pixels) == 0:
        return logits.flatten()[0] * 0
    kept = pixels.topk(_kept(len(pixels), share), sorted=False)
    return _mean(kept.values, true[kept.indices], class_weights)


def boundary_loss(logits: Tensor, target: Tensor, *, width: int = 2, class_weights: Tensor | None = None) -> Tensor:
    """Cross entropy over the pixels within `width` of a border between classes: the edges that Canny's detector (1986)
    finds in the truth of each class. 0 where there is no border.

    The idea is the border weight of the first UNet (Ronneberger et al. 2015): what lies between two objects decides
    whether they are two, and is too few pixels to matter in a mean over all. There the weight fades with the distance;
    here it is 1 up to `width` and 0 beyond, and the loss's own weight says how much more borders count.

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.
    """
    near = _near_only(target, width)
    return cross_entropy_loss(logits, near, class_weights=class_weights) + logits.flatten()[0] * 0


def _near_only(target: Tensor, width: int) -> Tensor:
    """`target` near borders, 255 elsewhere."""
    near = torch.from_numpy(_near_borders(target.cpu().numpy(), width)).to(target.device)
    return torch.where(near, target, IGNORE_ID)


def _near_borders(target: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """(B, H, W) whether a pixel lies near a border; one along what is not labelled is none."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    near = np.zeros(target.shape, bool)
    for i, ids in enumerate(target):
        edges = np.zeros(ids.shape, np.uint8)
        for class_id in np.unique(ids)[1:]:  # the borders of all but one are the borders of all
            if class_id != IGNORE_ID:
                edges |= cv2.Canny((ids == class_id).astype(np.uint8) * 255, 100, 200)
        hidden = cv2.dilate((ids == IGNORE_ID).astype(np.uint8), np.ones((3, 3), np.uint8))
        near[i] = cv2.dilate(edges * (hidden == 0), kernel) > 0
    return near


def _cross_entropies(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) class ids and (N,) -log(probability of the true class) of the pixels that count."""
    each = functional.cross_entropy(logits, target, ignore_index=IGNORE_ID, reduction="none")
    counts = target != IGNORE_ID
    return target[counts], each[counts]


def _mean(values: Tensor, true: Tensor, class_weights: Tensor | None) -> Tensor:
    """The mean of (N,) values, each weighing as much as its class."""
    if class_weights is None:
        return values.sum() / max(len(values), 1)
    weights = class_weights[true]
    return (weights * values).sum() / weights.sum().clamp_min(_LEAST_WEIGHT)


def _weight(target: Tensor, class_weights: Tensor | None) -> Tensor:
    """What all pixels that count weigh together; their number without weights of classes."""
    counts = target != IGNORE_ID
    if class_weights is None:
        return counts.sum()
    pixels = torch.bincount(target[counts], minlength=len(class_weights))[: len(class_weights)]
    return (pixels * class_weights).sum()


def _kept(pixels: int, share: float) -> int:
    return max(1, round(share * pixels))


def _jaccard_steps(truth: Tensor) -> Tensor:
    """How much 1 - IoU grows with each further wrong pixel. truth: (classes, N), the largest error first."""
    pixels = truth.sum(dim=1, keepdim=True)
    intersection = pixels - truth.cumsum(dim=1)
    union = pixels + (1 - truth).cumsum(dim=1)
    jaccard = 1 - intersection / union
    return torch.diff(jaccard, dim=1, prepend=jaccard.new_zeros(len(jaccard), 1))


LOSSES: Final[dict[str, Loss]] = {
    "cross_entropy": cross_entropy_loss,
    "dice": soft_dice_loss,
    "lovasz": lovasz_softmax_loss,
    "focal": focal_loss,
    "tversky": tversky_loss,
    "ohem": ohem_loss,
    "boundary": boundary_loss,
}
_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {  # of a loss: its own name -> that in the Config
    "focal": {"gamma": "focal_gamma"},
    "tversky": {"alpha": "tversky_alpha", "beta": "tversky_beta"},
    "ohem": {"share": "ohem_share"},
    "boundary": {"width": "boundary_width"},
}
_BY_PIXELS: Final = ("cross_entropy", "focal", "ohem", "boundary")  # means over pixels, which classes can weigh


def weighted_loss(
    logits: Tensor,
    target: Tensor,
    config: TrainingConfig,
    *,
    class_weights: Tensor | None = None,
    parts: Mapping[str, float] | None = None,
) -> Tensor:
    """The sum of the LOSSES with the weights of `config`, in float32.

    logits: (B, C, H, W) of any precision.  target: (B, H, W) int64 class ids.  class_weights: (C,) float32,
    for the losses that are means over pixels.  parts: where this is one of the batches of a Step, what part of each
    loss it makes, from `loss_parts`.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.float()  # in half precision the sum over a picture's pixels is not finite
        total = logits.new_zeros(())
        for name in _chosen(config):
            settings = {key: getattr(config, field) for key, field in _SETTINGS.get(name, {}).items()}
            if name in _BY_PIXELS:
                settings["class_weights"] = class_weights
            part = 1.0 if parts is None else parts[name]
            total = total + getattr(config, name) * part * LOSSES[name](logits, target, **settings)
        return total


def loss_parts(
    targets: Sequence[Tensor], config: TrainingConfig, *, class_weights: Tensor | None = None
) -> list[dict[str, float]]:
    """For each of the batches of one Step, what part of each loss it makes, so that their sum is that of one batch.

    targets: of each batch, (B, H, W) int64. Exactly so for cross entropy, focal and boundary, which are sums over
    pixels. OHEM keeps the hardest pixels of each batch; Dice, Tversky and Lovász are those of each batch: they are no
    sums, and what they were over all batches would be known only after the last one.
    """
    amounts = [{name: _amount(name, target, config, class_weights) for name in _chosen(config)} for target in targets]
    whole = {name: sum(amount[name] for amount in amounts) for name in _chosen(config)}
    return [{name: amount[name] / max(whole[name], _LEAST_WEIGHT) for name in amount} for amount in amounts]


def _amount(name: str, target: Tensor, config: TrainingConfig, class_weights: Tensor | None) -> float:
    """How much there is in `target` that the loss is a mean of."""
    match name:
        case "cross_entropy" | "focal":
            return float(_weight(target, class_weights))
        case "boundary":
            return float(_weight(_near_only(target, config.boundary_width), class_weights))
        case "ohem":
            pixels = int(_weight(target, None))
            return _kept(pixels, config.ohem_share) if pixels else 0
        case _:
            return len(target)


def _chosen(config: TrainingConfig) -> list[str]:
    return [name for name in LOSSES if getattr(config, name)]


def _one_hot(target: Tensor, valid: Tensor, classes: int) -> Tensor:
    """(B, H, W) ids -> (B, C, H, W) of 0 and 1; all 0 where a pixel does not count."""
    ids = torch.arange(classes, device=target.device).view(1, -1, 1, 1)
    return ((target.unsqueeze(1) == ids) & valid.unsqueeze(1)).float()
