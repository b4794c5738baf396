import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.annotation.labels import LabelSet
from core.errors import ReadError, WriteError
from core.networks import build_network, checkpoint
from core.networks.card import CARD_FILE, WEIGHTS_FILE, ModelCard, NetworkConfig
from core.networks.checkpoint import load_checkpoint, save_checkpoint


def small(width: int = 4, names: tuple[str, ...] = ("crack",)) -> tuple[torch.nn.Module, ModelCard]:
    config = NetworkConfig(name="unet", classes=1 + len(names), width=width, depth=2)
    return build_network(config), ModelCard(config, LabelSet.of(names))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "best", *small())
    return tmp_path / "best"


def test_weights_and_card_come_back(tmp_path: Path) -> None:
    network, card = small()
    network(torch.randn(2, 3, 8, 8))  # running statistics are part of it
    save_checkpoint(tmp_path, network, card)
    loaded, own_card = load_checkpoint(tmp_path)
    assert own_card == card
    assert not loaded.training
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_channels_last_weights_and_foreign_files_do_not_matter(tmp_path: Path) -> None:
    network, card = small()
    network.to(memory_format=torch.channels_last)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "optimizer.pt").write_bytes(pickle.dumps({"never": "read"}))
    save_checkpoint(tmp_path, network, card)
    assert load_checkpoint(tmp_path)[1] == card
    assert sorted(path.name for path in tmp_path.iterdir()) == [CARD_FILE, WEIGHTS_FILE, "notes.txt", "optimizer.pt"]


def test_a_save_that_ends_between_its_two_files_still_loads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise WriteError("model.json was not saved: the disk is full.")

    monkeypatch.setattr(checkpoint, "write_card", full_disk)
    network, card = small(width=6, names=("crack", "stain"))
    with pytest.raises(WriteError):
        save_checkpoint(folder, network, card)
    loaded, own_card = load_checkpoint(folder)
    assert own_card == card
    assert torch.equal(loaded.state_dict()["head.bias"], network.state_dict()["head.bias"])


def test_a_full_disk_leaves_the_old_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / WEIGHTS_FILE).read_bytes()

    def full_disk(*_: object) -> None:
        raise WriteError("model.safetensors was not saved: the disk is full.")

    monkeypatch.setattr(checkpoint, "write_bytes", full_disk)
    with pytest.raises(WriteError):
        save_checkpoint(folder, *small(width=6))
    assert (folder / WEIGHTS_FILE).read_bytes() == before
    assert load_checkpoint(folder)[1].network.width == 4


def test_weights_of_another_program_load_when_they_fit(folder: Path) -> None:
    save_file(load_file(folder / WEIGHTS_FILE), folder / WEIGHTS_FILE)  # no card in the header
    assert load_checkpoint(folder)[1].network.width == 4


def cut_off(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-100])


def emptied(folder: Path) -> None:
    (folder / WEIGHTS_FILE).write_bytes(b"")


def pickled(folder: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, folder / WEIGHTS_FILE)


def of_another_network(folder: Path) -> None:
    save_file({"head.weight": torch.zeros(3)}, folder / WEIGHTS_FILE)


def not_numbers(folder: Path) -> None:
    state = load_file(folder / WEIGHTS_FILE)
    state["head.bias"][0] = torch.nan
    save_file(state, folder / WEIGHTS_FILE)


def without_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()


def without_card(folder: Path) -> None:
    (folder / CARD_FILE).unlink()


def card_cut_off(folder: Path) -> None:
    path = folder / CARD_FILE
    path.write_bytes(path.read_bytes()[:40])


def card_of_a_giant(folder: Path) -> None:
    path = folder / CARD_FILE
    path.write_text(path.read_text().replace('"width": 4', '"width": 1000000000'))
    save_file(load_file(folder / WEIGHTS_FILE), folder / WEIGHTS_FILE)


def card_of_an_unknown_network(folder: Path) -> None:
    path = folder / CARD_FILE
    path.write_text(path.read_text().replace('"unet"', '"vnet"'))
    save_file(load_file(folder / WEIGHTS_FILE), folder / WEIGHTS_FILE)


@pytest.mark.parametrize(
    ("breaking", "sentence"),
    [
        (cut_off, "cannot be read"),
        (emptied, "cannot be read"),
        (pickled, "cannot be read"),
        (of_another_network, "do not fit unet"),
        (not_numbers, "not numbers"),
        (without_weights, "model.safetensors is missing"),
        (without_card, "model.json is missing"),
        (card_cut_off, "not readable JSON"),
        (card_of_a_giant, "do not fit unet|cannot be"),
        (card_of_an_unknown_network, "cannot be"),
    ],
)
def test_a_broken_folder_gives_one_sentence(folder: Path, breaking: object, sentence: str) -> None:
    breaking(folder)  # type: ignore[operator]
    with pytest.raises(ReadError, match=sentence) as caught:
        load_checkpoint(folder)
    assert "\n" not in caught.value.message
    assert caught.value.hint
