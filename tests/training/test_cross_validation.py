"""A cross-validation from its start to its table: trained, measured, stopped, killed, gone on with."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.images import read_image
from core.inference import load_backend
from core.inference.metrics import ConfusionMatrix
from core.inference.predict import predict
from core.networks.card import read_card
from core.project.project import Project
from core.training import cross_validation, worker
from core.training.cross_validation import work
from core.training.fold_set import FoldSet, create_set, delete_set, read_set, request_stop_set
from core.training.fold_table import outcome, over_folds, read_table
from core.training.run import Run, read_metrics, read_run, request_stop, run_split
from core.training.status import Finished, Interrupted, Stopped, Waiting
from core.training.supervisor import start, start_set
from tests.training.scenes import make_project, tiny
from tests.training.test_supervisor import process_of, until, until_trained, until_watched


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p", pictures=6)


def again(project: Project, fold_set: FoldSet) -> FoldSet:
    return read_set(project, fold_set.id)


def counted(project: Project, runs: tuple[Run, ...]) -> ConfusionMatrix:
    """What each model makes of the pictures that it has held back, counted here."""
    matrix = ConfusionMatrix(2)
    for run in runs:
        assert run.best is not None
        backend = load_backend(run.best)
        for name in run_split(run).val:
            truth = project.read_mask(name)
            assert truth is not None
            matrix.add(truth, predict(read_image(project.sample(name).image), backend).mask)
    return matrix


def test_a_cross_validation_ends_with_one_table_and_one_model(project: Project) -> None:
    fold_set, said = create_set(project, tiny(epochs=3), 3, name="cv"), []
    work(fold_set.folder, on_epoch=lambda done, total, text: said.append((done, total, text.split(":")[0])))
    assert said == [(n, 3, f"fold {k} of 3") for k in (1, 2, 3) for n in (1, 2, 3)]
    fold_set = again(project, fold_set)
    assert (fold_set.done, fold_set.finished, fold_set.alive) == (3, True, False)

    table = read_table(fold_set)
    assert table is not None
    assert table.pictures == 6
    assert [fold["run"] for fold in table.folds] == [run.id for run in fold_set.runs]
    expected = counted(project, fold_set.runs)
    assert table.pooled["mean_iou_foreground"] == pytest.approx(expected.mean_iou_foreground)
    assert table.pooled["classes"]["square"]["iou"] == pytest.approx(expected.iou()[1])
    assert sorted(picture["name"] for picture in table.pooled["per_picture"]) == [f"scene0{i}" for i in range(6)]
    each = [fold["scores"]["mean_iou_foreground"] for fold in table.folds]
    over = table.over_folds["iou:square"]
    assert (over["mean"], over["spread"], over["folds"]) == (
        pytest.approx(np.mean(each)),
        pytest.approx(np.std(each, ddof=1)),
        3,
    )

    assert project.current_model() == fold_set.ensemble == fold_set.folder
    card = read_card(fold_set.folder)
    assert card.name == "cv, ensemble of 3"
    assert card.labels == project.settings.labels
    assert card.metrics["mean_iou_foreground"] == table.pooled["mean_iou_foreground"]
    assert card.training["cross_validation"] == fold_set.id
    picture = read_image(project.sample("scene00").image)
    assert predict(picture, load_backend(fold_set.folder)).mask.shape == (48, 48)

    result = outcome(fold_set)
    assert json.loads(json.dumps(result))["table"]["pooled"]["mean_iou_foreground"] == expected.mean_iou_foreground
    assert "all pictures pooled" in result["text"]
    assert "ensemble itself is not measured" in result["text"]


def test_another_model_in_use_stays_in_use(project: Project) -> None:
    folder = project.folder / "models" / "kept"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    project.set_current_model(folder)
    fold_set = create_set(project, tiny(epochs=1), 2)
    work(fold_set.folder)
    assert project.current_model() == folder
    delete_set(project, again(project, fold_set))
    assert not project.runs.is_dir() or not list(project.runs.iterdir())


def test_stopped_in_a_fold_it_goes_on_there_and_trains_no_finished_fold_again(project: Project) -> None:
    fold_set = create_set(project, tiny(epochs=3), 3)

    def stop(done: int, total: int, text: str) -> None:
        if text.startswith("fold 2") and done == 1:
            request_stop_set(again(project, fold_set))

    work(fold_set.folder, on_epoch=stop)
    stopped = again(project, fold_set)
    assert [type(run.status) for run in stopped.runs] == [Finished, Stopped, Waiting]
    assert stopped.status["state"] == "stopped"
    assert outcome(stopped)["done"] == 1
    assert read_table(stopped) is None
    assert stopped.ensemble is None

    (fold_set.folder / "stop").unlink()
    said: list[str] = []
    work(fold_set.folder, on_epoch=lambda done, total, text: said.append(f"{text[5]}.{done}"))
    assert said == ["2.2", "2.3", "3.1", "3.2", "3.3"]
    assert again(project, fold_set).finished


def test_a_fold_that_a_person_stopped_stops_the_set(project: Project) -> None:
    fold_set = create_set(project, tiny(epochs=3), 2)
    work(fold_set.folder, on_epoch=lambda *_: request_stop(read_run(fold_set.runs[0].folder)))
    assert again(project, fold_set).status["state"] == "stopped"
    assert again(project, fold_set).done == 0


def test_stopped_while_it_measures_it_measures_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fold_set = create_set(project, tiny(epochs=1), 2)
    measure = cross_validation.measure_on

    def stop(*arguments: object) -> object:
        request_stop_set(again(project, fold_set))
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cross_validation, "measure_on", stop)
    work(fold_set.folder)
    assert again(project, fold_set).status["state"] == "stopped"
    assert not again(project, fold_set).finished
    monkeypatch.setattr(cross_validation, "measure_on", measure)
    (fold_set.folder / "stop").unlink()
    work(fold_set.folder)
    assert again(project, fold_set).finished


def test_a_fold_that_fails_fails_the_set_in_a_sentence(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fold_set = create_set(project, tiny(epochs=1), 2)

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(worker, "_write_epoch", fail)
        with pytest.raises(UserError, match="not enough memory"):
            work(fold_set.folder)
    failed = again(project, fold_set)
    assert failed.status["state"] == "failed"
    assert "not enough memory" in failed.status["message"]
    assert failed.status["hint"]
    work(fold_set.folder)  # begins the fold anew: it had no complete Epoch
    assert again(project, fold_set).finished


def test_a_mistake_of_ours_keeps_its_traceback(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fold_set = create_set(project, tiny(epochs=1), 2)
    monkeypatch.setattr(cross_validation, "write_ensemble", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work(fold_set.folder)
    assert "ZeroDivisionError" in again(project, fold_set).status["message"]
    assert "Traceback" in (fold_set.folder / "log.txt").read_text()


def test_the_set_survives_a_killed_process_and_goes_on(project: Project) -> None:
    fold_set = create_set(project, tiny(epochs=4), 2)
    program = (
        "import os, signal, sys; from pathlib import Path; from core.training import cross_validation as c;"
        "c.work(Path(sys.argv[1]), on_epoch=lambda n, _, text: "
        "n == 2 and text.startswith('fold 2') and os.kill(os.getpid(), signal.SIGKILL))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(fold_set.folder)], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()
    killed = again(project, fold_set)
    assert not killed.alive
    assert isinstance(killed.runs[0].status, Finished)
    assert killed.runs[1].status == Interrupted(2, "The training process is gone.")
    first = (killed.runs[0].folder / "best" / "model.safetensors").stat().st_mtime_ns

    work(fold_set.folder)
    done = again(project, fold_set)
    assert done.finished
    assert (done.runs[0].folder / "best" / "model.safetensors").stat().st_mtime_ns == first
    assert read_metrics(done.runs[1])["epoch"] == [1, 2, 3, 4]


def test_in_the_background_it_keeps_others_out_and_stops_when_the_system_asks(
    project: Project, request: pytest.FixtureRequest
) -> None:
    fold_set = create_set(project, tiny(epochs=100_000), 2)
    start_set(fold_set)
    request.addfinalizer(lambda: request_stop_set(fold_set))  # a test that fails leaves no process behind
    until_trained(fold_set.runs[0], 1)
    running = again(project, fold_set)
    assert running.alive
    assert running.running is not None
    assert running.running.id == fold_set.runs[0].id
    with pytest.raises(UserError, match="is training"):
        start_set(running)
    with pytest.raises(UserError, match="is training"):
        start(fold_set.runs[1])
    process_of(fold_set.runs[0]).send_signal(signal.SIGTERM)
    until(lambda: not again(project, fold_set).alive, "the process ends")
    until_watched(fold_set)  # type: ignore[arg-type]
    stopped = again(project, fold_set)
    assert stopped.status["state"] == "stopped"
    assert isinstance(stopped.runs[0].status, Stopped)
    assert isinstance(stopped.runs[1].status, Waiting)


def test_while_it_measures_nothing_else_is_started(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from core.training.status import process_of as named
    from core.training.status import write_status

    fold_set = create_set(project, tiny(), 2)
    write_status(fold_set.folder, {"state": "running", "doing": "measures", **named(os.getpid())})
    with pytest.raises(UserError, match="cross-validation general is under way"):
        start(fold_set.runs[0])


def test_figures_over_folds_leave_out_those_that_have_none() -> None:
    names = ("mean_iou_foreground", "mean_iou", "mean_dice", "boundary_iou_mean_of_labels", "pixel_accuracy")

    def fold(value: float | None) -> dict[str, object]:
        return {**dict.fromkeys(names, value), "classes": {"a": {"iou": value}}}

    found = over_folds([fold(0.5), fold(None), fold(0.7)], ["a"])
    assert found["iou:a"] == {"mean": pytest.approx(0.6), "spread": pytest.approx(0.02**0.5), "folds": 2}
    assert over_folds([fold(0.5)], ["a"])["mean_iou"] == {"mean": 0.5, "spread": None, "folds": 1}
    assert over_folds([fold(None)], ["a"])["mean_iou"] == {"mean": None, "spread": None, "folds": 0}
