"""Runs beside each other: on pictures that none has trained on, measured once while nothing changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import read_json, write_json
from core.project.project import Project
from core.training import compare
from core.training.compare import differences, measure_runs, read_measured, shared_pictures
from core.training.run import Run, create_run, run_split, usable_rows
from tests.training.scenes import make_project, tiny
from tests.training.test_retrain import Threshold


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p", pictures=6)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The models that were loaded; each is a threshold, read from its weights file."""
    loaded: list[Path] = []

    def load(folder: Path) -> Threshold:
        loaded.append(folder)
        return Threshold(("square",), level=float((folder / "model.safetensors").read_text()))

    monkeypatch.setattr(compare, "load_backend", load)
    return loaded


@pytest.fixture
def made(project: Project) -> Callable[..., Run]:
    def make(name: str, level: float, **settings: object) -> Run:
        run = create_run(project, replace(tiny(), **settings), name=name)  # type: ignore[arg-type]
        (run.folder / "best").mkdir()
        (run.folder / "best" / "model.json").write_text("{}")
        (run.folder / "best" / "model.safetensors").write_text(str(level))
        return run

    return make


def test_runs_differ_in_what_was_set(made: Callable[..., Run]) -> None:
    config = tiny()
    wider = replace(config.network, width=32)
    runs = [made("a", 1.0), made("b", 1.0, learning_rate=3e-4, network=wider)]
    assert differences(runs) == {
        "network.width": [config.network.width, 32],
        "learning_rate": [config.learning_rate, 3e-4],
    }
    assert differences([runs[0], runs[0]]) == {}


def test_only_pictures_that_none_has_trained_on_measure(project: Project, made: Callable[..., Run]) -> None:
    first, second = made("a", 1.0), made("b", 1.0)
    validating = run_split(first).val
    assert shared_pictures(usable_rows(project), [first, second]) == tuple(sorted(validating))
    split = read_json(second.folder / "split.json")
    split["assignments"][validating[0]] = "train"
    write_json(second.folder / "split.json", split)
    assert validating[0] not in shared_pictures(usable_rows(project), [first, second])


def test_runs_are_measured_once_until_something_changes(
    project: Project, made: Callable[..., Run], loads: list[Path]
) -> None:
    runs = [made("good", 110.0), made("bad", 300.0)]
    assert read_measured(project, runs) is None
    steps: list[tuple[int, int, str]] = []
    found = measure_runs(project, runs, progress=lambda *step: steps.append(step))
    assert found.pictures == shared_pictures(usable_rows(project), runs)
    assert steps[-1] == (2 * len(found.pictures), 2 * len(found.pictures), "bad")
    good, bad = (found.metrics[run.id]["mean_iou_foreground"] for run in runs)
    assert good > bad
    assert read_measured(project, runs) == found
    assert len(loads) == 2
    measure_runs(project, runs)
    assert len(loads) == 2
    annotation = project.read_annotation(found.pictures[0])
    assert annotation is not None
    project.save_annotation(found.pictures[0], replace(annotation, flags={"seen": True}), author="Ann")
    assert read_measured(project, runs) is None
    measure_runs(project, runs)
    assert len(loads) == 4


def test_runs_of_other_labels_are_not_put_into_one_table(
    project: Project, made: Callable[..., Run], loads: list[Path]
) -> None:
    first = made("a", 1.0)
    project.add_labels(["cup"])
    with pytest.raises(UserError, match="different labels"):
        measure_runs(project, [first, made("b", 1.0)])


def test_without_a_common_picture_there_is_nothing_to_measure(
    project: Project, made: Callable[..., Run], loads: list[Path]
) -> None:
    first, second = made("a", 1.0), made("b", 1.0)
    split = read_json(second.folder / "split.json")
    split["assignments"] = dict.fromkeys(split["assignments"], "train")
    write_json(second.folder / "split.json", split)
    with pytest.raises(UserError, match="trains in another"):
        measure_runs(project, [first, second])
