"""What TensorBoard reads of a Run is what metrics.csv says."""

from pathlib import Path
from urllib.request import urlopen

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from core.errors import UserError
from core.project.project import Project
from core.training import tensorboard
from core.training.events import FOLDER, Events
from core.training.run import Run, create_run, read_metrics, read_run, resume_run
from core.training.worker import work
from tests.training.scenes import make_project, tiny


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(make_project(tmp_path / "p"), tiny(epochs=3))


def read(run: Run) -> EventAccumulator:
    found = EventAccumulator(str(run.folder / FOLDER), size_guidance={"images": 0, "scalars": 0})
    return found.Reload()


def points(events: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_events_are_what_the_table_says(run: Run) -> None:
    work(run.folder)
    metrics, events = read_metrics(run), read(run)
    for name, column in (
        ("loss/train", "train_loss"),
        ("loss/validation", "val_loss"),
        ("iou/validation", "val_iou"),
        ("iou of labels/square", "val_iou:square"),
    ):
        found = points(events, name)
        assert [step for step, _ in found] == metrics["step"]
        assert [value for _, value in found] == pytest.approx(metrics[column], rel=1e-4)
    assert points(events, "loss/step")
    pictures = events.Tags()["images"]
    assert pictures
    assert all(name.startswith("scene") for name in pictures)
    assert [event.step for event in events.Images(pictures[0])] == [4, 8, 12]
    assert b"learning_rate" in events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]


def test_a_run_that_goes_on_has_no_point_twice(run: Run) -> None:
    def stop(done: int, total: int, text: str) -> None:
        if done == 2:
            (run.folder / "stop").touch()

    work(run.folder, on_epoch=stop)
    work(resume_run(run.folder).folder)
    assert [step for step, _ in points(read(run), "loss/train")] == [4, 8, 12]


def test_a_disk_that_refuses_is_said_and_ends_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", refuse)
    work(run.folder)
    assert read_metrics(read_run(run.folder))["epoch"] == [1, 2, 3]
    said = (run.folder / "log.txt").read_text()
    assert said.count("TensorBoard are not written") == 1


def test_long_runs_keep_pictures_of_few_epochs(run: Run, tmp_path: Path) -> None:
    long = create_run(Project.open(run.project_folder), tiny(epochs=100))
    assert Events(long, None, say=print)._every == 5


def test_tensorboard_answers_and_is_not_started_twice(run: Run) -> None:
    project = Project.open(run.project_folder)
    assert tensorboard.address(project) is None
    try:
        found = tensorboard.open_tensorboard(project)
        assert tensorboard.open_tensorboard(project) == found == tensorboard.address(project)
        assert found.startswith("http://127.0.0.1:")
        with urlopen(found, timeout=20) as answer:
            assert answer.status == 200
    finally:
        process, _ = tensorboard._open.pop(project.runs.resolve())
        process.kill()
        process.wait()


def test_where_it_is_missing_a_sentence_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="not installed"):
        tensorboard.open_tensorboard(Project.open(run.project_folder))
