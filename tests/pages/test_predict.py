"""The Predict page: models, pictures of any kind, truth, corrections that reach the Project, retraining."""

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.annotation.clean_up import CleanUp
from core.annotation.labels import LabelSet
from core.files import write_json
from core.formats.labelme import write_labelme
from core.formats.mask_png import write_mask_png
from core.images import ImageInfo, ImageSize
from core.inference.predict import Prediction
from core.networks import NETWORKS
from core.networks.card import ModelCard, NetworkConfig, read_card
from core.networks.checkpoint import save_checkpoint
from core.project.home import create_project, projects_home
from core.project.project import Project
from core.project.sample import stamp_of
from core.training.run import Run, list_runs
from pages.ui import cached, correction, models, predictions
from pages.ui.correction import changes, save_correction
from pages.ui.pictures import Picture
from pages.ui.scribble import Zoom, stroke_color, view_of
from pages.ui.truth import read_truth
from pages.ui.zoom import mask_part, picture_part
from tests.pages.opening import Page, open_page
from tests.samples import SIZE, box, picture

LABELS = LabelSet.of(["coin", "cup"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(predictions, "PATIENCE", 60.0)  # a test waits for the thread instead of looking again
    monkeypatch.setattr(cached, "share_cores", lambda: None)
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    project = create_project("Coins", preset="general", labels=LABELS)
    for i in range(4):
        project.add_image(picture(i), filename=f"s{i}.png")
    project.save_annotation("s3", box(), author="Ann")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield project
    torch.set_num_threads(threads)


@pytest.fixture
def model(project: Project) -> Path:
    """A network that was never trained: what it finds is arbitrary, but always the same."""
    torch.manual_seed(0)
    config = NetworkConfig(name="unet", classes=3, width=4, depth=2)
    folder = project.folder / "models" / "toy"
    card = ModelCard(config, LABELS, name="toy", window=32, metrics={"mean_iou_foreground": 0.5})
    save_checkpoint(folder, NETWORKS["unet"](config, pretrained=False), card)
    project.set_current_model(folder)
    return folder


@pytest.fixture
def page(project: Project) -> Page:
    return lambda **query: open_page("predict", seconds=90, **{"project": "Coins", **query})


def upload(app: AppTest, *files: tuple[str, bytes], key: str = "predict-upload") -> None:
    app.file_uploader(key=key).set_value([(name, data, "") for name, data in files]).run()
    assert not app.exception


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.success)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def legend(app: AppTest) -> dict[str, int]:
    table = next(frame.value for frame in app.dataframe if "Pixels" in frame.value)
    return dict(zip(table["Label"], table["Pixels"], strict=True))


# ------------------------------------------------------------------------------------------------- models, pictures


def test_without_a_model_the_page_says_to_train_one(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_KEPT", Path("/nowhere"))
    assert "There is no model yet" in page().info[0].value


def test_a_model_of_another_project_is_offered_as_such(
    model: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = model.rename(projects_home() / "kept")
    monkeypatch.setattr(models, "_KEPT", kept.parent)
    app = page()
    assert "no model of its own" in app.info[0].value
    assert next(box for box in app.selectbox if box.label == "Model").options[0].startswith("kept")


def test_an_uploaded_picture_shows_its_classes_and_their_areas(model: Path, page: Page) -> None:
    app = page()
    assert next(box for box in app.selectbox if box.label == "Model").options[0].startswith("In use: toy")
    upload(app, ("new.png", picture(7)))
    areas = legend(app)
    assert list(areas) == ["coin", "cup", "background"]
    assert sum(areas.values()) == SIZE.pixels
    assert "**new\\.png**" in texts(app) or "**new.png**" in texts(app)


def test_garbage_costs_one_sentence_and_the_others_go_on(model: Path, page: Page) -> None:
    app = page()
    upload(app, ("a.png", picture(7)), ("bad.jpg", b"no picture"), ("empty.png", b""), ("b.png", picture(8)))
    assert len(app.error) == 2
    assert sorted(app.dataframe[0].value["Picture"]) == ["a.png", "b.png"]


def test_16_bits_rotation_and_pages_are_no_obstacle(model: Path, page: Page) -> None:
    deep, turned, stack = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.fromarray(np.arange(40 * 30, dtype=np.uint16).reshape(40, 30) * 50).save(deep, "TIFF")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 30)).save(turned, "JPEG", exif=exif)
    pages = [Image.new("L", (16, 12), shade) for shade in (10, 200)]
    pages[0].save(stack, "TIFF", save_all=True, append_images=pages[1:])
    app = page()
    for name, data, size in (("deep.tif", deep, "30 x 40"), ("turned.jpg", turned, "30 x 20")):
        upload(app, (name, data.getvalue()))
        assert f", {size}" in texts(app)
    upload(app, ("stack.tif", stack.getvalue()))
    app.number_input[0].set_value(2).run()
    assert not app.exception
    assert sum(legend(app).values()) == 12 * 16


def test_a_change_of_opacity_does_not_predict_again(model: Path, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page()
    upload(app, ("new.png", picture(7)))
    monkeypatch.setattr(predictions, "predict_undecided", lambda *_, **__: pytest.fail("predicted again"))
    app.slider(key="predict-opacity").set_value(80).run()
    assert not app.exception


def test_pictures_of_the_project_are_offered_and_the_truth_of_a_labelled_one_is_known(model: Path, page: Page) -> None:
    app = page()
    app.segmented_control(key="predict-source").set_value("From the project").run()
    choice = app.multiselect(key="predict-samples-Coins")
    assert choice.options == ["s0", "s1", "s2"]
    next(button for button in app.button if button.label == "Take all").click().run()
    assert sorted(app.dataframe[0].value["Picture"]) == ["s0.png", "s1.png", "s2.png"]
    app.toggle(key="predict-all-Coins").set_value(True).run()
    app.multiselect(key="predict-samples-Coins").set_value(["s3"]).run()
    assert not app.exception
    assert [metric.label for metric in app.metric] == [
        "Mean IoU of the labels",
        "Mean IoU",
        "Micro IoU",
        "Pixel accuracy",
    ]


def test_a_folder_that_is_not_there_is_said(model: Path, page: Page) -> None:
    app = page()
    app.segmented_control(key="predict-source").set_value("From a folder").run()
    app.text_input(key="predict-folder").set_value("/nowhere/at/all").run()
    assert "is not a folder" in app.error[0].value


# ------------------------------------------------------------------------------------------------------------ truth


def test_a_truth_of_equal_pixels_is_perfect(model: Path, page: Page) -> None:
    app = page()
    upload(app, ("new.png", picture(7)))
    card = ModelCard(NetworkConfig(name="unet", classes=3, width=4, depth=2), LABELS)
    one = Picture("new.png", hashlib.sha256(picture(7)).hexdigest(), lambda: picture(7))
    mask = predictions.prediction_of(one, model, card).mask
    upload(app, ("new.png", write_mask_png(mask, LABELS)), key="predict-truth")
    assert {metric.value for metric in app.metric} == {"1.000"}
    assert not [frame for frame in app.dataframe if "Recall" in frame.value]
    app.session_state[f"more-{predictions.key_of(one, model)}:{predictions.finish_of(card)}"] = True
    app.run()
    assert not app.exception
    (figures,) = [frame.value for frame in app.dataframe if "Recall" in frame.value]
    present = [label for class_id, label in enumerate(LABELS.names) if class_id and (mask == class_id).any()]
    rows = figures[figures["Label"].isin(present)]
    assert len(rows) == len(present) > 0
    assert set(rows["Precision"]) | set(rows["Recall"]) | set(rows["Object F1"]) == {"1.000"}
    assert set(rows["Mean distance"]) == {"0 px"}
    assert "**Boundary IoU**: IoU of the pixels close to the borders only, within 2 %" in texts(app)


@pytest.mark.parametrize("kind", ["labelme", "mask"])
def test_a_truth_file_is_read_in_the_ids_of_the_model(kind: str) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[2:6, 2:5] = 1
    data = write_labelme(box(), image_path="a.png") if kind == "labelme" else write_mask_png(mask, LABELS)
    info = ImageInfo(SIZE, SIZE, 1, "PNG", 1)
    assert np.array_equal(read_truth(data, f"a.{kind}", info, SIZE, LABELS), mask)


def test_a_truth_of_another_size_is_refused(model: Path, page: Page) -> None:
    app = page()
    upload(app, ("new.png", picture(7)))
    upload(app, ("new.png", write_mask_png(np.ones((5, 5), np.uint8), LABELS)), key="predict-truth")
    assert "is 5 x 5, its picture 16 x 12" in app.error[0].value
    assert not app.metric


# ------------------------------------------------------------------------------------------------------- correction


def test_changes_are_counted_by_class() -> None:
    before, after = np.array([[0, 1, 1, 2]], np.uint8), np.array([[1, 1, 0, 255]], np.uint8)
    assert changes(before, after, LABELS) == [
        ("_background_", 1, 1),
        ("coin", 1, 1),
        ("cup", 0, 1),
        ("not labelled", 1, 0),
    ]


def test_a_correction_puts_the_picture_and_its_mask_into_the_project(project: Project) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[2:5, 3:9] = 2
    prediction = Prediction(np.zeros(SIZE, np.uint8), np.full(SIZE, 255, np.uint8))
    one = Picture("new.png", "x", lambda: picture(9))
    sample = save_correction(project, one, prediction, mask, LABELS, base_version=0)
    assert sample == "new"
    saved = project.read_mask("new")
    assert saved is not None
    assert np.array_equal(saved, mask)
    assert stamp_of(project.read_annotation("new"))[:3] == (1, "done", "correction")


def test_a_correction_of_a_sample_becomes_its_next_version(project: Project) -> None:
    prediction = Prediction(np.ones(SIZE, np.uint8), np.full(SIZE, 255, np.uint8))
    one = Picture("s3.png", "x", lambda: picture(3), sample="s3")
    save_correction(project, one, prediction, prediction.mask, LABELS, base_version=1)
    assert project.annotation_version("s3") == 2
    same = Picture("elsewhere.png", "x", lambda: picture(3))  # the very same bytes, uploaded
    assert save_correction(project, same, prediction, prediction.mask, LABELS, base_version=0) == "s3"
    assert project.annotation_version("s3") == 3


def test_the_page_of_a_stack_comes_in_as_its_own_sample(project: Project) -> None:
    stack = io.BytesIO()
    pages = [Image.new("L", (SIZE.width, SIZE.height), shade) for shade in (10, 200)]
    pages[0].save(stack, "TIFF", save_all=True, append_images=pages[1:])
    prediction = Prediction(np.ones(SIZE, np.uint8), np.full(SIZE, 255, np.uint8))
    one = Picture("stack.tif", "x", stack.getvalue, page=1)
    sample = save_correction(project, one, prediction, prediction.mask, LABELS, base_version=0)
    assert sample == "stack_p0002"
    assert project.read_image(sample)[0, 0].tolist() == [200, 200, 200]


def test_fix_it_saves_what_was_scribbled_and_retrain_is_one_click(
    project: Project, model: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, Any] = {}
    drawn: list[dict[str, Any]] = []

    def canvas(*, key: str, **given: Any) -> SimpleNamespace:
        shown.update(given)
        return SimpleNamespace(json_data={"objects": drawn})

    monkeypatch.setitem(sys.modules, "streamlit_drawable_canvas", SimpleNamespace(st_canvas=canvas))
    started: list[Run] = []
    monkeypatch.setattr(correction, "start", started.append)
    app = page()
    upload(app, ("new.png", picture(7)))
    next(toggle for toggle in app.toggle if toggle.label == "Fix it").set_value(True).run()
    assert not app.exception
    scale = shown["width"] / SIZE.width
    middle = [(5 + 0.5) * scale, (4 + 0.5) * scale]
    dot = {"type": "Path", "left": middle[0], "top": middle[1], "strokeWidth": 1, "stroke": stroke_color(LABELS, 2)}
    drawn.append({**dot, "path": [["M", *middle], ["L", *middle]]})
    app.run()
    next(button for button in app.button if button.label == "Save as correction").click().run()
    assert not app.exception
    mask = project.read_mask("new")
    assert mask is not None
    assert mask[4, 5] == 2
    assert "new is in the project as done" in texts(app)
    next(button for button in app.button if button.label == "Retrain").click().run()
    assert not app.exception
    assert [run.id for run in started] == [run.id for run in list_runs(project)]
    assert list_runs(project)[0].name == "retrain"
    assert json.loads((list_runs(project)[0].folder / "split.json").read_text())["assignments"].keys() == {"s3", "new"}


# ----------------------------------------------------------------------------------------------------------- screen


def test_a_thin_line_is_still_seen_when_the_picture_is_shrunk() -> None:
    mask = np.zeros((400, 600), np.uint8)
    mask[:, 300:302] = 1  # two of the five pixels that a pixel on the screen covers
    view = view_of(np.zeros((400, 600, 3), np.uint8), Zoom(), canvas_width=120, canvas_height=120)
    assert (mask_part(mask, view) == 1).any(axis=1).all()


def test_a_part_of_the_picture_is_enlarged_in_squares() -> None:
    image = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8)
    view = view_of(image, Zoom(4.0), canvas_width=160, canvas_height=160)
    part = picture_part(image, view)
    assert part.shape == (160, 160, 3)
    assert np.array_equal(part[::10, ::10], image[24:40, 24:40])


def test_a_large_picture_is_sent_at_the_size_of_the_screen() -> None:
    image = np.zeros((3000, 4000, 3), np.uint8)
    view = view_of(image, Zoom(), canvas_width=1000, canvas_height=760)
    assert picture_part(image, view).shape == (750, 1000, 3)
    assert ImageSize(*mask_part(image[:, :, 0], view).shape) == ImageSize(750, 1000)


# ------------------------------------------------------------------------------- thresholds, clean-up, objects, doubt


FINISH = "finish-Coins-toy"  # the key of the controls


def opened(app: AppTest, part: str) -> None:
    """Unfold an expander, as a click does."""
    app.session_state[part] = True
    app.run()
    assert not app.exception


def test_a_clean_up_is_seen_at_once_and_kept_only_when_told_so(model: Path, page: Page) -> None:
    app = page()
    upload(app, ("new.png", picture(7)))
    before = legend(app)
    opened(app, FINISH)
    app.number_input(key=f"{FINISH}-clean-drop_below").set_value(10**6).run()
    assert not app.exception
    assert legend(app)["background"] == SIZE.pixels != before["background"]
    assert read_card(model).clean_up == CleanUp()
    next(button for button in app.button if button.label == "Keep for this model").click().run()
    assert not app.exception
    assert read_card(model).clean_up == CleanUp(drop_below=10**6)
    fresh = page()
    upload(fresh, ("new.png", picture(7)))
    assert legend(fresh)["background"] == SIZE.pixels


def test_a_threshold_changes_the_mask_without_another_prediction(
    model: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = page()
    upload(app, ("new.png", picture(7)))
    opened(app, FINISH)
    monkeypatch.setattr(predictions, "predict_undecided", lambda *_, **__: pytest.fail("predicted again"))
    app.toggle(key=f"{FINISH}-own").set_value(True).run()
    for i, value in enumerate((0.01, 1.0)):
        app.slider(key=f"{FINISH}-threshold-{i}").set_value(value).run()
    assert not app.exception
    found = legend(app)
    assert found["coin"] > 0
    assert found["cup"] == 0
    next(button for button in app.button if button.label == "Back to the model's own").click().run()
    assert not app.toggle(key=f"{FINISH}-own").value


def test_objects_are_measured_and_filtered(model: Path, page: Page) -> None:
    app = page()
    upload(app, ("new.png", picture(7)))
    opened(app, "measure-part")
    table = next(frame.value for frame in app.dataframe if "Confidence" in frame.value)
    assert table.filter(like="Area").to_numpy().sum() == legend(app)["coin"] + legend(app)["cup"]
    app.number_input(key="measure-least").set_value(10**6).run()
    assert not app.exception
    assert not [frame for frame in app.dataframe if "Confidence" in frame.value and len(frame.value)]


def test_areas_are_corrected_by_what_validation_pictures_say(project: Project, model: Path, page: Page) -> None:
    write_json(project.folder / "split.json", {"seed": 1, "assignments": {"s3": "val"}, "groups": {}})
    app = page()
    upload(app, ("new.png", picture(7)))
    opened(app, "measure-part")
    app.button(key="correct-areas").click().run()
    assert not app.exception
    (table,) = [frame.value for frame in app.dataframe if "Factor" in frame.value]
    assert table["Label"].tolist() == ["coin", "cup"]
    predicted = predictions.undecided_of(Picture("s3.png", "truth", lambda: picture(3)), model, read_card(model)).mask
    drawn = float((project.read_mask("s3") == 1).sum())
    assert float(table["Factor"][0]) == pytest.approx(drawn / (predicted == 1).sum(), abs=0.01)
    assert "An interval needs 5 pictures" in texts(app)


def test_thresholds_are_fitted_to_validation_pictures(project: Project, model: Path, page: Page) -> None:
    write_json(project.folder / "split.json", {"seed": 1, "assignments": {"s3": "val"}, "groups": {}})
    app = page()
    upload(app, ("new.png", picture(7)))
    opened(app, FINISH)
    app.toggle(key=f"{FINISH}-own").set_value(True).run()
    app.button(key="fit-Coins-toy").click().run()
    assert not app.exception
    assert "Fitted to 1 validation picture" in texts(app)


def test_where_the_model_is_unsure(model: Path, page: Page) -> None:
    app = page()
    upload(app, ("new.png", picture(7)))
    opened(app, "doubt-part")
    assert [metric.label for metric in app.metric] == ["Expected error", "Mean confidence"]
    for choice in ("Probability of coin", "Changes in the mirror"):
        app.segmented_control(key="doubt-what").set_value(choice).run()
        assert not app.exception


def test_many_large_pictures_end_even_where_not_all_can_be_kept(
    model: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else those that were forgotten would be predicted again, which forgets others, and so on for ever."""
    for name in ("_packed", "_open", "_decided"):
        monkeypatch.setattr(predictions, name, cached.Shelf(limit=1))  # keeps the last one only
    app = page()
    upload(app, *((f"{i}.png", picture(i)) for i in range(4)))
    assert len(app.dataframe[0].value) == 4
    assert sum(legend(app).values()) == SIZE.pixels


def test_of_several_pictures_the_most_doubtful_comes_first(model: Path, page: Page) -> None:
    app = page()
    upload(app, *((f"{i}.png", picture(i)) for i in range(5)))
    doubts = app.dataframe[0].value["Doubt"].tolist()
    assert doubts == sorted(doubts, reverse=True)
    assert 0 < min(doubts) <= max(doubts) <= 100
