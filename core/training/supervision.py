"""The loss of a network that has more than one output while it trains (deep supervision, Lee et al. 2015)."""

from collections.abc import Callable, Sequence

from torch import Tensor

PixelLoss = Callable[[Tensor, Tensor], Tensor]


def supervised_loss(outputs: Sequence[Tensor], target: Tensor, loss: PixelLoss) -> Tensor:
    """The mean of `loss` over all outputs, in which each counts half of the next: nnU-Net's weights.

    outputs: logits (B, classes, H / s, W / s), the last with s = 1.  target: (B, H, W) int64 class ids. Where an output
    is smaller, it learns the class of the pixel in the middle of its s x s pixels.
    """
    weights = [2.0**-k for k in reversed(range(len(outputs)))]
    total = outputs[-1].new_zeros(())
    for weight, logits in zip(weights, outputs, strict=True):
        step = target.shape[-1] // logits.shape[-1]
        total = total + weight / sum(weights) * loss(logits, target[:, step // 2 :: step, step // 2 :: step])
    return total
