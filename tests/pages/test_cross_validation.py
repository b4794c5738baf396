"""Cross-validation on the pages: chosen, started, watched, gone on with, its table, its ensemble in Predict."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core.annotation.labels import LabelSet
from core.inference.ensemble import write_ensemble
from core.networks import NETWORKS
from core.networks.card import ModelCard, NetworkConfig
from core.networks.checkpoint import save_checkpoint
from core.project.home import create_project, projects_home
from core.project.project import Project
from core.training import estimate, supervisor
from core.training.config import TrainingConfig
from core.training.cross_validation import measure
from core.training.fold_set import FoldSet, create_set, list_sets, read_set
from core.training.fold_table import Table
from core.training.run import list_runs, stop_requested
from core.training.status import process_of, write_status
from pages.ui import cached, cross_validation, models
from pages.ui.cross_validation import ensemble_words
from tests.pages.opening import Page, open_page
from tests.pages.test_train import click, texts
from tests.samples import box, picture

CONFIG = TrainingConfig(
    network=NetworkConfig(name="unet", width=4, depth=2, classes=2), pretrained=False, tile=32, epochs=3
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Seven finished pictures with coins, of which one tests."""
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(estimate, "measure_in_background", lambda config: None)
    monkeypatch.setattr(cached, "share_cores", lambda: None)
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    project = create_project("Coins", preset="general", labels=LabelSet.of(["coin"]))
    for i in range(7):
        project.add_image(picture(i), filename=f"s{i}.png")
        project.save_annotation(f"s{i}", box(), author="Ann")
    split = {"seed": 1, "assignments": {"s6": "test"}, "groups": {}}
    (project.folder / "split.json").write_text(json.dumps(split))
    return project


@pytest.fixture
def page(project: Project) -> Page:
    return lambda **query: open_page("train", **{"project": "Coins", **query})


def after(project: Project, fold_set: FoldSet, *states: dict[str, Any], **of_set: Any) -> FoldSet:
    """The set with its Runs and itself in these states."""
    for run, state in zip(fold_set.runs, states, strict=False):
        write_status(run.folder, state)
    write_status(fold_set.folder, of_set)
    return read_set(project, fold_set.id)


@pytest.fixture
def finished(project: Project) -> FoldSet:
    """A set as its process leaves it, but of networks that were never trained."""
    fold_set = create_set(project, CONFIG, 3, name="thorough")
    torch.manual_seed(0)
    for run in fold_set.runs:
        network = NETWORKS["unet"](run.config.network, pretrained=False)
        save_checkpoint(run.folder / "best", network, ModelCard(run.config.network, run.labels, window=32))
    fold_set = after(project, fold_set, *[{"state": "finished", "epoch": 3, "seconds": 60.0}] * 3, state="finished")
    table = measure(project, fold_set, lambda done: None)
    (fold_set.folder / "scores.json").write_text(json.dumps(vars(table)))
    card = ModelCard(
        fold_set.runs[0].config.network,
        fold_set.runs[0].labels,
        window=32,
        name="thorough, ensemble of 3",
        metrics={"mean_iou_foreground": table.pooled["mean_iou_foreground"]},
        training={"folds": 3},
    )
    write_ensemble(fold_set.folder, [run.folder / "best" for run in fold_set.runs], card)
    return read_set(project, fold_set.id)


def folds_box(app: AppTest) -> Any:
    return next(box for box in app.selectbox if box.label == "Cross-validation")


# ------------------------------------------------------------------------------------------------------- before a set


def test_folds_are_off_and_as_many_as_there_are_groups(project: Project, page: Page) -> None:
    app = page()
    assert folds_box(app).value == 0
    assert folds_box(app).options == ["Off", *(f"{k} folds" for k in range(2, 7))]


