"""The way to TensorBoard on the Train page: a button, then a link; nothing where there is nothing to see."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.annotation.labels import LabelSet
from core.project.home import create_project, projects_home
from core.project.project import Project
from core.training import estimate, tensorboard
from core.training.config import TrainingConfig
from core.training.events import Events
from core.training.run import Run, create_run
from core.training.tensorboard import board_address, close_board
from tests.pages.opening import open_page
from tests.samples import box, picture

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(estimate, "measure_in_background", lambda config: None)
    projects_home().mkdir()
    (projects_home() / ".samples-made").touch()
    project = create_project("Coins", preset="general", labels=LabelSet.of(["coin"]))
    project.add_image(picture(0), filename="s0.png")
    project.save_annotation("s0", box(), author="Ann")
    yield project
    close_board(project)


@pytest.fixture
def run(project: Project) -> Run:
    return create_run(project, TrainingConfig(epochs=3, steps_per_epoch=2))


def opened(run: Run) -> AppTest:
    return open_page("train", project="Coins", run=run.id)


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button if "TensorBoard" in button.label]


def links(app: AppTest) -> list[str]:
    return [element.proto.url for element in app.get("link_button")]


def click(app: AppTest, label: str) -> None:
    (found,) = [button for button in app.button if button.label == label]
    found.click().run()
    assert not app.exception


def test_a_run_without_events_offers_nothing(run: Run) -> None:
    app = opened(run)
    assert labels(app) == []
    assert links(app) == []


def test_the_button_starts_it_and_the_link_leads_there_until_it_is_closed(project: Project, run: Run) -> None:
    Events(run, None, print)
    app = opened(run)
    assert (labels(app), links(app)) == (["Open TensorBoard"], [])
    click(app, "Open TensorBoard")
    address = board_address(project)
    assert address is not None
    assert (labels(app), links(app)) == (["Close TensorBoard"], [address])
    with urllib.request.urlopen(address, timeout=30) as answer:
        assert answer.status == 200
    assert links(opened(run)) == [address]  # another tab finds the same
    click(app, "Close TensorBoard")
    assert board_address(project) is None
    assert (labels(app), links(app)) == (["Open TensorBoard"], [])


def test_without_the_package_one_sentence_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Events(run, None, print)
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    app = opened(run)
    click(app, "Open TensorBoard")
    (error,) = app.error
    assert "TensorBoard is not installed" in error.value
    assert "pip install" in error.value
    assert labels(app) == ["Open TensorBoard"]


def test_the_app_loads_neither_torch_nor_tensorboard() -> None:
    program = "import sys, pages.ui.tensorboard; print({'torch', 'tensorboard', 'grpc'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert said.stdout.strip() == "set()"
