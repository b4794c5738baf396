"""The training process from its start to each of its ends. Within this process, but for those that kill it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from core.annotation.shapes import Annotation, Rectangle
from core.errors import ReadError, UserError
from core.images import ImageSize
from core.networks.card import read_card
from core.project.project import Project
from core.training import worker
from core.training.learner import Learner
from core.training.retrain import read_comparison, read_truth
from core.training.run import (
    Run,
    create_run,
    log_tail,
    previews,
    read_metrics,
    read_run,
    read_steps,
    request_stop,
    resume_run,
    run_split,
)
from core.training.status import STATE_FILE, Failed, Finished, Interrupted, Stopped
from core.training.validation import Validation
from tests.training.scenes import make_project, tiny
from tests.training.test_loop import fail_once, limit_memory


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p")


def stop_after(run: Run, epochs: int) -> worker.OnEpoch:
    """Ask to stop once so many Epochs are complete."""
    return lambda done, total, text: request_stop(run) if done == epochs else None


def test_a_run_leaves_all_that_a_page_shows(project: Project) -> None:
    run, said = create_run(project, tiny(epochs=3)), []
    worker.work(run.folder, on_epoch=lambda done, total, text: said.append((done, total)))
    run = read_run(run.folder)
    assert said == [(1, 3), (2, 3), (3, 3)]
    assert isinstance(run.status, Finished)
    assert run.status.epochs == 3
    metrics, steps = read_metrics(run), read_steps(run)
    assert metrics["epoch"] == [1, 2, 3]
    assert metrics["step"] == [4, 8, 12]
    assert all(value is not None for column in metrics.values() for value in column)
    assert metrics["val_iou"] == metrics["val_iou:square"]
    assert steps["step"][0] == 1
    (preview,) = previews(run)
    assert preview.stem == run_split(run).val[0]
    assert cv2.imread(str(preview)).shape == (48, 3 * 48 + 2 * 4, 3)
    assert not (run.folder / STATE_FILE).exists()
    assert "validation IoU of the labels" in log_tail(run.folder)
    assert " % of the time waited for data" in log_tail(run.folder)


def test_the_model_knows_where_it_comes_from_and_is_used(project: Project) -> None:
    run = create_run(project, tiny(epochs=2, seed=5))
    worker.work(run.folder)
    assert project.current_model() == run.folder / "best"
    card = read_card(run.folder / "best")
    assert card.labels == project.settings.labels
    assert card.training["run"] == run.id
    assert card.training["seed"] == 5
    assert card.metrics["mean_iou_foreground"] is not None
    comparison = read_comparison(read_run(run.folder))
    assert comparison is not None
    assert comparison.promoted
    assert comparison.new["mean_iou_foreground"] == card.metrics["mean_iou_foreground"]


def test_a_stopped_run_goes_on_as_if_it_had_not_been(project: Project) -> None:
    config = tiny(epochs=4, augment="cell")
    straight, broken = create_run(project, config, name="straight"), create_run(project, config, name="broken")
    worker.work(straight.folder)
    worker.work(broken.folder, on_epoch=stop_after(broken, 2))
    stopped = read_run(broken.folder)
    assert isinstance(stopped.status, Stopped)
    assert stopped.status.last_epoch == 2
    assert stopped.best is not None
    worker.work(resume_run(broken.folder).folder)
    assert isinstance(read_run(broken.folder).status, Finished)
    left, right = read_metrics(straight), read_metrics(broken)
    for name in left:
        if name not in ("seconds", "waiting_share"):
            assert left[name] == right[name], name


def test_a_killed_run_is_interrupted_and_goes_on_from_its_last_epoch(project: Project) -> None:
    run = create_run(project, tiny(epochs=6))
    program = (
        "import os, signal, sys; from pathlib import Path; from core.training import worker;"
        "worker.work(Path(sys.argv[1]), on_epoch=lambda n, *_: n == 2 and os.kill(os.getpid(), signal.SIGKILL))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(run.folder)], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()
    killed = read_run(run.folder)
    assert killed.status == Interrupted(2, "The training process is gone.")
    worker.work(resume_run(run.folder).folder)
    assert read_metrics(run)["epoch"] == [1, 2, 3, 4, 5, 6]
    assert isinstance(read_run(run.folder).status, Finished)


def test_curve_points_after_the_last_complete_epoch_are_drawn_again(project: Project) -> None:
    run = create_run(project, tiny(epochs=3))
    worker.work(run.folder, on_epoch=stop_after(run, 1))
    with (run.folder / "metrics.csv").open("a") as file:  # killed between the curve point and the state
        file.write((run.folder / "metrics.csv").read_text().splitlines()[1].replace("1,4,", "2,8,", 1) + "\n3,")
    worker.work(resume_run(run.folder).folder)
    assert read_metrics(run)["epoch"] == [1, 2, 3]


def test_curves_of_an_earlier_version_are_gone_on_with(project: Project) -> None:
    run = create_run(project, tiny(epochs=2))
    worker.work(run.folder, on_epoch=stop_after(run, 1))
    metrics = [line.split(",") for line in (run.folder / "metrics.csv").read_text().splitlines()]
    column = metrics[0].index("waiting_share")
    old = "\n".join(",".join(cells[:column] + cells[column + 1 :]) for cells in metrics)
    (run.folder / "metrics.csv").write_text(old + "\n")
    worker.work(resume_run(run.folder).folder)
    found = read_metrics(run)
    assert found["epoch"] == [1, 2]
    assert found["waiting_share"][0] is None
    assert found["waiting_share"][1] is not None


def test_a_run_stopped_in_its_first_epoch_has_no_model(project: Project) -> None:
    run = create_run(project, tiny())
    (run.folder / "stop").touch()
    worker.work(run.folder)
    run = read_run(run.folder)
    assert run.status == Stopped(0, pytest.approx(run.status.seconds))  # type: ignore[union-attr]
    assert run.best is None
    assert "there is no model" in log_tail(run.folder)
    assert worker.outcome(run)["checkpoint"] is None


def test_a_picture_damaged_meanwhile_fails_the_run_in_a_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Project, name: str) -> None:
        raise ReadError(f"{name} is not there any more.", hint="Was it moved?")

    run = create_run(project, tiny())
    monkeypatch.setattr(Project, "read_image", gone)
    with pytest.raises(ReadError):
        worker.work(run.folder)
    status = read_run(run.folder).status
    assert isinstance(status, Failed)
    assert status.message.endswith("is not there any more.")
    assert "Traceback" not in status.log_tail


def test_pictures_removed_since_are_left_out(project: Project) -> None:
    run = create_run(project, tiny())
    for name in run_split(run).train[:-1]:
        project.remove_sample(name)
    worker.work(run.folder)
    assert "1 pictures train, 1 validate" in log_tail(run.folder)
    project.remove_sample(run_split(run).train[-1])
    with pytest.raises(UserError, match="None of the pictures"):
        worker.work(run.folder)


def test_a_mistake_of_ours_keeps_its_traceback_in_the_log(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(project, tiny())
    monkeypatch.setattr(worker, "_write_epoch", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        worker.work(run.folder)
    status = read_run(run.folder).status
    assert isinstance(status, Failed)
    assert "ZeroDivisionError" in status.message
    assert "Traceback" in status.log_tail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory."), "not enough memory"),
        (OSError(28, "No space left on device"), "the disk is full"),
    ],
)
def test_what_a_person_can_mend_is_a_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    run = create_run(project, tiny())
    monkeypatch.setattr(worker, "_write_epoch", fail)
    with pytest.raises(UserError, match=message):
        worker.work(run.folder)
    status = read_run(run.folder).status
    assert isinstance(status, Failed)
    assert message in status.message
    assert status.hint
    with pytest.raises(UserError, match=message):
        worker.outcome(read_run(run.folder))


def test_one_labelled_picture_trains_without_validation_and_says_so(tmp_path: Path) -> None:
    project = make_project(tmp_path / "one", pictures=1)
    run = create_run(project, tiny())
    worker.work(run.folder)
    run = read_run(run.folder)
    assert isinstance(run.status, Finished)
    assert read_metrics(run)["val_iou"] == [None, None]
    assert "No picture validates" in log_tail(run.folder)
    result = worker.outcome(run)
    assert result["promoted"]
    assert "not measured" in result["text"]
    assert json.loads(json.dumps(result))["comparison"]["new"]["mean_iou_foreground"] is None
    assert project.current_model() == run.best


def test_a_label_added_since_counts_as_not_labelled(project: Project) -> None:
    run = create_run(project, tiny())
    name = run_split(run).train[0]
    project.add_labels(["late"])
    late = Rectangle(label="late", points_xy=((0, 0), (9, 9)))
    project.save_annotation(name, Annotation(size=ImageSize(48, 48), shapes=(late,)), author="test")
    worker.work(run.folder)
    assert read_card(run.folder / "best").labels.names == ("_background_", "square")
    truth = read_truth(project, name, run.labels)
    assert set(np.unique(truth)) == {0, 255}


def test_a_home_that_cannot_be_written_does_not_stop_the_training(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "file" / "home"))
    run = create_run(project, tiny())
    worker.work(run.folder)
    assert isinstance(read_run(run.folder).status, Finished)
    assert "not kept for later estimates" in log_tail(run.folder)


def test_what_each_class_weighs_is_in_the_log(project: Project) -> None:
    run = create_run(project, tiny(class_weights="inverse", epochs=1))
    worker.work(run.folder)
    assert "_background_ 0.6" in log_tail(run.folder)
    assert ", square 2." in log_tail(run.folder)


def test_a_run_whose_patience_ended_has_finished(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validation, "score", lambda *_: (0.5, 0.0))
    run = create_run(project, tiny(epochs=9, patience=1))
    worker.work(run.folder)
    run = read_run(run.folder)
    assert isinstance(run.status, Finished)
    assert run.status.epochs == 2
    assert run.best is not None
    assert "The last validation brought no better score: the training ends after epoch 2 of 9." in log_tail(run.folder)


def test_what_was_learned_before_it_diverged_is_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.curves._STEP_ROWS_EVERY", 0.0)
    fail_once(monkeypatch, at=6)
    run = create_run(project, tiny(epochs=3))
    worker.work(run.folder)
    run = read_run(run.folder)
    assert isinstance(run.status, Finished)
    assert "It goes on from the end of epoch 1 with half the learning rate." in log_tail(run.folder)
    assert read_metrics(run)["epoch"] == [1, 2, 3]
    assert read_steps(run)["step"] == list(range(1, 13))


def test_a_run_that_diverges_for_good_keeps_its_best_model(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(learner: Learner, logits: Tensor, *others: object, **named: object) -> Tensor:
        return logits.mean() * (1.0 if learner.course.step < 6 else math.nan)

    monkeypatch.setattr(Learner, "loss", loss)
    run = create_run(project, tiny(epochs=3))
    with pytest.raises(UserError, match="The loss is no number any more at step 7"):
        worker.work(run.folder)
    run = read_run(run.folder)
    assert isinstance(run.status, Failed)
    assert run.best is not None
    assert run.resumable
    assert log_tail(run.folder).count("with half the learning rate") == 3


def test_a_run_that_needs_too_much_memory_goes_on_with_less(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_memory(monkeypatch, tiles=2)
    run = create_run(project, tiny())
    worker.work(run.folder)
    assert isinstance(read_run(run.folder).status, Finished)
    assert "the 4 tiles of a step are learned in 2 batches" in log_tail(run.folder)
    limit_memory(monkeypatch, tiles=0)
    run = create_run(project, tiny())
    with pytest.raises(UserError, match="There is not enough memory to train with these settings"):
        worker.work(run.folder)


def test_the_outcome_is_json_and_words(project: Project) -> None:
    run = create_run(project, tiny())
    worker.work(run.folder)
    result = worker.outcome(read_run(run.folder))
    assert json.loads(json.dumps(result))["state"] == "finished"
    assert "2 epochs" in result["text"]
    assert str(run.folder / "best") in result["text"]