def test_one_click_starts_a_cross_validation(project: Project, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[FoldSet] = []
    monkeypatch.setattr(supervisor, "start_set", started.append)
    app = page()
    time = next(metric.value for metric in app.metric if metric.label.startswith("Time needed"))
    folds_box(app).set_value(3).run()
    assert "3 trainings one after the other, each from about 4 pictures" in texts(app)
    assert next(metric.value for metric in app.metric if metric.label.startswith("Time needed")) != time
    next(field for field in app.text_input if field.label == "Name of this run").set_value("thorough").run()
    click(app, "Start training")
    (fold_set,) = list_sets(project)
    assert [one.id for one in started] == [fold_set.id]
    assert (fold_set.name, fold_set.of, len(list_runs(project))) == ("thorough", 3, 3)
    assert app.query_params["run"] in (fold_set.id, [fold_set.id])


# -------------------------------------------------------------------------------------------------------------- a set


def test_a_running_set_is_one_entry_with_what_is_done_and_left(project: Project, page: Page) -> None:
    me = process_of(psutil.Process().pid)
    running = {"state": "running", "epoch": 2, "epochs": 3, "seconds": 60.0, "seconds_left": 60.0, **me}
    made = create_set(project, CONFIG, 3, name="thorough")
    after(project, made, {"state": "finished", "seconds": 120.0}, running, state="running", doing="trains", **me)
    app = page()
    bar = app.get("progress")[0]
    assert bar.proto.text == "Fold 2 of 3, epoch 2 of 3, about 3 min left for all folds"
    assert bar.proto.value == 50
    assert list(app.dataframe[0].value["State"]) == ["finished", "training", "not started"]
    assert not [button for button in app.button if button.label == "Start training"]
    click(app, "Stop")
    assert stop_requested(made.folder)
    assert stop_requested(made.runs[1].folder)
    assert "1 of 3 folds done, stopping" in app.get("progress")[0].proto.text


def test_a_set_that_measures_says_so(project: Project, page: Page) -> None:
    made, me = create_set(project, CONFIG, 3), process_of(psutil.Process().pid)
    after(project, made, *[{"state": "finished"}] * 3, state="running", doing="measures", done=2, total=6, **me)
    assert page().get("progress")[0].proto.text.endswith("has not learned from it: 2 of 6")


@pytest.mark.parametrize(
    ("of_set", "said"),
    [
        ({"state": "stopped"}, "Stopped, 1 of 3 folds done"),
        ({"state": "running", "pid": 1, "host": "elsewhere"}, "Interrupted"),
        ({"state": "failed", "message": "No memory.", "hint": "Buy some."}, "No memory"),
        ({"state": "waiting"}, "has not been started"),
    ],
)
def test_a_set_that_ended_early_can_go_on(
    project: Project, page: Page, monkeypatch: pytest.MonkeyPatch, of_set: dict[str, Any], said: str
) -> None:
    made = after(project, create_set(project, CONFIG, 3), {"state": "finished"}, **of_set)
    gone_on: list[str] = []
    monkeypatch.setattr(cross_validation, "start_set", lambda fold_set: gone_on.append(fold_set.id))
    app = page(run=made.id)
    assert said in texts(app)
    click(app, "Go on")
    assert gone_on == [made.id]


def test_a_finished_set_shows_one_table_in_honest_words(project: Project, page: Page, finished: FoldSet) -> None:
    app = page(run=finished.id)
    table: pd.DataFrame = app.dataframe[0].value
    assert list(table[""]) == [
        "fold 1",
        "fold 2",
        "fold 3",
        "all pictures together",
        "mean over the folds",
        "spread over the folds",
    ]
    saved = Table(**json.loads((finished.folder / "scores.json").read_text()))
    assert list(table["pictures"])[:4] == [2, 2, 2, 6]
    assert table["mean IoU of the labels"][3] == f"{saved.pooled['mean_iou_foreground']:.3f}"
    assert table["IoU coin"][5] == f"{saved.over_folds['iou:coin']['spread']:.3f}"
    assert "by the model that has not learned from it" in texts(app)
    assert "Its own quality cannot be measured here" in texts(app)
    click(app, "Use the ensemble")
    assert project.current_model() == finished.folder
    assert "This ensemble is in use" in texts(app)
    app.button(key=f"delete-{finished.id}").click().run()
    assert "validation thorough.** Make another model current first" in texts(app)


def test_a_set_is_deleted_as_a_whole(project: Project, page: Page, finished: FoldSet) -> None:
    app = page(run=finished.id)
    app.button(key=f"delete-{finished.id}").click().run()
    assert not app.exception
    assert list_sets(project) == []
    assert list_runs(project) == []


def test_a_fold_can_be_looked_at_and_is_not_deleted_alone(project: Project, page: Page, finished: FoldSet) -> None:
    run = finished.runs[1]
    app = page(run=run.id)
    assert "thorough, fold 2 of 3" in texts(app)
    assert "Finished: 3 epochs" in texts(app)
    app.button(key=f"delete-{run.id}").click().run()
    assert "whose table and ensemble need its model" in texts(app)


def test_a_damaged_table_is_said_and_the_rest_of_the_page_stays(
    project: Project, page: Page, finished: FoldSet
) -> None:
    (finished.folder / "scores.json").write_text("[]")
    assert "is damaged" in texts(page(run=finished.id))


# ------------------------------------------------------------------------------------------------------------ Predict


def test_predict_offers_the_ensemble_and_says_what_it_is_worth(
    project: Project, finished: FoldSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_KEPT", Path("/nowhere"))
    app = open_page("predict", project="Coins", model=finished.id)
    choice = next(box for box in app.selectbox if box.label == "Model")
    assert choice.value == finished.id
    assert "of its models alone" in choice.options[0]
    assert "Its own quality is not measured" in texts(app)
    project.set_current_model(finished.folder)
    shutil.rmtree(finished.runs[0].folder)  # by hand
    app = open_page("predict", project="Coins")
    assert next(box for box in app.selectbox if box.label == "Model").options[0].startswith("In use: thorough")


def test_the_words_of_an_ensemble_bear_a_card_without_figures() -> None:
    card = ModelCard(CONFIG.network, LabelSet.of(["coin"]))
    assert "several models" in ensemble_words(card)
    assert "3 models" in ensemble_words(replace(card, training={"folds": 3}))
