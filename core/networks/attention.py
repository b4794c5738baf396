"""Attention: which channels and which places of a feature map matter here.

B: pictures, C: channels, H, W: pixels.
"""

from typing import Final

import torch
from torch import Tensor, nn

_REDUCTION: Final = 16  # of the channels in between, as in the paper
_KERNEL: Final = 7


class CBAM(nn.Module):
    """Convolutional block attention module (Woo et al. 2018): channels weighed first, then places. The size stays.

    Both see the mean and the maximum. The channels' weights come from the whole feature map, so what a pixel becomes
    depends on the window around it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(4, channels // _REDUCTION)
        self.channels = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
        )
        self.places = nn.Conv2d(2, 1, _KERNEL, padding=_KERNEL // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W)
        mean, most = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        x = x * (self.channels(mean) + self.channels(most)).sigmoid()
        summary = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)
        return x * self.places(summary).sigmoid()
