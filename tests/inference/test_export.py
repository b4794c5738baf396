import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.labels import LabelSet
from core.annotation.raster import annotation_to_mask
from core.errors import ConfigError
from core.formats.labelme import read_labelme
from core.inference import export
from core.inference.export import (
    Predicted,
    class_areas,
    prediction_to_annotation,
    prediction_zip,
    write_prediction,
)
from core.inference.predict import Prediction

LABELS = LabelSet.of(["roof", "road"])


def prediction() -> Prediction:
    """Two roofs, one with a hole, and a road."""
    mask = np.zeros((10, 20), np.uint8)
    mask[1:6, 1:6] = 1
    mask[3, 3] = 0
    mask[1:3, 10:12] = 1
    mask[8] = 2
    return Prediction(mask, np.full(mask.shape, 200, np.uint8))


IMAGE = np.full((10, 20, 3), 90, np.uint8)


def test_shapes_paint_the_predicted_mask_again() -> None:
    annotation = prediction_to_annotation(prediction(), LABELS)
    assert sorted(shape.label for shape in annotation.shapes) == ["road", "roof", "roof"]
    assert np.array_equal(annotation_to_mask(annotation, LABELS), prediction().mask)


def test_too_many_objects_become_one_shape_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "MAX_OBJECTS", 2)
    annotation = prediction_to_annotation(prediction(), LABELS)
    assert sorted(shape.label for shape in annotation.shapes) == ["road", "roof"]
    assert np.array_equal(annotation_to_mask(annotation, LABELS), prediction().mask)


def test_areas_count_each_class() -> None:
    assert class_areas(prediction().mask, LABELS) == [
        {"name": "_background_", "pixels": 152, "share": 0.76},
        {"name": "roof", "pixels": 28, "share": 0.14},
        {"name": "road", "pixels": 20, "share": 0.1},
    ]


def test_mask_overlay_and_labelme_are_written(tmp_path: Path) -> None:
    paths = write_prediction(
        prediction(), IMAGE, name="haus ä", image_name="../haus ä.jpg", labels=LABELS, folder=tmp_path / "out"
    )
    assert [path.name for path in paths] == ["haus ä.png", "haus ä_overlay.jpg", "haus ä.json"]
    with Image.open(paths[0]) as mask:
        assert mask.mode == "P"
        assert np.array_equal(np.asarray(mask), prediction().mask)
    with Image.open(paths[1]) as shown:
        assert shown.size == (20, 10)
    file = read_labelme(paths[2].read_bytes())
    assert file.image_path == "../haus ä.jpg"
    assert np.array_equal(annotation_to_mask(file.annotation, LABELS), prediction().mask)


def test_only_the_wished_formats_are_written(tmp_path: Path) -> None:
    write_prediction(
        prediction(), IMAGE, name="a", image_name="a.png", labels=LABELS, folder=tmp_path, formats=["labelme"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no format 'bmp'"):
        write_prediction(
            prediction(), IMAGE, name="a", image_name="a.png", labels=LABELS, folder=tmp_path, formats=["bmp"]
        )


def test_a_zip_holds_all_pictures_their_classes_and_areas() -> None:
    items = [Predicted(name, IMAGE, prediction()) for name in ("a.png", "A.jpg", "../b.png")]
    with zipfile.ZipFile(io.BytesIO(prediction_zip(items, LABELS, formats=["mask", "labelme"]))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            *("a.png", "a.json", "A-2.png", "A-2.json", "b.png", "b.json"),
            *("classes.json", "areas.csv"),
        ]
        classes = json.loads(archive.read("classes.json"))
        rows = list(csv.DictReader(io.StringIO(archive.read("areas.csv").decode("utf-8-sig"))))
    assert [(item["index"], item["name"]) for item in classes] == [(0, "_background_"), (1, "roof"), (2, "road")]
    assert len(rows) == 9
    assert rows[1] == {"picture": "a.png", "label": "roof", "pixels": "28", "share": "0.140000"}
