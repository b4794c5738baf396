"""The UNet of Ronneberger et al. (2015) as the field builds it today: padded, normalised; and with residual blocks.

At width 64, depth 4, transposed, 3 channels and 2 classes it has 31.04 M parameters.
"""

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor, nn

from core.errors import ConfigError
from core.networks.attention import CBAM
from core.networks.blocks import (
    BilinearUp,
    ConvBlock,
    DoubleConv,
    ResidualBlock,
    TransposedUp,
    initialise,
)
from core.networks.card import NetworkConfig
from core.networks.network import Network

_EXIT_LEVEL: Final = 3  # the encoder's own output is at stride 8, or at the deepest level of a shallower network


class UNet(Network):
    """Contracting path, expanding path, skip connections. Level i has `width * 2**i` channels.

    With attention each level of the contracting path ends with a CBAM. With early_exit it has an output at stride 8,
    with supervision the expanding path has outputs at strides 2, 4...
    """

    def __init__(self, config: NetworkConfig, *, block: type[DoubleConv] | type[ResidualBlock]) -> None:
        super().__init__()
        depth, classes = config.depth, config.classes
        channels = [config.width * 2**level for level in range(depth + 1)]
        enlarging = TransposedUp if config.up == "transposed" else BilinearUp
        stride = 2 if config.down == "strided" else 1
        self.multiple_of = config.multiple_of
        self.first = block(config.in_channels, config.width, config)
        self.pool = nn.Identity() if config.down == "strided" else nn.MaxPool2d(2)
        self.down = nn.ModuleList(block(channels[i], channels[i + 1], config, stride=stride) for i in range(depth))
        self.attention = nn.ModuleList(
            CBAM(count) if config.attention == "cbam" else nn.Identity() for count in channels
        )
        self.up = nn.ModuleList(enlarging(channels[i + 1], channels[i]) for i in reversed(range(depth)))
        self.merge = nn.ModuleList(block(2 * channels[i], channels[i], config) for i in reversed(range(depth)))
        self.side = nn.ModuleDict(  # by level
            {str(i): nn.Conv2d(channels[i], classes, kernel_size=1) for i in range(1, config.supervision + 1)}
        )
        self.exit = exit_head(channels[min(_EXIT_LEVEL, depth)], config) if config.early_exit else None
        self.head = nn.Conv2d(config.width, classes, kernel_size=1)
        initialise(self, config)

    def outputs(self, x: Tensor) -> Iterator[Tensor]:
        depth = len(self.down)
        x = self.attention[0](self.first(x))
        skips = []
        for level, down in enumerate(self.down, start=1):
            skips.append(x)
            x = self.attention[level](down(self.pool(x)))
            if self.exit is not None and level == min(_EXIT_LEVEL, depth):
                yield self.exit(x)
        for level, up, merge in zip(reversed(range(depth)), self.up, self.merge, strict=True):
            x = merge(torch.cat((skips.pop(), up(x)), dim=1))
            if str(level) in self.side:
                yield self.side[str(level)](x)
        yield self.head(x)


def exit_head(channels: int, config: NetworkConfig) -> nn.Sequential:
    """What turns features in the encoder into logits."""
    return nn.Sequential(ConvBlock(channels, channels, config), nn.Conv2d(channels, config.classes, kernel_size=1))


def build_unet(config: NetworkConfig, *, pretrained: bool = False) -> UNet:
    """The UNet of `config`. Raises ConfigError when pretrained weights are asked for: there are none."""
    if pretrained:
        raise ConfigError(
            f"There are no pretrained weights for {config.name}.",
            hint="Choose efficient_unet, or train from scratch.",
        )
    return UNet(config, block=ResidualBlock if config.name == "residual_unet" else DoubleConv)
