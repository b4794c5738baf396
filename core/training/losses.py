"""Losses: (logits, target) -> scalar. Computed in float32 outside autocast; 255 counts nowhere.

B: pictures, C: classes, H, W: pixels, N: pixels that count. Each is finite and differentiable for any target: empty,
wholly unlabelled or of one class.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from core.annotation.labels import IGNORE_ID
from core.training.config import TrainingConfig

Loss = Callable[[Tensor, Tensor], Tensor]

_LOVASZ_PIXELS: Final = (
    65_536  # more are thinned out evenly: sorting half a million takes longer than the network's head
)


def cross_entropy_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over the pixels that count of -log(probability of the true class).

    logits: (B, C, H, W), before softmax.  target: (B, H, W) int64 class ids.
    For one label this is binary cross entropy: with two classes the softmax is a sigmoid of the logits' difference.
    """
    total = functional.cross_entropy(logits, target, ignore_index=IGNORE_ID, reduction="sum")
    return total / (target != IGNORE_ID).sum().clamp_min(1)


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
}


def weighted_loss(logits: Tensor, target: Tensor, config: TrainingConfig) -> Tensor:
    """The sum of the LOSSES with the weights of `config`, in float32.

    logits: (B, C, H, W) of any precision.  target: (B, H, W) int64 class ids.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.float()  # in half precision the sum over a picture's pixels is not finite
        total = logits.new_zeros(())
        for name, loss in LOSSES.items():
            weight = getattr(config, name)
            if weight:
                total = total + weight * loss(logits, target)
        return total


def _one_hot(target: Tensor, valid: Tensor, classes: int) -> Tensor:
    """(B, H, W) ids -> (B, C, H, W) of 0 and 1; all 0 where a pixel does not count."""
    ids = torch.arange(classes, device=target.device).view(1, -1, 1, 1)
    return ((target.unsqueeze(1) == ids) & valid.unsqueeze(1)).float()
