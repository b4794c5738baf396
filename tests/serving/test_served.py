"""Which models are served, under which names, and which of them stay in memory."""

from pathlib import Path

import pytest

from core.annotation.labels import LabelSet
from core.errors import ReadError
from core.project.project import Project
from core.serving.refusals import RefusedError
from core.serving.served import LoadedModels, Served, find_model, served_checkpoints, served_projects
from tests.serving.fake_model import BrightestChannel, load, write_model


def _project(folder: Path, name: str, *, model: bool) -> Project:
    project = Project.create(folder, name=name, preset="general", labels=LabelSet.of(["house"]))
    if model:
        project.set_current_model(write_model(folder / "runs" / "1" / "best"))
    return project


def test_models_are_called_as_their_folders_each_once(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "Town", tmp_path / "b" / "town", tmp_path / "run-1" / "best"]
    models = served_checkpoints([write_model(folder) for folder in folders])
    assert [model.name for model in models] == ["Town", "town-2", "run-1"]
    assert [model.folder for model in models] == folders


def test_a_project_is_served_by_its_current_model(tmp_path: Path) -> None:
    _project(tmp_path / "p", "My town", model=True)
    assert served_checkpoints([tmp_path / "p"]) == [Served("My town", tmp_path / "p" / "runs" / "1" / "best")]
    _project(tmp_path / "q", "New", model=False)
    with pytest.raises(ReadError, match="has no model yet"):
        served_checkpoints([tmp_path / "q"])
    with pytest.raises(ReadError, match="not a model"):
        served_checkpoints([tmp_path])


def test_the_app_serves_the_current_models_of_its_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    assert served_projects() == []
    for folder, name, model in (("a", "Same", True), ("b", "None", False), ("c", "same", True), ("d", "Broken", True)):
        _project(tmp_path / folder, name, model=model)
    (tmp_path / "d" / "project.json").write_text("{")
    assert [model.name for model in served_projects()] == ["Same", "same-2"]


def test_the_first_is_the_default(tmp_path: Path) -> None:
    models = [Served("a", tmp_path), Served("b", tmp_path)]
    assert find_model(models, None).name == "a"
    assert find_model(models, "b").name == "b"
    with pytest.raises(RefusedError, match="no model 'c'") as caught:
        find_model(models, "c")
    assert (caught.value.status, caught.value.hint) == (404, "Choose of a, b.")


def test_only_so_many_stay_loaded_and_the_oldest_goes(tmp_path: Path) -> None:
    models = served_checkpoints([write_model(tmp_path / name) for name in "abc"])
    seen = list[str]()

    def loading(folder: Path) -> BrightestChannel:
        seen.append(folder.name)
        return load(folder)

    loaded = LoadedModels(loading, most=2)
    for index in (0, 1, 0, 2, 0, 1):
        model = loaded.get(models[index])
        model.queue.take(lambda _, model=model: model.backend()).future.result(10)  # type: ignore[misc]
    assert seen == ["a", "b", "c", "b"]
    assert [name for name, _ in loaded.queues()] == ["a", "b"]


def test_a_model_that_is_replaced_on_the_disk_is_loaded_again(tmp_path: Path) -> None:
    (model,) = served_checkpoints([write_model(tmp_path / "a")])
    loaded = LoadedModels(load, most=2)
    first = loaded.get(model)
    assert loaded.get(model) is first
    (model.folder / "model.safetensors").write_bytes(b"new")
    assert loaded.get(model) is not first
    assert len(loaded.queues()) == 1
