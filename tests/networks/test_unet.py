import pytest
import torch

from core.errors import ConfigError
from core.networks import NETWORKS, build_network
from core.networks.blocks import fold_batch_norms
from core.networks.card import NetworkConfig


def parameters(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_the_usual_unet_has_31_million_parameters() -> None:
    with torch.device("meta"):
        network = build_network(NetworkConfig(name="unet", width=64, depth=4, up="transposed"))
    assert parameters(network) == 31_037_698


def test_half_the_width_has_a_quarter_of_the_parameters() -> None:
    with torch.device("meta"):
        network = build_network(NetworkConfig(name="unet", width=32, depth=4, up="transposed"))
    assert round(parameters(network) / 1e6, 2) == 7.76


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
@pytest.mark.parametrize(("channels", "classes", "width", "depth"), [(3, 2, 4, 1), (1, 5, 4, 2), (7, 3, 2, 4)])
def test_logits_have_the_size_of_the_picture(up: str, channels: int, classes: int, width: int, depth: int) -> None:
    config = NetworkConfig(name="unet", in_channels=channels, classes=classes, width=width, depth=depth, up=up)
    logits = build_network(config)(torch.zeros(2, channels, 16, 32))
    assert logits.shape == (2, classes, 16, 32)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_size_that_does_not_fit_is_told(name: str) -> None:
    network = build_network(NetworkConfig(name=name, width=4))
    with pytest.raises(ValueError, match="multiples of 32, got 32 x 48"):
        network(torch.zeros(1, 3, 32, 48))


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("up", ["transposed", "bilinear"])
def test_folding_batch_norms_changes_nothing_in_eval_mode(name: str, up: str) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfig(name=name, width=4, up=up))
    pictures = torch.randn(4, 3, 64, 64)
    for _ in range(3):
        network(pictures)  # running statistics other than 0 and 1
    network.eval()
    with torch.inference_mode():
        before = network(pictures)
        fold_batch_norms(network)
        after = network(pictures)
    assert not [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


def test_batch_norms_follow_within_ten_steps() -> None:
    for name in NETWORKS:
        norms = build_network(NetworkConfig(name=name, width=4)).modules()
        assert {part.momentum for part in norms if isinstance(part, torch.nn.BatchNorm2d)} == {0.1}


def test_every_parameter_learns() -> None:
    for name in NETWORKS:
        network = build_network(NetworkConfig(name=name, width=4))
        network(torch.randn(2, 3, 64, 64)).square().mean().backward()
        assert [key for key, value in network.named_parameters() if value.grad is None] == []


def test_an_unknown_network_is_told_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no network 'vnet'.*unet or efficient_unet"):
        build_network(NetworkConfig(name="vnet"))


def test_unet_has_no_pretrained_weights() -> None:
    with pytest.raises(ConfigError, match="no pretrained weights for unet"):
        build_network(NetworkConfig(name="unet", width=4), pretrained=True)
