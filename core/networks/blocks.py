"""Small parts that networks are made of, and folding of BatchNorm.

A convolution and its normalisation stand next to each other in an `nn.Sequential`: `fold_batch_norms` relies on it.
B: pictures, C: channels, H, W: pixels.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.networks.card import NetworkConfig

_GROUPS: Final = 8  # of GroupNorm (Wu and He 2018), or as many as divide the channels
_LEAK: Final = 0.01  # nnU-Net's


class InstanceNorm(nn.GroupNorm):
    """Each channel of each picture normalised by itself (Ulyanov et al. 2016). A single pixel becomes the bias."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)  # torch's class refuses 1 x 1


def norm_of(config: NetworkConfig, channels: int) -> nn.Module:
    """The normalisation of `config` for so many channels."""
    match config.norm:
        case "group":
            return nn.GroupNorm(math.gcd(channels, _GROUPS), channels)
        case "instance":
            return InstanceNorm(channels)
        case _:
            return nn.BatchNorm2d(channels)


def activation_of(config: NetworkConfig) -> nn.Module:
    match config.activation:
        case "silu":
            return nn.SiLU(inplace=True)
        case "leaky_relu":
            return nn.LeakyReLU(_LEAK, inplace=True)
        case _:
            return nn.ReLU(inplace=True)


class ConvBlock(nn.Sequential):
    """3x3 convolution, normalisation, activation. The size stays, or is halved with a stride of 2."""

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig, *, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),  # the normalisation has a bias
            norm_of(config, outputs),
            activation_of(config),
        )


class DoubleConv(nn.Sequential):
    """Two ConvBlocks, the first with the stride."""

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig, *, stride: int = 1) -> None:
        super().__init__(ConvBlock(inputs, outputs, config, stride=stride), ConvBlock(outputs, outputs, config))


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to the input (He et al. 2016, in UNets: Zhang et al. 2018).

    Where the size or the channels change, the input comes through a 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, config: NetworkConfig, *, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, config, stride=stride)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), norm_of(config, outputs))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), norm_of(config, outputs)
            )
        self.activation = activation_of(config)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.shortcut(x) + self.second(self.first(x)))


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


def initialise(module: nn.Module, config: NetworkConfig) -> None:
    """Draw the weights of all convolutions in `module` anew as `config.init` says; biases become 0.

    he_normal and he_uniform (He et al. 2015, also called Kaiming's): variance 2 / fan-in.  xavier (Glorot and Bengio
    2010), uniform: variance 2 / (fan-in + fan-out).
    """
    for part in module.modules():
        if not isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            continue
        match config.init:
            case "he_uniform":
                nn.init.kaiming_uniform_(part.weight, nonlinearity="relu")
            case "xavier":
                nn.init.xavier_uniform_(part.weight)
            case _:
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
