"""Pictures and labels that careless trainings stumble over: through the loop, with every loss, and through a Run."""

import errno
import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask
from core.annotation.shapes import Annotation, Rectangle
from core.errors import WriteError
from core.images import RGB, ImageSize, IntensityRule
from core.inference.predict import predict
from core.inference.torch_backend import load
from core.networks.checkpoint import load_checkpoint
from core.project.project import Project
from core.training import worker
from core.training.config import LOSS_NAMES
from core.training.loop import EpochResult, StepResult, TrainingData, train
from core.training.run import create_run, log_tail, read_metrics, read_run, resume_run
from core.training.status import STATE_FILE, Failed, Finished
from core.training.tiles import LabelledPicture, PictureCache
from core.training.validation import Validation
from tests.training.scenes import TINY, make_project, tiny


def data_of(masks: dict[str, Mask], folder: Path, *, val: str = "") -> TrainingData:
    """Pictures of noise, those named in `val` validate."""

    def read(name: str) -> tuple[RGB, Mask]:
        random = np.random.default_rng(len(name))
        return random.integers(0, 256, (*masks[name].shape, 3), dtype=np.uint8), masks[name]

    listed: dict[bool, list[LabelledPicture]] = {True: [], False: []}
    for name, mask in masks.items():
        pixels = {int(i): int(n) for i, n in enumerate(np.bincount(mask.ravel())) if n}
        size = ImageSize(*mask.shape)
        listed[name in val].append(LabelledPicture(name, size, frozenset(pixels) - {0, 255}, pixels))
    cache = PictureCache(read, budget=10_000_000, spill=folder / "cache")
    return TrainingData(LabelSet.of(["one", "two"]), IntensityRule(), listed[False], listed[True], cache)


def full(value: int, *size: int) -> Mask:
    return np.full(size, value, np.uint8)


