"""TensorBoard events are read back with TensorBoard's own reader and must say what the CSVs say."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from core.annotation.labels import LabelSet
from core.inference.metrics import ConfusionMatrix
from core.project.project import Project
from core.training import events, worker
from core.training.events import EVENTS_FOLDER, PICTURE_EPOCHS, Events
from core.training.loop import EpochResult, StepResult, TrainingState
from core.training.run import Run, create_run, log_tail, read_metrics, read_run, read_steps, request_stop, resume_run
from core.training.status import Finished
from tests.training.scenes import make_project, tiny

OF_EPOCH = {  # tag -> column of metrics.csv
    "loss/train": "train_loss",
    "loss/validation": "val_loss",
    "iou/train": "train_iou",
    "iou/validation": "val_iou",
    "label_iou/square": "val_iou:square",
}
OF_STEP = {"loss/step": "loss", "learning_rate": "learning_rate"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p")


def read(run: Run) -> EventAccumulator:
    found = EventAccumulator(str(run.folder / EVENTS_FOLDER), size_guidance={"images": 0, "scalars": 0})
    found.Reload()
    return found


def assert_as_in_csv(run: Run) -> None:
    found, metrics, steps = read(run), read_metrics(run), read_steps(run)
    assert set(found.Tags()["scalars"]) == {*OF_EPOCH, *OF_STEP}
    for columns, tags in ((metrics, OF_EPOCH), (steps, OF_STEP)):
        for tag, column in tags.items():
            points = found.Scalars(tag)
            assert [point.step for point in points] == columns["step"], tag
            assert [point.value for point in points] == pytest.approx(columns[column], rel=1e-5), tag


def stop_after(run: Run, epochs: int) -> worker.OnEpoch:
    return lambda done, total, text: request_stop(run) if done == epochs else None


def matrix(hits: int) -> ConfusionMatrix:
    found = ConfusionMatrix(2)
    found.add(np.ones((1, 10), np.uint8), np.repeat(np.uint8([1, 0]), [hits, 10 - hits])[None])
    return found


def epoch(number: int, *, of: int = 10, val: bool = True) -> EpochResult:
    """The Epoch `number` of 4 Steps each."""
    nothing: Any = None
    return EpochResult(
        epoch=number,
        step=4 * number,
        seconds=1.0,
        learning_rate=1e-3,
        train_loss=1 / number,
        train_matrix=matrix(5),
        val_loss=0.5 if val else None,
        val_matrix=matrix(7) if val else None,
        is_best=False,
        progress=number / of,
        waiting_share=0.0,
        network=nothing,
        state=nothing,
    )


def state_of(number: int) -> TrainingState:
    return TrainingState({}, {"epoch": number, "step": 4 * number})


# ------------------------------------------------------------------------------------------------------ a whole Run


def test_the_events_of_a_run_are_its_csvs(project: Project) -> None:
    run = create_run(project, tiny(epochs=3))
    worker.work(run.folder)
    assert_as_in_csv(run)


def test_pictures_are_the_previews_and_the_config_is_text(project: Project) -> None:
    run = create_run(project, tiny(epochs=2, seed=7))
    worker.work(run.folder)
    found = read(run)
    (preview,) = (run.folder / "previews").glob("*.jpg")
    tag = f"pictures/{preview.stem}"
    assert found.Tags()["images"] == [tag]
    pictures = found.Images(tag)
    assert [picture.step for picture in pictures] == [4, 8]
    shown = np.asarray(Image.open(io.BytesIO(pictures[-1].encoded_image_string)))
    assert shown.shape == (pictures[-1].height, pictures[-1].width, 3)
    assert np.corrcoef(shown.ravel(), np.asarray(Image.open(preview)).ravel())[0, 1] > 0.95  # noise, twice as JPEG
    (text,) = found.Tensors("config")[0].tensor_proto.string_val
    assert all(line.startswith("    ") for line in text.decode().splitlines())
    assert json.loads(text) == run.config.to_json()


def test_a_stopped_run_goes_on_without_doubles_or_gaps(project: Project) -> None:
    run = create_run(project, tiny(epochs=4))
    worker.work(run.folder, on_epoch=stop_after(run, 2))
    worker.work(resume_run(run.folder).folder)
    assert len(list((run.folder / EVENTS_FOLDER).iterdir())) == 2
    assert read_metrics(run)["epoch"] == [1, 2, 3, 4]
    assert_as_in_csv(run)


def test_a_disk_that_refuses_does_not_end_the_training(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, events: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(events, "_append", full)
    run = create_run(project, tiny(epochs=2))
    worker.work(run.folder)
    assert isinstance(read_run(run.folder).status, Finished)
    assert log_tail(run.folder).count("No TensorBoard events from here on.") == 1
    assert "the disk is full" in log_tail(run.folder)


# ------------------------------------------------------------------------------------------------------ by itself


@pytest.fixture
def run(project: Project) -> Run:
    return create_run(project, tiny(epochs=10))


@pytest.fixture
def said() -> list[str]:
    return []


def test_what_a_killed_process_wrote_after_its_last_state_is_taken_back(run: Run, said: list[str]) -> None:
    first = Events(run, None, said.append)
    for number in (1, 2, 3):
        first.add_step(StepResult(4 * number - 3, number, 0.1, 0.5, 1e-3, 0.1, 0.0))
        first.add_epoch(epoch(number), {"a": np.zeros((2, 6, 3), np.uint8)})
    with (run.folder / EVENTS_FOLDER / "events.out.tfevents.0000").open("ab") as file:
        file.write(b"\x18\0\0\0")  # torn: killed while it wrote
    second = Events(run, state_of(2), said.append)
    second.add_step(StepResult(10, 3, 0.1, 0.25, 1e-3, 0.1, 0.0))
    second.add_epoch(epoch(3), {"a": np.zeros((2, 6, 3), np.uint8)})
    found = read(run)
    assert [(point.step, point.value) for point in found.Scalars("loss/step")] == [(1, 0.5), (5, 0.5), (10, 0.25)]
    assert [point.step for point in found.Scalars("loss/train")] == [4, 8, 12]
    assert [picture.step for picture in found.Images("pictures/a")] == [4, 8, 12]
    assert len(found.Tensors("config")) == 1
    assert said == []


def test_an_epoch_is_on_the_disk_when_it_is_over(run: Run, said: list[str]) -> None:
    writer = Events(run, None, said.append)
    assert read(run).Tags()["tensors"] == ["config"]  # at once: there is something to open
    writer.add_epoch(epoch(1), {})
    assert [point.value for point in read(run).Scalars("loss/train")] == [1.0]


def test_what_was_not_measured_is_left_out(run: Run, said: list[str]) -> None:
    Events(run, None, said.append).add_epoch(epoch(1, val=False), {})
    assert set(read(run).Tags()["scalars"]) == {"loss/train", "iou/train"}


@pytest.mark.parametrize(("epochs", "pictures"), [(1, 1), (7, 7), (19, 19), (1000, PICTURE_EPOCHS)])
def test_pictures_come_about_twenty_times_the_first_and_the_last_epoch_among_them(
    run: Run, said: list[str], epochs: int, pictures: int
) -> None:
    writer = Events(run, None, said.append)
    for number in range(1, epochs + 1):
        writer.add_epoch(epoch(number, of=epochs), {"a": np.zeros((2, 6, 3), np.uint8)})
    steps = [picture.step for picture in read(run).Images("pictures/a")]
    assert len(steps) == pictures
    assert (steps[0], steps[-1]) == (4, 4 * epochs)


def test_names_that_are_no_utf8_do_not_matter(tmp_path: Path, said: list[str]) -> None:
    project = make_project(tmp_path / "q", labels=("a/b ü",))
    run = create_run(project, tiny())
    Events(run, None, said.append).add_epoch(epoch(1), {"\udcff": np.zeros((2, 6, 3), np.uint8)})
    found = read(run)
    assert found.Scalars("label_iou/a/b ü")[0].value == pytest.approx(0.7)
    assert found.Tags()["images"] == ["pictures/?"]
    assert LabelSet.of(["a/b ü"]) == run.labels


def _no_tensorboard(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)


def _a_file_in_the_way(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    (run.folder / EVENTS_FOLDER).touch()


@pytest.mark.parametrize(
    ("hinder", "reason"),
    [(_no_tensorboard, "TensorBoard is not installed"), (_a_file_in_the_way, "No TensorBoard events from here on")],
)
def test_why_there_are_no_events_is_said_once(
    run: Run,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    hinder: Callable[[pytest.MonkeyPatch, Run], None],
    reason: str,
) -> None:
    hinder(monkeypatch, run)
    writer = Events(run, None, said.append)
    writer.add_step(StepResult(1, 1, 0.1, 0.5, 1e-3, 0.1, 0.0))
    writer.add_epoch(epoch(1), {})
    (line,) = said
    assert line.startswith(reason)
