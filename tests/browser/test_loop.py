"""Once round the loop in a real browser: import a Labelme zip, train, see the curves, predict, fix, save, retrain."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from core.annotation.labels import LabelSet
from core.images import encode_png
from core.project.project import Project
from core.training.run import list_runs, read_metrics
from sample_data.generate import labelme_json, scene
from tests.browser.conftest import PATIENCE

pytestmark = pytest.mark.browser
expect.set_options(timeout=PATIENCE)

TITLES = {"": "Projects", "annotate": "Annotate", "dataset": "Data set", "train": "Train", "predict": "Predict"}
SIDE = 96


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for seed in range(5):
            made = scene(seed, SIDE)
            archive.writestr(f"s{seed}.png", encode_png(made.image))
            archive.writestr(f"s{seed}.json", labelme_json(made.shapes, f"s{seed}.png", SIDE))
        archive.writestr("broken.png", b"this is no picture")
    return buffer.getvalue()


@pytest.mark.parametrize("path", TITLES)
def test_each_page_opens_with_the_sample_project(page: Page, address: str, path: str) -> None:
    page.goto(f"{address}/{path}")
    expect(page.get_by_role("heading", name=TITLES[path], exact=True)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"project=Sample"))
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_once_round_the_loop(page: Page, address: str, home: Path) -> None:
    project = Project.create(home / "loop", name="Loop", preset="satellite", labels=LabelSet.of([]))

    page.goto(f"{address}/?project=loop")
    page.locator("[class*='st-key-upload-files'] input[type=file]").set_input_files(
        {"name": "scenes.zip", "mimeType": "application/zip", "buffer": _zip()}
    )
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("5 pictures and 5 annotations")).to_be_visible()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("5 pictures and 5 annotations came in.")).to_be_visible()
    expect(page.get_by_text("broken.png").first).to_be_visible()
    assert set(Project.open(project.folder).settings.labels.names[1:]) == {"building", "road"}

    page.goto(f"{address}/dataset?project=loop")
    expect(page.get_by_test_id("stImage").first).to_be_visible()

    page.goto(f"{address}/train?project=loop")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_role("spinbutton", name="Epochs").fill("3")
    page.get_by_role("spinbutton", name="Epochs").press("Enter")
    page.get_by_role("spinbutton", name="Steps an epoch").fill("3")
    page.get_by_role("spinbutton", name="Steps an epoch").press("Enter")
    expect(page.get_by_text(re.compile(r"^3 epochs of 3 steps"))).to_be_visible()
    page.locator(".st-key-start-training button").click()
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    expect(page.get_by_text("Finished: 3 epochs")).to_be_visible()
    expect(page.get_by_text("This model is in use.")).to_be_visible()
    (run,) = list_runs(project)
    assert len(read_metrics(run)["val_iou"]) == 3

    page.reload()  # the Run is found again
    expect(page.get_by_text("Finished: 3 epochs")).to_be_visible()

    page.goto(f"{address}/predict?project=loop")
    made = scene(77, SIDE)
    page.locator(".st-key-predict-upload input[type=file]").set_input_files(
        {"name": "new one.png", "mimeType": "image/png", "buffer": encode_png(made.image)}
    )
    expect(page.get_by_text("Fix it", exact=True)).to_be_visible()
    page.get_by_text("Fix it", exact=True).click()
    canvas = page.locator("canvas.upper-canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5, steps=12)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"pixels? changed"))).to_be_visible()
    page.get_by_role("button", name="Save as correction").click()
    expect(page.get_by_text("is in the project")).to_be_visible()
    mask = Project.open(project.folder).read_mask("new one")
    assert mask is not None
    stroke = mask[SIDE // 2, round(SIDE * 0.27) : round(SIDE * 0.73)]
    assert np.all(stroke == 1)  # the first label, painted from a quarter to three quarters of the width

    page.get_by_role("button", name="Retrain").click()
    expect(page.get_by_text("learns from all labels")).to_be_visible()
    newest = list_runs(project)[0]
    assert newest.id != run.id
    assert "new one" in (newest.folder / "split.json").read_text()
    page.get_by_role("link", name="See its curves").click()
    page.locator("[class*='st-key-stop-'] button").click()
    expect(page.get_by_text("Stopped after")).to_be_visible()
