"""What pictures without labels teach."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.annotation.labels import IGNORE_ID, LabelSet
from core.errors import ConfigError
from core.files import write_json
from core.images import ImageSize, IntensityRule
from core.project.split import Split
from core.training.loop import EpochResult, TrainingData, train
from core.training.run import unlabelled_rows
from core.training.tiles import Batch, LabelledPicture, PictureCache
from core.training.unlabelled import UnlabelledTiles, sure_labels
from tests.training.scenes import SIDE, make_project, tiny


def data(folder: Path, *, unlabelled: int) -> TrainingData:
    """One labelled picture of a bright square, others without labels."""
    random = np.random.default_rng(0)
    pictures = {}
    for i in range(1 + unlabelled):
        image = random.integers(20, 60, (SIDE, SIDE, 3), dtype=np.uint8)
        top, left = random.integers(4, SIDE - 24, 2)
        image[top : top + 20, left : left + 20] += 150
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[top : top + 20, left : left + 20] = 1
        pictures[str(i)] = image, mask if i == 0 else np.full_like(mask, IGNORE_ID)
    cache = PictureCache(pictures.__getitem__, budget=10_000_000, spill=folder)
    listed = [LabelledPicture(name, ImageSize(SIDE, SIDE), frozenset({1} if name == "0" else ())) for name in pictures]
    return TrainingData(LabelSet.of(["square"]), IntensityRule(), listed[:1], [], cache, listed[1:])


def test_only_what_the_teacher_is_sure_of_is_a_label() -> None:
    probabilities = np.array([[0.96, 0.5, 0.02], [0.04, 0.5, 0.98]], np.float32)[None, :, None]
    assert sure_labels(probabilities, 0.95).tolist() == [[[0, IGNORE_ID, 1]]]


def teacher(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    bright = images.mean(axis=-1) > 120
    return np.stack((~bright, bright), axis=1).astype(np.float32)


def test_tiles_follow_from_seed_and_step_and_wait_for_a_first_model(tmp_path: Path) -> None:
    given_data = data(tmp_path, unlabelled=3)

    def batch(step: int, progress: float = 0.5) -> Batch | None:
        config = tiny(consistency=1.0, unlabelled_batch=3)
        return UnlabelledTiles(config, given_data.unlabelled, given_data.cache).batch(step, progress, teacher)

    first, again, other = batch(1), batch(1), batch(2)
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.images.shape == (3, 32, 32, 3)
    assert (first.images == again.images).all()
    assert (first.masks == again.masks).all()
    assert (first.images != other.images).any()
    assert set(np.unique(first.masks)) <= {0, 1}
    assert batch(1, progress=0.1) is None


def test_pictures_without_labels_change_what_is_learned_and_it_still_learns(tmp_path: Path) -> None:
    given_data = data(tmp_path, unlabelled=4)
    ends = {}
    for weight in (0.0, 1.0):
        results = list(train(tiny(epochs=8, consistency=weight, sure=0.6), given_data))
        ends[weight] = [result for result in results if isinstance(result, EpochResult)][-1]
    assert ends[0.0].train_loss != ends[1.0].train_loss
    assert (ends[1.0].train_matrix.iou()[1] or 0) > 0.8


def test_without_a_running_mean_there_is_no_teacher() -> None:
    with pytest.raises(ConfigError, match="Pictures without labels"):
        tiny(consistency=1.0, ema_decay=0.0)


def test_pictures_that_validate_or_test_and_their_copies_never_teach(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", pictures=4)
    for name in ("scene01", "scene02", "scene03"):
        annotation = project.read_annotation(name)
        assert annotation is not None
        project.save_annotation(name, annotation, author="test", state="todo")
    copy = (project.folder / "images" / "scene02.png").read_bytes()
    project.add_image(copy, filename="copy.png")
    split = Split({"scene00": "train", "scene02": "val", "scene03": "test"})
    write_json(project.folder / "split.json", split.to_json())
    assert [row.name for row in unlabelled_rows(project, Split())] == ["scene01"]
