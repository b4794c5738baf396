"""The Train page: what will be learned, the start, a running Run, what came of one, and what can be done with it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from streamlit.testing.v1 import AppTest

from core.annotation.labels import LabelSet
from core.inference.scores import ScoreConfig, Scores
from core.project.home import create_project, projects_home
from core.project.project import Project
from core.training import compare, estimate, supervisor
from core.training.config import TrainingConfig
from core.training.run import Run, create_run, list_runs, stop_requested, usable_rows
from core.training.status import process_of
from pages.ui import all_settings, run_view, running_measurement
from pages.ui.words import duration
from tests.pages.opening import SHELL, Page, open_page
from tests.samples import box, picture


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Eight finished pictures with coins, one with a cup, one begun, one untouched."""
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(estimate, "measure_in_background", lambda config: None)
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    project = create_project("Coins", preset="general", labels=LabelSet.of(["coin", "cup"]))
    for i in range(11):
        project.add_image(picture(i), filename=f"s{i}.png")
    for i in range(8):
        project.save_annotation(f"s{i}", box(), author="Ann")
    project.save_annotation("s8", box("cup"), author="Ann")
    project.save_annotation("s9", box(), author="Ann", state="doing")
    return project


@pytest.fixture
def page(project: Project) -> Page:
    return lambda **query: open_page("train", **{"project": "Coins", **query})


def texts(app: AppTest) -> str:
    """All that is said on the page."""
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.success, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def click(app: AppTest, label: str) -> None:
    (found,) = [button for button in app.button if button.label == label]
    found.click().run()
    assert not app.exception


def made_run(project: Project, *, name: str = "first", **status: Any) -> Run:
    """A Run as the training process leaves it, without one."""
    run = create_run(project, TrainingConfig(epochs=3, steps_per_epoch=2), name=name)
    (run.folder / "steps.csv").write_text("step,epoch,seconds,loss,learning_rate\n1,1,0.5,0.9,1e-4\n2,1,1,0.7,1e-3\n")
    (run.folder / "metrics.csv").write_text(
        "epoch,step,seconds,train_loss,val_loss,train_iou,val_iou,val_mean_iou,learning_rate,val_iou:coin,val_iou:cup\n"
        "1,2,1.5,0.8,0.75,0.3,0.4,0.6,0.001,0.5,0.3\n"
    )
    (run.folder / "log.txt").write_text("10:00:00 efficient_unet, batch 4\n10:00:09 the last line\n")
    (run.folder / "status.json").write_text(json.dumps(status))
    return run


def with_model(run: Run, *, iou: float, current: float | None, promoted: bool) -> Run:
    """The Run with what looks like a model, and its comparison."""
    best = run.folder / "best"
    best.mkdir()
    card = {"schema": 1, "name": run.name, "network": {"classes": 3}, "labels": run.labels.to_json()}
    card |= {"normalisation": {"mean": [1, 1, 1], "std": [1, 1, 1]}, "window": 512}
    card |= {"intensity": {"kind": "percentile", "low": 1, "high": 99}, "metrics": {"mean_iou_foreground": iou}}
    (best / "model.json").write_text(json.dumps(card))
    (best / "model.safetensors").write_bytes(b"")

    def measured(value: float) -> dict[str, Any]:
        classes = {name: {"iou": value, "dice": value} for name in run.labels.names}
        return {"model": "", "classes": classes, "mean_iou_foreground": value, "mean_iou_compared": value}

    comparison = {
        "new": measured(iou),
        "current": None if current is None else measured(current),
        "compared": ["coin", "cup"],
        "pictures": 2,
        "promoted": promoted,
        "reason": "It is not worse." if promoted else "It is worse, so the current model stays.",
    }
    (run.folder / "comparison.json").write_text(json.dumps(comparison))
    return run


# ------------------------------------------------------------------------------------------------------- before a Run


def test_the_page_says_how_many_pictures_train_and_validate_and_what_is_left_out(page: Page) -> None:
    app = page()
    assert [metric.value for metric in app.metric][:3] == ["7", "2", "2"]
    assert "1 picture begun but not finished" in texts(app)
    assert any(metric.label.startswith("Time needed here") for metric in app.metric)


def test_a_label_that_only_trains_or_only_validates_is_warned_of(page: Page) -> None:
    assert any("shows cup" in warning.value for warning in page().warning)


def test_without_a_finished_picture_the_page_says_what_to_do(project: Project, page: Page) -> None:
    for i in range(9):
        project.remove_sample(f"s{i}")
    app = page()
    assert "No picture is finished yet" in app.info[0].value
    assert not [button for button in app.button if button.label == "Start training"]


def test_opening_the_page_imports_no_torch() -> None:
    import subprocess
    import sys

    modules = "pages.ui.run_view, pages.ui.training_form, pages.ui.predictions, pages.ui.fix, pages.ui.truth"
    code = f"import sys; import {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(SHELL).parents[2], check=False).returncode == 0


