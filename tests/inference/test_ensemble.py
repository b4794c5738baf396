"""The mean of several models' probabilities as one model, against numpy in float64; and ensembles that cannot be."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.errors import ReadError
from core.images import IntensityRule
from core.inference import load_backend
from core.inference.ensemble import Ensemble, member_folders, write_ensemble
from core.inference.predict import predict
from core.networks import build_network
from core.networks.card import ModelCard, NetworkConfig, Normalisation, read_card
from core.networks.checkpoint import save_checkpoint

LABELS = LabelSet.of(["crack", "stain"])
CONFIG = NetworkConfig(name="unet", width=4, depth=2, classes=3)
CARD = ModelCard(CONFIG, LABELS, window=32)
PICTURE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


class Fixed:
    """A Backend that answers the same logits whatever it is shown."""

    def __init__(self, logits: NDArray[np.float32], *, multiple_of: int = 4) -> None:
        self.card = ModelCard(replace(CONFIG, classes=logits.shape[1]), LabelSet.of("abcdefgh"[: logits.shape[1] - 1]))
        self.multiple_of = multiple_of
        self._logits = logits

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._logits.copy()


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@given(st.integers(1, 5), st.integers(2, 4), st.integers(0, 99), st.sampled_from([0.1, 3.0, 30.0]))
def test_its_softmax_is_the_mean_of_its_members_softmax(members: int, classes: int, seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    each = [(scale * random.standard_normal((2, classes, 5, 6))).astype(np.float32) for _ in range(members)]
    ensemble = Ensemble([Fixed(logits) for logits in each], Fixed(each[0]).card)
    found = ensemble.logits(np.zeros((2, 3, 5, 6), np.float32))
    assert found.dtype == np.float32
    mean = np.mean([softmax(logits) for logits in each], axis=0)
    np.testing.assert_allclose(softmax(found), mean, rtol=1e-4, atol=1e-7)
    shown = mean > 1e-3  # probabilities are exact to some 1e-7, so logarithms of smaller ones are not
    np.testing.assert_allclose(found[shown], np.log(mean[shown]), rtol=0, atol=1e-3)


def test_members_that_are_sure_of_the_impossible_leave_it_finite() -> None:
    logits = np.zeros((1, 3, 2, 2), np.float32)
    logits[:, 0] = 1e4
    ensemble = Ensemble([Fixed(logits), Fixed(logits)], CARD)
    found = ensemble.logits(np.zeros((1, 3, 2, 2), np.float32))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(softmax(found)[:, 0], 1)


def test_its_windows_suit_all_its_members() -> None:
    logits = np.zeros((1, 3, 2, 2), np.float32)
    assert Ensemble([Fixed(logits, multiple_of=4), Fixed(logits, multiple_of=32)], CARD).multiple_of == 32


# ------------------------------------------------------------------------------------------------------------- files


@pytest.fixture
def checkpoints(tmp_path: Path) -> list[Path]:
    folders = []
    for seed in range(3):
        torch.manual_seed(seed)
        folders.append(tmp_path / "runs" / f"run{seed}" / "best")
        save_checkpoint(folders[-1], build_network(CONFIG), replace(CARD, name=f"member {seed}"))
    return folders


def made(folder: Path, members: Sequence[Path], card: ModelCard = CARD) -> Path:
    write_ensemble(folder, members, replace(card, name="all"))
    return folder


def test_the_ensemble_of_checkpoints_predicts_the_mean(checkpoints: list[Path], tmp_path: Path) -> None:
    ensemble = load_backend(made(tmp_path / "folds" / "set", checkpoints))
    batch = np.random.default_rng(1).standard_normal((2, 3, 16, 24)).astype(np.float32)
    mean = np.mean([softmax(load_backend(folder).logits(batch)) for folder in checkpoints], axis=0)
    np.testing.assert_allclose(softmax(ensemble.logits(batch)), mean, rtol=1e-4)
    assert ensemble.card.name == "all"
    prediction = predict(PICTURE, ensemble)
    assert prediction.mask.shape == PICTURE.shape[:2]
    alone = predict(PICTURE, load_backend(made(tmp_path / "folds" / "one", checkpoints[:1])))
    np.testing.assert_array_equal(alone.mask, predict(PICTURE, load_backend(checkpoints[0])).mask)


def test_members_are_named_relative_so_that_a_project_can_be_moved(checkpoints: list[Path], tmp_path: Path) -> None:
    folder = made(tmp_path / "folds" / "set", checkpoints)
    value = json.loads((folder / "ensemble.json").read_text())
    assert value == {"schema": 1, "members": [f"../../runs/run{i}/best" for i in range(3)]}
    assert member_folders(folder) == checkpoints
    assert read_card(folder).labels == LABELS
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("runs", "folds"):
        (tmp_path / name).rename(moved / name)
    load_backend(moved / "folds" / "set")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": LabelSet.of(["crack", "cup"])}, "another labels"),
        ({"normalisation": Normalisation(mean=(1.0, 2.0, 3.0))}, "another normalisation"),
        ({"intensity": IntensityRule("fixed", 0, 1000)}, "another intensity rule"),
    ],
)
def test_members_that_do_not_fit_together_are_refused(
    checkpoints: list[Path], tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    save_checkpoint(checkpoints[1], build_network(CONFIG), replace(CARD, **changes))
    with pytest.raises(ReadError, match=f"do not fit together: .*run1.* {what.split()[1]}"):
        load_backend(made(tmp_path / "set", checkpoints))


def test_colours_alone_do_not_part_members(checkpoints: list[Path], tmp_path: Path) -> None:
    labels = LabelSet.from_json([{**label, "color": "#123456"} for label in LABELS.to_json()])
    save_checkpoint(checkpoints[1], build_network(CONFIG), replace(CARD, labels=labels))
    load_backend(made(tmp_path / "set", checkpoints))


def test_a_member_that_is_gone_is_said(checkpoints: list[Path], tmp_path: Path) -> None:
    folder = made(tmp_path / "set", checkpoints)
    (checkpoints[2] / "model.safetensors").unlink()
    with pytest.raises(ReadError, match=r"member of the ensemble .* is missing: .*run2"):
        load_backend(folder)


def test_an_ensemble_of_itself_ends(checkpoints: list[Path], tmp_path: Path) -> None:
    folder = made(tmp_path / "set", [tmp_path / "set"])
    with pytest.raises(ReadError, match="an ensemble itself"):
        load_backend(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"schema": 2, "members": ["../a"]}',
        '{"schema": 1}',
        '{"schema": 1, "members": []}',
        '{"schema": 1, "members": "best"}',
        '{"schema": 1, "members": [1]}',
        '{"schema": 1, "members": ["/etc"]}',
        '{"schema": 1, "members": ["a\\u0000b"]}',
        json.dumps({"schema": 1, "members": ["a"] * 1000}),
    ],
)
def test_a_damaged_list_of_members_is_a_read_error(checkpoints: list[Path], tmp_path: Path, text: str) -> None:
    folder = made(tmp_path / "set", checkpoints)
    (folder / "ensemble.json").write_text(text)
    with pytest.raises(ReadError):
        load_backend(folder)


def test_an_ensemble_without_its_card_is_no_model(checkpoints: list[Path], tmp_path: Path) -> None:
    folder = made(tmp_path / "set", checkpoints)
    (folder / "model.json").unlink()
    with pytest.raises(ReadError, match=r"model\.json is missing"):
        load_backend(folder)
