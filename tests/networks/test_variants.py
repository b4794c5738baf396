"""The choices of a NetworkConfig: each builds, learns, folds and exports."""

import pytest
import torch

from core.errors import ConfigError
from core.networks import NETWORKS, build_network
from core.networks.attention import CBAM
from core.networks.blocks import InstanceNorm, fold_batch_norms
from core.networks.card import NETWORK_CHOICES, NetworkConfig

VARIANTS = [
    NetworkConfig(name="unet", width=4, depth=3, activation="silu", norm="group", init="xavier"),
    NetworkConfig(name="unet", width=4, depth=3, attention="cbam", init="he_uniform"),
    NetworkConfig(name="unet", width=4, depth=3, down="strided", up="transposed", norm="instance"),
    NetworkConfig(name="residual_unet", width=4, depth=3, activation="leaky_relu", down="strided"),
    NetworkConfig(name="residual_unet", width=4, depth=2, attention="cbam", supervision=1, early_exit=True),
    NetworkConfig(name="unet", width=4, depth=4, supervision=2, early_exit=True),
    NetworkConfig(name="efficient_unet", width=4, activation="silu", norm="group", supervision=2, early_exit=True),
]


def names(config: NetworkConfig) -> str:
    return " ".join(str(value) for value in (config.name, config.norm, config.attention, config.down))


@pytest.fixture(params=VARIANTS, ids=names)
def config(request: pytest.FixtureRequest) -> NetworkConfig:
    torch.manual_seed(0)
    return request.param


def test_every_parameter_learns_and_logits_have_the_size_of_the_picture(config: NetworkConfig) -> None:
    network = build_network(config)
    outputs = list(network.outputs(torch.randn(2, 3, 32, 64)))
    assert len(outputs) == 1 + config.supervision + config.early_exit
    assert outputs[-1].shape == (2, 2, 32, 64)
    sum(logits.square().mean() for logits in outputs).backward()  # type: ignore[union-attr]
    assert [key for key, value in network.named_parameters() if value.grad is None] == []


def test_folding_changes_nothing(config: NetworkConfig) -> None:
    network = build_network(config)
    pictures = torch.randn(4, 3, 64, 64)
    for _ in range(3):
        network(pictures)
    network.eval()
    with torch.inference_mode():
        before = network(pictures)
        fold_batch_norms(network)
        torch.testing.assert_close(network(pictures), before, rtol=1e-4, atol=1e-4)
    assert not [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize("config", [VARIANTS[1], VARIANTS[2], VARIANTS[6]], ids=names)
def test_an_exported_program_gives_the_same(config: NetworkConfig) -> None:
    network = build_network(config).eval()
    fold_batch_norms(network)
    picture = torch.randn(1, 3, 64, 64)
    program = torch.export.export(network, (picture,))
    with torch.inference_mode():
        torch.testing.assert_close(program.module()(picture), network(picture), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("side", "strides"), [(64, [8, 4, 2, 1])])
def test_outputs_come_from_the_cheapest_to_the_last(side: int, strides: list[int]) -> None:
    network = build_network(VARIANTS[5])
    found = [side // logits.shape[-1] for logits in network.outputs(torch.zeros(1, 3, side, side))]
    assert found == strides


def test_who_stops_early_does_not_pay_for_the_rest() -> None:
    network = build_network(VARIANTS[5]).eval()
    called: list[str] = []
    network.merge[0].register_forward_hook(lambda *_: called.append("decoder"))  # type: ignore[union-attr]
    next(network.outputs(torch.zeros(1, 3, 64, 64)))
    assert called == []
    network(torch.zeros(1, 3, 64, 64))
    assert called == ["decoder"]


@pytest.mark.parametrize("scheme", NETWORK_CHOICES["init"])
def test_initial_weights_have_the_variance_of_their_scheme(scheme: str) -> None:
    torch.manual_seed(0)
    weight = build_network(NetworkConfig(name="unet", width=64, depth=1, init=scheme)).first[1][0].weight.detach()  # type: ignore[index]
    fan = 64 * 9
    expected = 2 / (fan + fan) if scheme == "xavier" else 2 / fan
    assert float(weight.var()) == pytest.approx(expected, rel=0.05)
    uniform = float(weight.abs().max()) < 1.8 * float(weight.std())  # at most the root of 3
    assert uniform == (scheme != "he_normal")


def test_instance_norm_is_torchs_and_takes_a_single_pixel() -> None:
    ours, theirs = InstanceNorm(3), torch.nn.InstanceNorm2d(3, affine=True)
    picture = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(ours(picture), theirs(picture))
    assert ours(torch.ones(1, 3, 1, 1)).tolist() == torch.zeros(1, 3, 1, 1).tolist()


def test_cbam_weighs_channels_then_places() -> None:
    torch.manual_seed(0)
    block, x = CBAM(8), torch.randn(2, 8, 6, 5)
    weights = block(x) / x
    assert bool((weights > 0).all())
    assert bool((weights < 1).all())
    # the weights are a product of one for each channel and one for each place
    outer = weights[:, :, :1, :1] * weights[:, :1, :, :] / weights[:, :1, :1, :1]
    torch.testing.assert_close(weights, outer, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "unet", "activation": "tanh"}, "network.activation cannot be 'tanh'"),
        ({"name": "unet", "norm": "layer"}, "network.norm cannot be 'layer'"),
        ({"name": "unet", "depth": 2, "supervision": 2}, "depth 2 cannot have 2 outputs"),
        ({"attention": "cbam"}, "efficient_unet needs attention none"),
        ({"down": "strided"}, "efficient_unet needs down pool"),
    ],
)
def test_choices_that_cannot_be_are_told(settings: dict[str, int | str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        NetworkConfig(**settings)  # type: ignore[arg-type]


def test_all_networks_are_tried() -> None:
    assert {config.name for config in VARIANTS} == set(NETWORKS)
