from pathlib import Path

import pytest

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError
from core.files import write_json
from core.images import IntensityRule
from core.networks.card import WEIGHTS_FILE, ModelCard, NetworkConfig, Normalisation, read_card, write_card

CARD = ModelCard(
    network=NetworkConfig(name="unet", classes=3, width=8, depth=3, up="transposed"),
    labels=LabelSet.of(["roof", "road"]),
    normalisation=Normalisation((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)),
    intensity=IntensityRule("fixed", 10, 4000),
    window=256,
    name="aerial",
    created="2026-01-02T03:04:05+00:00",
    metrics={"mean_iou": 0.5},
    training={"epochs": 3},
)


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    (tmp_path / WEIGHTS_FILE).touch()
    assert read_card(tmp_path) == CARD


def test_defaults_fit_each_other() -> None:
    assert NetworkConfig().multiple_of == 32
    assert NetworkConfig(name="unet", width=64, depth=4).multiple_of == 16


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"depth": 9}, {"classes": 1}, {"width": 0}, {"up": "nearest"}])
def test_a_network_that_cannot_be_is_refused(wrong: dict[str, int | str]) -> None:
    with pytest.raises(ConfigError):
        NetworkConfig(**({"name": "unet"} | wrong))  # type: ignore[arg-type]


def test_labels_and_classes_must_agree() -> None:
    with pytest.raises(ConfigError, match="2 classes, the labels are 3"):
        ModelCard(NetworkConfig(classes=2), LabelSet.of(["a", "b"]))


@pytest.mark.parametrize(
    "broken",
    [
        [],
        {"schema": 99},
        {"schema": 1},
        {**CARD.to_json(), "network": {"name": "unet", "colour": "red"}},
        {**CARD.to_json(), "network": {"name": "unet", "width": "many"}},
        {**CARD.to_json(), "labels": [{"name": "roof", "color": "#zzzzzz"}]},
    ],
)
def test_a_foreign_card_gives_one_sentence(tmp_path: Path, broken: object) -> None:
    write_json(tmp_path / "model.json", broken)
    (tmp_path / WEIGHTS_FILE).touch()
    with pytest.raises(ReadError, match=r"model\.json"):
        read_card(tmp_path)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"model\.json is missing"):
        read_card(tmp_path)


@pytest.mark.parametrize("thresholds", [{"coin": 0.0}, {"coin": 1.1}, {"cup": 0.5}, {"_background_": 0.5}])
def test_thresholds_are_of_labels_and_possible(thresholds: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="threshold"):
        ModelCard(NetworkConfig(), LabelSet.of(["coin"]), thresholds=thresholds)


def test_thresholds_survive_the_file() -> None:
    card = ModelCard(NetworkConfig(), LabelSet.of(["coin"]), thresholds={"coin": 0.3})
    assert ModelCard.from_json(card.to_json()) == card
    assert card.class_thresholds == {1: 0.3}
