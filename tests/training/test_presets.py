"""The Config that a data set gets."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.images import ImageSize
from core.project.project import PRESET_NAMES
from core.training.config import AUGMENTATION_NAMES
from core.training.presets import CLASSIC, PRESETS, DataFacts, data_facts, propose
from tests.training.scenes import SIDE, make_project


def of_size(height: int, width: int, count: int, classes: int = 2) -> DataFacts:
    return DataFacts(count, {ImageSize(height, width): count}, {0: 1, 1: 1}, classes)


def test_there_is_a_preset_for_each_kind_of_project() -> None:
    assert set(PRESETS) == set(PRESET_NAMES)
    assert {preset.augment for preset in PRESETS.values()} <= set(AUGMENTATION_NAMES)


def test_pictures_smaller_than_the_tile_get_a_tile_of_their_size() -> None:
    assert propose("cell", of_size(100, 128, 20)).tile == 128
    assert propose("cell", of_size(100, 130, 20)).tile == 160
    assert propose("cell", of_size(1500, 1500, 20)).tile == PRESETS["cell"].tile


def test_small_tiles_come_in_larger_batches_but_no_batch_sees_a_twentieth_of_the_set() -> None:
    assert propose("general", of_size(128, 128, 2000)).batch == 32
    assert propose("general", of_size(128, 128, 400)).batch == 20
    assert propose("general", of_size(128, 128, 40)).batch == 8
    assert propose("general", of_size(256, 256, 5)).batch == 8
    assert propose("general", of_size(1500, 1500, 140)).batch == 8


def test_four_times_the_pictures_train_twice_as_long() -> None:
    small, large = propose("general", of_size(512, 512, 50)), propose("general", of_size(512, 512, 200))
    assert large.steps == pytest.approx(2 * small.steps, rel=0.05)


def test_classes_follow_from_the_labels() -> None:
    assert propose("industrial", of_size(200, 200, 30, classes=6)).network.classes == 6


def test_a_project_without_pictures_gets_the_plain_preset() -> None:
    assert propose("medical", DataFacts(0)) == PRESETS["medical"]


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match="no preset 'underwater'"):
        propose("underwater", DataFacts(0))


def test_facts_count_only_what_can_train(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", pictures=3)
    annotation = project.read_annotation("scene02")
    assert annotation is not None
    project.save_annotation("scene02", annotation, author="test", state="doing")
    facts = data_facts(project)
    assert facts.pictures == 2
    assert facts.sizes == {ImageSize(SIDE, SIDE): 2}
    assert facts.pixels[1] == 2 * 20 * 20
    assert facts.side == SIDE


@pytest.mark.parametrize(
    ("kind", "optimizer", "rate", "batch", "epochs", "init", "activation"),
    [  # the table of the person who founded this project
        ("satellite", "adamw", 1e-4, 16, 50, "he_uniform", "relu"),
        ("medical", "radam", 5e-5, 8, 100, "he_normal", "silu"),
        ("cell", "sgd", 2e-4, 32, 30, "xavier", "relu"),
        ("industrial", "adamw", 1e-4, 16, 50, "he_normal", "relu"),
    ],
)
def test_classic_presets_stay_as_they_were_asked_for(
    kind: str, optimizer: str, rate: float, batch: int, epochs: int, init: str, activation: str
) -> None:
    config = propose(f"{kind} classic", of_size(1500, 1500, 140, classes=3))
    assert config == replace(
        CLASSIC[kind], steps_per_epoch=config.steps_per_epoch, network=replace(CLASSIC[kind].network, classes=3)
    )
    assert (config.optimizer, config.learning_rate, config.batch, config.epochs) == (optimizer, rate, batch, epochs)
    assert (config.network.init, config.network.activation) == (init, activation)
    assert not config.pretrained


def test_classic_networks_are_as_they_were_asked_for() -> None:
    networks = {kind: config.network for kind, config in CLASSIC.items()}
    assert {kind: network.attention for kind, network in networks.items() if network.attention != "none"} == {
        "satellite": "cbam"
    }
    assert {kind for kind, network in networks.items() if network.down == "strided"} == {"industrial"}
    assert networks["cell"].depth < networks["medical"].depth
    assert CLASSIC["cell"].momentum > 0  # Nesterov's


def test_an_epoch_of_a_classic_preset_is_a_pass_over_the_pictures() -> None:
    config = propose("medical classic", of_size(512, 512, 20))
    assert config.steps_per_epoch * config.batch * config.tile**2 == 20 * 512**2


def test_small_tiles_are_halved_while_their_side_is_at_least_8() -> None:
    depths = {side: propose("medical classic", of_size(side, side, 20)).network.depth for side in (32, 64, 256)}
    assert depths == {32: 3, 64: 4, 256: 4}