def mixed(*size: int) -> Mask:
    mask = np.zeros(size, np.uint8)
    mask[: size[0] // 2] = 1
    mask[-1:, -1:] = 2
    return mask


ODD: dict[str, dict[str, Mask]] = {
    "one class only": {"a": full(1, 40, 40), "v": full(1, 40, 40)},
    "no foreground": {"a": full(0, 40, 40), "b": full(0, 40, 40), "v": full(0, 40, 40)},
    "nothing labelled": {"a": full(255, 40, 40), "v": full(255, 40, 40)},
    "nothing labelled but a pixel": {"a": np.pad(full(2, 1, 1), 20, constant_values=255), "v": mixed(40, 40)},
    "a class that only validates": {"a": full(1, 40, 40), "v": full(2, 40, 40)},
    "a single picture": {"a": mixed(40, 40)},
    "smaller than a tile": {"a": mixed(9, 13), "v": mixed(7, 5)},
    "a single pixel": {"a": full(1, 1, 1), "v": full(1, 1, 1)},
    "a single row": {"a": mixed(1, 90), "b": mixed(90, 1), "v": mixed(1, 50)},
    "sizes that differ wildly": {"a": mixed(3, 700), "b": mixed(500, 500), "c": mixed(12, 12), "v": mixed(300, 5)},
}


@pytest.mark.parametrize("augment", ["none", "industrial"])
@pytest.mark.parametrize("class_weights", ["none", "median"])
@pytest.mark.parametrize("case", ODD)
def test_odd_data_trains_with_every_loss(tmp_path: Path, case: str, class_weights: str, augment: str) -> None:
    losses: dict[str, Any] = dict.fromkeys(LOSS_NAMES, 0.2)
    settings = {"batch": 2, "accumulate": 2, "augment": augment, "class_weights": class_weights, **losses}
    config = tiny(steps_per_epoch=2, network=replace(TINY.network, classes=3), **settings)
    results = list(train(config, data_of(ODD[case], tmp_path, val="v")))
    assert [type(result).__name__ for result in results] == ["StepResult", "StepResult", "EpochResult"] * 2
    for result in results:
        if isinstance(result, StepResult):
            assert np.isfinite(result.loss)
        if isinstance(result, EpochResult):
            assert all(bool(value.isfinite().all()) for value in result.network.state_dict().values())
            assert result.val_loss is None or np.isfinite(result.val_loss)
    assert isinstance(results[2], EpochResult)
    assert results[2].is_best


@pytest.mark.parametrize(
    "picture",
    [np.full((48, 48), 90, np.uint8), np.full((48, 48), 40_000, np.uint16), np.full((48, 48, 4), 90, np.uint8)],
    ids=["grey", "16 bits", "with alpha"],
)
def test_pictures_of_other_channels_train_beside_colour(tmp_path: Path, picture: np.ndarray) -> None:
    project = make_project(tmp_path / "p", pictures=2)
    picture[10:30, 10:30] = picture[10:30, 10:30] // 2
    data = cv2.imencode(".png", picture)[1].tobytes()
    for i in range(3):
        name = project.add_image(data, filename=f"odd{i}.png").sample
        square = Rectangle(label="square", points_xy=((10, 10), (29, 29)))
        project.save_annotation(name, Annotation(size=ImageSize(48, 48), shapes=(square,)), author="test")
    run = create_run(project, tiny())
    worker.work(run.folder)
    assert isinstance(read_run(run.folder).status, Finished)
    prediction = predict(project.read_image(name), load(run.folder / "best"))
    assert prediction.mask.shape == (48, 48)


def fill_disk(monkeypatch: pytest.MonkeyPatch, file: str, *, after: int) -> None:
    """No more room for `file` once it was written `after` times."""
    whole, written = os.replace, list[Path]()

    def replace(source: str, target: Path) -> None:
        if Path(target).name == file:
            written.append(Path(target))
            if len(written) > after:
                raise OSError(errno.ENOSPC, "No space left on device")
        whole(source, target)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("file", ["state.safetensors", "model.safetensors", "model.json"])
def test_a_disk_that_fills_up_leaves_what_was_saved_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    project, scores = make_project(tmp_path / "p", pictures=6), itertools.count()
    monkeypatch.setattr(Validation, "score", lambda *_: (float(next(scores)), 0.0))  # each Epoch is the best
    run = create_run(project, tiny(epochs=4))
    with monkeypatch.context() as full_disk:
        fill_disk(full_disk, file, after=2)
        with pytest.raises(WriteError, match=f"{file} was not saved: the disk is full. Free some space"):
            worker.work(run.folder)
    run = read_run(run.folder)
    assert isinstance(run.status, Failed)
    assert run.status.message == f"{file} was not saved: the disk is full."
    assert f"{file} was not saved" in log_tail(run.folder)
    load_checkpoint(run.folder / "best")
    assert not list(run.folder.rglob("*.part"))
    assert run.resumable
    worker.work(resume_run(run.folder).folder)
    assert isinstance(read_run(run.folder).status, Finished)
    assert read_metrics(run)["epoch"] == [1, 2, 3, 4]
    assert not (run.folder / STATE_FILE).exists()


def test_a_disk_full_to_the_last_byte_does_not_hide_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make_project(tmp_path / "p", pictures=2)
    run = create_run(project, tiny())

    def no_room(*_: object, **__: object) -> None:
        raise WriteError("status.json was not saved: the disk is full.")

    def fill(*_: object) -> None:
        monkeypatch.setattr("core.training.heartbeat.write_status", no_room)
        raise WriteError("state.safetensors was not saved: the disk is full.")

    monkeypatch.setattr(worker, "_write_epoch", fill)
    with pytest.raises(WriteError, match=r"state\.safetensors"):
        worker.work(run.folder)
    assert "status.json was not saved" in capsys.readouterr().err


def test_a_project_of_one_class_without_background_trains(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", name="Full", labels=LabelSet.of(["all"]))
    for i in range(4):
        image = np.random.default_rng(i).integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)
        name = project.add_image(cv2.imencode(".png", image)[1].tobytes(), filename=f"{i}.png").sample
        whole = Rectangle(label="all", points_xy=((0, 0), (29, 19 + i)))
        project.save_annotation(name, Annotation(size=ImageSize(20 + i, 30), shapes=(whole,)), author="test")
    run = create_run(project, tiny(class_weights="inverse"))
    worker.work(run.folder)
    assert isinstance(read_run(run.folder).status, Finished)
    assert (read_metrics(run)["val_iou"][-1] or 0) > 0.7
