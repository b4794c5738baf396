"""Settings: a Config that exists is possible, and each one that is not says why."""

import json
from dataclasses import replace
from typing import Any

import pytest

from core.errors import ConfigError
from core.networks.card import NetworkConfig
from core.training.config import TrainingConfig
from core.training.presets import CLASSIC, PRESETS


def test_a_config_survives_json() -> None:
    config = TrainingConfig(network=NetworkConfig(classes=4), minutes=2.5, augment="cell", seed=7)
    assert TrainingConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0; it must lie between 1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"minutes": -1.0}, "minutes is -1"),
        ({"tile": 100}, "A tile of 100 pixels does not fit the network. Choose a multiple of 32, for example 96"),
        ({"schedule": "magic"}, "schedule cannot be 'magic'. Choose one of cosine, poly, constant"),
        ({"augment": "wild"}, "augment cannot be 'wild'"),
        ({"class_weights": "heavy"}, "class_weights cannot be 'heavy'. Choose one of none, inverse, median"),
        ({"batch": 1, "tile": 32}, "A single tile of 32 pixels leaves the network one number"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"precision": "fp8"}, "precision cannot be 'fp8'. Choose one of auto, fp32, bf16, fp16"),
        ({"device": "abacus"}, "device cannot be 'abacus'"),
        ({"cross_entropy": 0.0, "dice": 0.0, "lovasz": 0.0}, "All loss weights are 0"),
        ({"network": NetworkConfig(name="unet", depth=4)}, "There are no pretrained weights for unet"),
        ({"network": NetworkConfig(name="vnet")}, "network cannot be 'vnet'"),
    ],
)
def test_impossible_settings_say_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(TrainingConfig(), **changes)
    assert message in str(caught.value)


def test_settings_come_as_text() -> None:
    config = TrainingConfig().with_settings(
        {"learning_rate": "3e-4", "epochs": " 5 ", "network.width": "24", "minutes": "1.5", "pretrained": "no"}
    )
    assert (config.learning_rate, config.epochs, config.network.width) == (3e-4, 5, 24)
    assert (config.minutes, config.pretrained) == (1.5, False)
    assert config.with_settings({"minutes": "none"}).minutes is None


def test_another_network_brings_what_belongs_to_it() -> None:
    config = TrainingConfig(network=NetworkConfig(classes=5)).with_settings({"network.name": "unet"})
    assert config.network == NetworkConfig(name="unet", classes=5, width=32, depth=4, up="transposed")
    assert not config.pretrained
    assert config.with_settings({"network.width": "8"}).network.depth == 4
    assert config.with_settings({"network.name": "efficient_unet"}).pretrained


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("learning_rat", "1", "There is no setting 'learning_rat'. There are: pretrained, preset, epochs"),
        ("classes", "3", "There is no setting 'classes'"),
        ("network.classes", "3", "There is no setting 'network.classes'"),
        ("network", "unet", "There is no setting 'network'"),
        ("epochs", "many", "epochs cannot be 'many'. Write a whole number."),
        ("epochs", "1.5", "epochs cannot be '1.5'. Write a whole number."),
        ("pretrained", "maybe", "pretrained cannot be 'maybe'. Write yes or no."),
        ("batch", "0", "batch is 0"),
    ],
)
def test_text_that_is_no_setting_says_what_there_is(key: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainingConfig().with_settings({key: text})
    assert message in str(caught.value)


def test_json_of_another_version_is_refused() -> None:
    with pytest.raises(ConfigError, match="no setting 'wings'"):
        TrainingConfig.from_json({**TrainingConfig().to_json(), "wings": 0.9})
    with pytest.raises(ConfigError, match="damaged"):
        TrainingConfig.from_json({"epochs": 3})


@pytest.mark.parametrize("config", [*PRESETS.values(), *CLASSIC.values(), TrainingConfig(minutes=2.5)])
def test_all_settings_as_text_are_the_config_again(config: TrainingConfig) -> None:
    settings = config.as_settings()
    assert TrainingConfig().with_settings(settings) == config
