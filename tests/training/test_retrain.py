"""The new model against the current one: measured on the same pictures, the worse one is not used."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.errors import UserError
from core.networks.card import ModelCard, NetworkConfig
from core.project.project import Project
from core.training import retrain
from core.training.retrain import compare_and_promote, promote, read_comparison
from core.training.run import Run, create_run, read_run
from tests.training.scenes import SIDE, make_project, tiny


class Threshold:
    """A Backend that marks what is brighter than `level` as class `class_id` of its labels."""

    def __init__(self, labels: tuple[str, ...], *, level: float, class_id: int = 1) -> None:
        names = LabelSet.of(labels)
        network = NetworkConfig(name="unet", classes=len(names), depth=2)
        self.card = ModelCard(network, names, window=SIDE)
        self.multiple_of = 4
        self._level, self._class_id = (level - 127) / 128, class_id

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        bright = batch.mean(axis=1) > self._level
        logits = np.zeros((len(batch), len(self.card.labels), *batch.shape[2:]), np.float32)
        logits[:, 0] = np.where(bright, -9, 9)
        logits[:, self._class_id] = np.where(bright, 9, -9)
        return logits


GOOD, BLIND = Threshold(("square",), level=110), Threshold(("square",), level=300)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p", pictures=6)


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[Path, Threshold]:
    found: dict[Path, Threshold] = {}
    monkeypatch.setattr(retrain, "load_backend", found.__getitem__)
    monkeypatch.setattr(retrain, "read_card", lambda folder: found[folder].card)
    monkeypatch.setattr(retrain, "write_card", lambda folder, card: None)
    return found


def run_with(project: Project, backends: dict[Path, Threshold], backend: Threshold) -> Run:
    """A Run whose best model is `backend`."""
    run = create_run(project, tiny(), name="run")
    (run.folder / "best").mkdir()
    (run.folder / "best" / "model.json").write_text("{}")
    backends[run.folder / "best"] = backend
    return read_run(run.folder)


def test_the_first_model_is_used(project: Project, backends: dict[Path, Threshold]) -> None:
    run = run_with(project, backends, BLIND)
    comparison = compare_and_promote(project, run)
    assert comparison.promoted
    assert comparison.current is None
    assert "first model" in comparison.reason
    assert project.current_model() == run.best
    assert read_comparison(run) == comparison


@pytest.mark.parametrize(
    ("old", "new", "promoted"), [(GOOD, BLIND, False), (BLIND, GOOD, True), (GOOD, GOOD, True), (BLIND, BLIND, True)]
)
def test_the_new_model_is_used_if_it_is_not_worse(
    project: Project, backends: dict[Path, Threshold], old: Threshold, new: Threshold, promoted: bool
) -> None:
    first, second = run_with(project, backends, old), run_with(project, backends, new)
    compare_and_promote(project, first)
    comparison = compare_and_promote(project, second)
    assert comparison.promoted is promoted
    assert project.current_model() == (second if promoted else first).best
    assert comparison.current is not None
    scores = [result["mean_iou_compared"] for result in (comparison.current, comparison.new)]
    assert scores == [1.0 if backend is GOOD else 0.0 for backend in (old, new)]
    assert f"{scores[0]:.3f}" in comparison.reason
    assert comparison.pictures == 1
    figures = [result["classes"]["square"] for result in (comparison.current, comparison.new)]
    assert [label["objects"]["f1"] for label in figures] == scores
    assert [label["boundary"]["iou"] for label in figures] == scores


def test_distances_are_in_the_unit_of_the_project(project: Project, backends: dict[Path, Threshold]) -> None:
    project.update_settings(pixel_size=0.5, unit="m")
    comparison = compare_and_promote(project, run_with(project, backends, GOOD))
    assert comparison.new["measured"]["unit"] == "m"
    assert comparison.new["classes"]["square"]["boundary"]["hausdorff_95_unit_mean_of_pictures"] == 0


def test_a_person_may_use_the_worse_one(project: Project, backends: dict[Path, Threshold]) -> None:
    compare_and_promote(project, run_with(project, backends, GOOD))
    worse = run_with(project, backends, BLIND)
    compare_and_promote(project, worse)
    comparison = promote(project, worse)
    assert comparison is not None
    assert comparison.promoted
    assert comparison.reason == "A person chose it."
    assert project.current_model() == worse.best


def test_a_run_without_a_model_cannot_be_used(project: Project) -> None:
    run = create_run(project, tiny())
    for use in (promote, compare_and_promote):
        with pytest.raises(UserError, match="has no model yet"):
            use(project, run)


def test_models_of_other_labels_are_compared_on_those_that_both_know(
    project: Project, backends: dict[Path, Threshold]
) -> None:
    old = Threshold(("stone", "square"), level=110, class_id=2)  # the same label under another id
    compare_and_promote(project, run_with(project, backends, old))
    project.add_labels(["circle"])
    comparison = compare_and_promote(project, run_with(project, backends, Threshold(("square", "circle"), level=110)))
    assert comparison.compared == ["square"]
    assert comparison.current is not None
    assert comparison.current["mean_iou_compared"] == comparison.new["mean_iou_compared"] == 1.0
    assert "The labels differ; compared were square." in comparison.reason


def test_models_without_a_common_label_cannot_be_compared(project: Project, backends: dict[Path, Threshold]) -> None:
    compare_and_promote(project, run_with(project, backends, Threshold(("stone",), level=110)))
    comparison = compare_and_promote(project, run_with(project, backends, BLIND))
    assert comparison.promoted
    assert "no label that both models know" in comparison.reason


def test_one_picture_alone_compares_nothing(tmp_path: Path, backends: dict[Path, Threshold]) -> None:
    project = make_project(tmp_path / "one", pictures=1)
    compare_and_promote(project, run_with(project, backends, GOOD))
    comparison = compare_and_promote(project, run_with(project, backends, BLIND))
    assert comparison.pictures == 0
    assert comparison.promoted
    assert "no validation picture" in comparison.reason


def test_a_current_model_that_is_damaged_gives_way(
    project: Project, backends: dict[Path, Threshold], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_with(project, backends, GOOD)
    compare_and_promote(project, first)
    second = run_with(project, backends, BLIND)

    def load(folder: Path) -> Threshold:
        if folder == first.best:
            raise retrain.ReadError("The weights are cut off.")
        return backends[folder]

    monkeypatch.setattr(retrain, "load_backend", load)
    comparison = compare_and_promote(project, second)
    assert comparison.promoted
    assert "The weights are cut off" in comparison.reason


def test_a_picture_reopened_since_compares_nothing(project: Project, backends: dict[Path, Threshold]) -> None:
    run = run_with(project, backends, GOOD)
    name = retrain.run_split(run).val[0]
    annotation = project.read_annotation(name)
    assert annotation is not None
    project.save_annotation(name, replace(annotation), author="test", state="doing")
    assert compare_and_promote(project, run).pictures == 0
