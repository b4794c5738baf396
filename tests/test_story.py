"""The whole loop without a browser: import a Labelme zip, look, train in the background, predict, correct, retrain."""

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.annotation.edit import Stroke, paint_strokes
from core.annotation.raster import mask_to_shapes
from core.annotation.shapes import Annotation
from core.formats.source import open_source
from core.images import ImageSize, encode_png, read_image
from core.inference import load_backend
from core.inference.predict import predict
from core.project.earlier import states
from core.project.importing import import_source
from core.project.index import Index
from core.project.project import Project
from core.project.report import make_report
from core.project.split import read_split
from core.training import supervisor
from core.training.config import TrainingConfig
from core.training.presets import data_facts, propose
from core.training.retrain import read_comparison
from core.training.run import Finished, Run, create_run, read_metrics, read_run
from sample_data.generate import CLASSES, scene
from sample_data.generate import labelme_json as labelme_text

PATIENCE = 120  # seconds; far more than it takes, so that a busy machine does not fail the test


def _labelme_zip(folder: Path, count: int) -> Path:
    """Generated scenes with their Labelme JSON, as a person would zip them."""
    path = folder / "scenes.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for seed in range(count):
            made = scene(seed, 64)
            archive.writestr(f"town/s{seed}.png", encode_png(made.image))
            archive.writestr(f"town/s{seed}.json", labelme_text(made.shapes, f"s{seed}.png", 64))
    return path


def _small(project: Project) -> TrainingConfig:
    settings = {"network.name": "unet", "network.width": "4", "network.depth": "2", "pretrained": "false"}
    settings |= {"epochs": "2", "steps_per_epoch": "4", "tile": "32", "batch": "4"}
    return propose("satellite", data_facts(project)).with_settings(settings)


def _trained(project: Project) -> Run:
    """A Run of the Project, trained by a process of its own."""
    run = create_run(project, _small(project))
    supervisor.start(run)
    ends = time.monotonic() + PATIENCE
    while not isinstance(read_run(run.folder).status, Finished):
        assert time.monotonic() < ends, (read_run(run.folder).status, (run.folder / "log.txt").read_text())
        time.sleep(0.1)  # waits for another process's file; nothing is measured
    return read_run(run.folder)


def test_the_loop_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path))
    project = Project.create(tmp_path / "town", name="Town", preset="satellite")

    report = import_source(project, open_source(_labelme_zip(tmp_path, 6)))
    assert (report.pictures, report.annotations) == (6, 6)
    assert set(project.settings.labels.names[1:]) == set(CLASSES)
    for seed in range(6):
        mask, truth = project.read_mask(f"s{seed}"), scene(seed, 64).mask
        for class_id, name in enumerate(CLASSES, start=1):
            assert np.array_equal(mask == project.settings.labels.id_of(name), truth == class_id)

    first = _trained(project)
    assert len(read_metrics(first)["val_iou"]) == 2
    assert project.current_model() == first.best
    split = read_split(first.folder)
    assert split.val
    assert not set(split.val) & set(split.train)

    new = scene(99, 64)
    data = encode_png(new.image)
    model = project.current_model()
    assert model is not None
    backend = load_backend(model)
    mask = predict(read_image(data), backend).mask

    corrected = paint_strokes(mask, [Stroke(((20.0, 20.0), (40.0, 20.0)), 8, 1)])
    added = project.add_image(data, filename="new.png")
    shapes = mask_to_shapes(corrected, project.settings.labels)
    project.save_annotation(added.sample, Annotation(size=ImageSize(64, 64), shapes=shapes), author="correction")
    assert np.array_equal(project.read_mask("new"), corrected)
    assert states(project, "new")[-1].author == "correction"

    second = _trained(project)
    assert {"new", *split.assignments} == set(read_split(second.folder).assignments)
    assert {name: read_split(second.folder).assignments[name] for name in split.assignments} == split.assignments
    comparison = read_comparison(second)
    assert comparison is not None
    assert comparison.current is not None
    assert comparison.reason
    assert project.current_model() == (second.best if comparison.promoted else first.best)

    index = Index(project)
    index.refresh()
    told = make_report(index.rows(), read_split(project.folder), project.settings.labels)
    assert told.states == {"todo": 0, "doing": 0, "review": 0, "done": 7}
