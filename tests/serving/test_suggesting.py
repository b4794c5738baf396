"""The suggestions of the kept model on the sample pictures, and what goes wrong around them."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.applications import Starlette

from core.annotation.labels import LabelSet
from core.annotation.raster import annotation_to_mask
from core.annotation.shapes import Annotation, MaskShape
from core.errors import ConfigError
from core.images import ImageSize, encode_png
from core.inference import load_backend
from core.inference.predict import predict
from core.networks.card import ModelCard, NetworkConfig
from core.project.home import REPOSITORY
from core.project.project import Project
from core.serving import suggesting
from core.serving.suggesting import ROUTES, Suggester
from tests.serving.asgi import Answer, ask

KEPT = REPOSITORY / "models" / "sample-town"
APP = Starlette(routes=list(ROUTES))


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A Project in a home of its own, with one picture of the sample town and the kept model as its current one."""
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    project = Project.create(tmp_path / "Town", name="Town", labels=LabelSet.of(["building", "road"]))
    picture = sorted(path for path in (REPOSITORY / "sample_data" / "town").rglob("*.jpg"))[0]
    project.add_image(picture.read_bytes(), filename="a b.jpg")
    shutil.copytree(KEPT, project.folder / "models" / "sample-town")
    project.set_current_model(project.folder / "models" / "sample-town")
    return project


class Stripes:
    """A backend that sees the class 1 in the left half of each window; it counts, and can be made to wait."""

    multiple_of = 1

    def __init__(self, labels: tuple[str, ...] = ("building",)) -> None:
        self.card = ModelCard(NetworkConfig(classes=1 + len(labels)), LabelSet.of(labels), window=64)
        self.computed = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.begun = threading.Semaphore(0)

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.computed += 1
        self.begun.release()
        assert self.may_go_on.wait(30)
        logits = np.zeros((len(batch), len(self.card.labels), *batch.shape[2:]), np.float32)
        logits[:, 1, :, : batch.shape[3] // 2] = 5
        return logits


@pytest.fixture
def small(town: Project) -> Project:
    for i in range(6):
        town.add_image(encode_png(np.full((40, 40, 3), i + 1, np.uint8)), filename=f"{i}.png")
    return town


def suggest(sample: str = "a b", project: str = "Town") -> Answer:
    return ask(APP, f"/api/projects/{project}/samples/{sample}/suggest", method="POST", body=b"{}")


def with_loader(monkeypatch: pytest.MonkeyPatch, load: Callable[[Path], Stripes]) -> None:
    monkeypatch.setattr(suggesting, "_SUGGESTER", Suggester(load))


def test_the_kept_model_suggests_what_it_predicts(town: Project) -> None:
    answer = suggest()
    assert answer.code == 200
    assert answer.json["model"] == "sample-town"
    assert answer.json["seconds"] > 0
    shapes = [as_shape(wire) for wire in answer.json["shapes"]]
    assert {shape.label for shape in shapes} == {"building", "road"}
    assert all(0.3 < wire["extra"]["confidence"] <= 1 for wire in answer.json["shapes"])
    backend = load_backend(KEPT)
    predicted = predict(town.read_image("a b"), backend).mask
    labels = backend.card.labels
    painted = annotation_to_mask(Annotation(size=ImageSize(*predicted.shape), shapes=tuple(shapes)), labels)
    assert not painted[predicted == 0].any()
    assert (painted == predicted).mean() > 0.99  # all but the specks
    assert not town.annotation_path("a b").exists()


def as_shape(wire: dict) -> MaskShape:
    left, top, width, height = wire["box"]
    region = np.repeat(np.arange(len(wire["rle"])) % 2 == 1, wire["rle"]).reshape(height, width)
    return MaskShape(label=wire["label"], points_xy=((left, top), (left + width - 1, top + height - 1)), region=region)


def test_the_same_picture_is_predicted_once_until_it_or_the_model_changes(
    small: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Stripes] = []

    def load(folder: Path) -> Stripes:
        loaded.append(Stripes())
        return loaded[-1]

    with_loader(monkeypatch, load)
    first = suggest("0")
    assert [wire["label"] for wire in first.json["shapes"]] == ["building"]
    assert suggest("0").body == first.body
    assert (len(loaded), loaded[0].computed) == (1, 1)
    suggest("1")
    assert (len(loaded), loaded[0].computed) == (1, 2)
    os.utime(small.sample("0").image, ns=(1, 1))
    suggest("0")
    assert (len(loaded), loaded[0].computed) == (1, 3)
    os.utime(small.folder / "models" / "sample-town" / "model.json", ns=(1, 1))
    suggest("0")
    assert (len(loaded), loaded[1].computed) == (2, 1)


def test_labels_that_the_project_does_not_have_come_with_a_note_until_it_has_them(
    small: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_loader(monkeypatch, lambda folder: Stripes(("lake",)))
    answer = suggest("0")
    assert [wire["label"] for wire in answer.json["shapes"]] == ["lake"]
    assert answer.json["note"] == "The project does not have yet: lake."
    small.add_labels(["lake"])
    assert suggest("0").json["note"] == ""


def test_one_prediction_at_a_time_and_no_long_queue(small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Stripes()
    backend.may_go_on.clear()
    suggester = Suggester(lambda folder: backend)
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda name=name: answers.append(suggester.answer(small, name))) for name in "0123"
    ]
    threads[0].start()
    assert backend.begun.acquire(timeout=30)
    for thread in threads[1:]:
        thread.start()
    while suggester._places._value:  # until the three others wait
        threads[0].join(0.001)
    with pytest.raises(ConfigError, match="busy with other pictures"):
        suggester.answer(small, "4")
    assert backend.computed == 1
    backend.may_go_on.set()
    for thread in threads:
        thread.join(30)
    assert (len(answers), backend.computed) == (4, 4)
    suggester.answer(small, "4")


def test_what_is_kept_is_bounded(small: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Stripes()
    suggester = Suggester(lambda folder: backend)
    monkeypatch.setattr(suggesting, "_KEPT_BYTES", 2 * len(suggester.answer(small, "0")))
    for name in "1230":
        suggester.answer(small, name)
    assert backend.computed == 5  # the first was forgotten meanwhile
    suggester.answer(small, "0")
    assert backend.computed == 5


def test_without_a_model_the_hint_says_what_to_do(town: Project) -> None:
    town.update_settings(current_model=None)
    answer = suggest()
    assert answer.code == 422
    assert answer.json == {
        "message": "This project has no model yet.",
        "hint": "Train once, then the model suggests shapes to correct.",
    }


def test_a_damaged_model_or_picture_is_said_and_the_next_request_works(small: Project) -> None:
    weights = small.folder / "models" / "sample-town" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    assert suggest("0").code == 422
    weights.write_bytes(whole)
    small.sample("1").image.write_bytes(b"no picture")
    answer = suggest("1")
    assert answer.code == 422
    assert "1.png" in answer.json["message"]
    assert suggest("0").code == 200


@pytest.mark.parametrize(("sample", "project"), [("nothing", "Town"), ("a b", "Nowhere"), ("a b", "..")])
def test_what_is_not_there_is_404(town: Project, sample: str, project: str) -> None:
    assert suggest(sample, project).code == 404
