"""The UNet of Ronneberger et al. (2015) as the field builds it today: padded, with BatchNorm.

At width 64, depth 4, transposed, 3 channels and 2 classes it has 31.04 M parameters.
"""

import torch
from torch import Tensor, nn

from core.errors import ConfigError
from core.networks.blocks import BilinearUp, DoubleConv, TransposedUp, check_size, he_init
from core.networks.card import NetworkConfig


class UNet(nn.Module):
    """Contracting path, expanding path, skip connections. Level i has `width * 2**i` channels.

    Input (B, in_channels, H, W), H and W multiples of `2**depth`; output logits (B, classes, H, W).
    """

    def __init__(self, *, in_channels: int, classes: int, width: int, depth: int, up: str) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth + 1)]
        enlarging = TransposedUp if up == "transposed" else BilinearUp
        self.multiple_of = 2**depth
        self.first = DoubleConv(in_channels, width)
        self.pool = nn.MaxPool2d(2)
        self.down = nn.ModuleList(DoubleConv(channels[i], channels[i + 1]) for i in range(depth))
        self.up = nn.ModuleList(enlarging(channels[i + 1], channels[i]) for i in reversed(range(depth)))
        self.merge = nn.ModuleList(DoubleConv(2 * channels[i], channels[i]) for i in reversed(range(depth)))
        self.head = nn.Conv2d(width, classes, kernel_size=1)
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        check_size(x, self.multiple_of)
        x = self.first(x)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(self.pool(x))
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat((skips.pop(), up(x)), dim=1))
        return self.head(x)


def build_unet(config: NetworkConfig, *, pretrained: bool = False) -> UNet:
    """The UNet of `config`. Raises ConfigError when pretrained weights are asked for: there are none."""
    if pretrained:
        raise ConfigError(
            "There are no pretrained weights for unet.", hint="Choose efficient_unet, or train from scratch."
        )
    return UNet(
        in_channels=config.in_channels,
        classes=config.classes,
        width=config.width,
        depth=config.depth,
        up=config.up,
    )