def test_one_click_starts_a_run_with_the_settings_of_the_form(
    project: Project, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    app = page()
    next(field for field in app.number_input if field.label == "Epochs").set_value(4).run()
    next(field for field in app.text_input if field.label == "Name of this run").set_value("four").run()
    click(app, "Start training")
    (run,) = list_runs(project)
    assert [one.id for one in started] == [run.id]
    assert (run.name, run.config.epochs, run.config.preset) == ("four", 4, "general")
    assert app.query_params["run"] in (run.id, [run.id])


def test_settings_that_cannot_be_are_refused_in_words(page: Page) -> None:
    app = page()
    next(field for field in app.number_input if field.label == "Side of a tile in pixels").set_value(50).run()
    assert "does not fit the network" in app.error[0].value
    assert not [button for button in app.button if button.label == "Start training"]


# --------------------------------------------------------------------------------------------------------- a Run


def test_a_running_run_is_found_again_with_curves_and_time_left(project: Project, page: Page) -> None:
    me = process_of(psutil.Process().pid)
    made_run(project, state="running", epoch=2, epochs=3, seconds=60.0, seconds_left=180.0, doing="trains", **me)
    app = page()
    bar = app.get("progress")[0]
    assert bar.proto.value == 25
    assert bar.proto.text == "Epoch 2 of 3, learning, about 3 min left"
    assert len(app.get("vega_lite_chart")) == 3
    assert not [button for button in app.button if button.label == "Start training"]


def test_stop_asks_the_run_to_stop(project: Project, page: Page) -> None:
    run = made_run(project, state="running", epoch=1, epochs=3, **process_of(psutil.Process().pid))
    app = page()
    click(app, "Stop")
    assert stop_requested(run.folder)


def test_a_failed_run_shows_reason_hint_and_log(project: Project, page: Page) -> None:
    run = made_run(project, state="failed", message="There is not enough memory.", hint="Choose a smaller batch.")
    said = texts(page(run=run.id))
    assert "There is not enough memory" in said
    assert "Choose a smaller batch" in said
    assert "the last line" in said


def test_an_interrupted_run_can_go_on(project: Project, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run(project, state="interrupted", reason="The training process was killed (signal 9).")
    (run.folder / "last").mkdir()
    (run.folder / "last" / "state.safetensors").write_bytes(b"")
    resumed: list[str] = []
    monkeypatch.setattr(run_view, "resume", lambda run: resumed.append(run.id))
    app = page(run=run.id)
    assert "Epoch 1 is complete" in texts(app)
    click(app, "Go on training")
    assert resumed == [run.id]


def test_a_finished_run_says_its_result_and_both_models(project: Project, page: Page) -> None:
    run = with_model(made_run(project, state="finished", epoch=3, seconds=90), iou=0.83, current=0.71, promoted=True)
    project.set_current_model(run.folder / "best")
    said = texts(app := page(run=run.id))
    assert "on 2 validation pictures: **0.83**" in said
    assert "This model is in use" in said
    table = app.dataframe[0].value
    assert table["this run"].tolist() == ["0.830"] * 3
    assert table["model before"].tolist() == ["0.710"] * 3


def test_a_finished_run_has_more_figures_of_both_models(project: Project, page: Page) -> None:
    run = with_model(made_run(project, state="finished", epoch=3), iou=0.83, current=0.71, promoted=True)
    project.update_settings(pixel_size=0.5, unit="mm")
    truth = np.zeros((40, 40), np.uint8)
    truth[5:20, 5:20] = 1
    comparison = json.loads((run.folder / "comparison.json").read_text())
    for side, shift in (("new", 2), ("current", 4)):
        scores = Scores(run.labels, ScoreConfig(pixel_size=0.5, unit="mm"))
        for number in range(6):
            scores.add(f"s{number}", truth, np.roll(truth, shift, 1) if number < 3 else np.zeros_like(truth))
        comparison[side] |= scores.to_json(per_picture=False)
    (run.folder / "comparison.json").write_text(json.dumps(comparison))
    app = page(run=run.id)
    assert any(expander.label == "More figures" for expander in app.expander)
    new, current = [frame.value for frame in app.dataframe if "Recall" in frame.value]
    assert new["95 % Hausdorff"].tolist() == ["1 mm", "-"]
    assert current["95 % Hausdorff"].tolist() == ["2 mm", "-"]
    assert new["Found, missed, false"].tolist() == ["3, 3, 0", "0, 0, 0"]
    assert new["IoU"][0].startswith("0.406 (0.")
    assert "coin: not predicted in 3 pictures" in texts(app)
    assert "**In brackets**" in texts(app)


def test_a_run_of_an_earlier_version_has_no_more_figures(project: Project, page: Page) -> None:
    run = with_model(made_run(project, state="finished", epoch=3), iou=0.83, current=None, promoted=True)
    assert not any(expander.label == "More figures" for expander in page(run=run.id).expander)


def test_a_worse_model_is_used_only_when_the_person_says_so(project: Project, page: Page) -> None:
    run = with_model(made_run(project, state="finished", epoch=3), iou=0.5, current=0.7, promoted=False)
    app = page(run=run.id)
    assert "It is worse" in texts(app)
    assert project.current_model() is None
    click(app, "Use it anyway")
    assert project.current_model() == run.folder / "best"
    assert "This model is in use" in texts(app)


def test_a_model_that_was_not_compared_can_be_used(project: Project, page: Page) -> None:
    run = with_model(made_run(project, state="interrupted", reason="Gone."), iou=0.6, current=0.9, promoted=False)
    (run.folder / "comparison.json").unlink()
    app = page(run=run.id)
    assert "of **0.60** on validation pictures" in texts(app)
    click(app, "Use this model")
    assert project.current_model() == run.folder / "best"


def test_earlier_runs_are_one_click_away_from_a_new_training(project: Project, page: Page) -> None:
    made_run(project, state="finished", epoch=3)
    app = page()
    assert [button for button in app.button if button.label == "Start training"]
    app.segmented_control(key="train-show-").set_value("Runs").run()
    assert "Finished: 3 epochs" in texts(app)


def test_an_earlier_run_can_be_looked_at_renamed_and_deleted(project: Project, page: Page) -> None:
    old = made_run(project, name="old", state="finished", epoch=3)
    made_run(project, name="new", state="finished", epoch=3)
    app = page(run=old.id)
    assert app.selectbox(key=f"run-{old.id}-2").value == old.id
    next(field for field in app.text_input if field.label == "Name").set_value("better name").run()
    app.button(key=f"rename-{old.id}").click().run()
    assert {run.name for run in list_runs(project)} == {"new", "better name"}
    app.button(key=f"delete-{old.id}").click().run()
    assert not app.exception
    assert [run.name for run in list_runs(project)] == ["new"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "5 s"), (52, "50 s"), (58, "1 min"), (3590, "1 h"), (5400, "1 h 30 min")]
)
def test_durations_are_said_roughly(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# -------------------------------------------------------------------------------------------------- several Runs


def test_runs_are_compared_in_curves_settings_and_one_table(
    project: Project, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_model(made_run(project, name="a", state="finished"), iou=0.5, current=None, promoted=True)
    with_model(made_run(project, name="b", state="finished"), iou=0.6, current=0.5, promoted=True)

    def measured(project: Project, runs: Sequence[Run], *, progress: object = None) -> None:
        for run in runs:
            stamp = compare._stamp(usable_rows(project), run, compare.shared_pictures(usable_rows(project), runs))
            found = {"mean_iou_foreground": 0.7, "mean_dice": 0.8, "pixel_accuracy": 0.9, "classes": {}}
            (run.folder / "compared.json").write_text(json.dumps({"stamp": stamp, "metrics": found}))

    monkeypatch.setattr(running_measurement, "measure_runs", measured)
    app = page()
    app.segmented_control(key="train-show-").set_value("Compare").run()
    assert not app.exception
    assert "Nothing: the settings are the same" in texts(app)
    app.button(key="measure-runs").click().run()
    while not app.dataframe:
        app.run()
    table = app.dataframe[0].value
    assert list(table["run"]) == ["b", "a"]
    assert list(table["mean IoU of the labels"]) == ["0.700", "0.700"]
    app.multiselect(key="compare-runs").set_value([]).run()
    assert "Choose two runs" in texts(app)


def test_every_setting_is_explained() -> None:
    assert set(all_settings.WORDS) == set(TrainingConfig().as_settings()) - set(all_settings.IN_FORM)


def test_the_classic_recipe_can_be_chosen(project: Project, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "start", lambda run: None)
    app = page()
    app.selectbox(key="train-Coins-preset").set_value("medical").run()
    (recipe,) = [group for group in app.button_group if group.label == "Recipe"]
    recipe.set_value([True]).run()
    click(app, "Start training")
    (run,) = list_runs(project)
    assert run.config.preset == "medical classic"
    assert (run.config.optimizer, run.config.network.activation) == ("radam", "silu")


def test_the_preview_shows_own_pictures_varied_once_it_is_opened(page: Page) -> None:
    app = page()
    assert not [box for box in app.selectbox if box.label == "Picture"]
    (part,) = [one for one in app.expander if one.label == "How your pictures are varied"]
    assert not part.proto.expanded
    app.session_state["varied-Coins"] = True
    app.run()
    assert not app.exception
    (names,) = [box for box in app.selectbox if box.label == "Picture"]
    assert "s9" not in names.options  # begun, not finished
    assert len(app.get("image")) == 8
    click(app, "Other variations")


@pytest.mark.parametrize(("share", "said"), [(0.09, False), (0.34, True)])
def test_much_waiting_for_data_is_said(project: Project, page: Page, share: float, said: bool) -> None:
    run = made_run(project, state="stopped", epoch=1, seconds=2.0)
    header, row = (run.folder / "metrics.csv").read_text().splitlines()
    (run.folder / "metrics.csv").write_text(f"{header},waiting_share\n{row},{share}\n")
    assert ("% of the time of the last epoch waited for data" in texts(page(run=run.id))) == said
