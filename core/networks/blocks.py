"""Small parts that networks are made of, and folding of BatchNorm.

A convolution and its BatchNorm stand next to each other in an `nn.Sequential`: `fold_batch_norms` relies on it.
B: pictures, C: channels, H, W: pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval


class ConvBlock(nn.Sequential):
    """3x3 convolution, BatchNorm, ReLU; the size stays."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),  # BatchNorm has a bias of its own
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class DoubleConv(nn.Sequential):
    """Two ConvBlocks."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(ConvBlock(inputs, outputs), ConvBlock(outputs, outputs))


class TransposedUp(nn.ConvTranspose2d):
    """Twice the height and width by a learned 2x2 kernel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=2, stride=2)


class Enlarge(nn.Module):
    """Twice the height and width, bilinear. The factor is a constant, as exporters want it."""

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, C, 2H, 2W)
        return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class BilinearUp(nn.Sequential):
    """A 1x1 convolution, then twice the height and width by interpolation; so it has 4 times fewer pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel_size=1), Enlarge())


def he_init(module: nn.Module) -> None:
    """He's initialisation (2015; also called Kaiming's) of all convolutions in `module`: variance 2 / fan-in."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def check_size(x: Tensor, multiple_of: int) -> None:
    """Raise ValueError when the height or width of `x` (B, C, H, W) is not a multiple."""
    height, width = x.shape[-2:]
    if height % multiple_of or width % multiple_of:
        raise ValueError(f"height and width must be multiples of {multiple_of}, got {height} x {width}")


@torch.no_grad()
def fold_batch_norms(network: nn.Module) -> None:
    """Fold each BatchNorm that follows a convolution into it, in place: same output in eval mode, fewer passes."""
    for part in network.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for i in range(len(part) - 1):
            convolution, norm = part[i], part[i + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[i], part[i + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
