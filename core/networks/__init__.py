"""The networks that there are. Torch is imported where one is built, not before."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from core.errors import ConfigError
from core.networks.card import NetworkConfig

if TYPE_CHECKING:
    from core.networks.network import Network


def _unet(config: NetworkConfig, *, pretrained: bool) -> "Network":
    from core.networks.unet import build_unet

    return build_unet(config, pretrained=pretrained)


def _efficient_unet(config: NetworkConfig, *, pretrained: bool) -> "Network":
    from core.networks.encoders import build_efficient_unet

    return build_efficient_unet(config, pretrained=pretrained)


NETWORKS: Final[dict[str, Callable[..., "Network"]]] = {
    "unet": _unet,
    "residual_unet": _unet,
    "efficient_unet": _efficient_unet,
}


def build_network(config: NetworkConfig, *, pretrained: bool = False) -> "Network":
    """The network of `config` in training mode: (B, in_channels, H, W) -> logits (B, classes, H, W).

    H and W are multiples of `config.multiple_of`.  pretrained: begin from ImageNet weights.
    Raises ConfigError for a name that is not in NETWORKS, or one without pretrained weights.
    """
    if config.name not in NETWORKS:
        raise ConfigError(f"There is no network {config.name!r}.", hint=f"Choose {' or '.join(NETWORKS)}.")
    return NETWORKS[config.name](config, pretrained=pretrained)
