"""Thumbnails: tinted small, framed alike, cheap to tint again."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, Rectangle
from core.images import ImageSize, encode_png
from core.project.index import Index, SampleRow
from core.project.project import Project
from pages.ui import gallery
from pages.ui.gallery import SIDE, common_frame, thumbnail

LARGE = ImageSize(600, 1200)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "coins", name="Coins", labels=LabelSet.of(["coin"]))


def _add(project: Project, name: str, size: ImageSize) -> None:
    project.add_image(encode_png(np.full((*size, 3), 100, np.uint8)), filename=f"{name}.png")


def _row(project: Project, name: str) -> SampleRow:
    return next(row for row in Index(project).rows() if row.name == name)


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_the_mask_lies_where_it_was_drawn(project: Project) -> None:
    _add(project, "a", LARGE)
    left_half = Annotation(size=LARGE, shapes=(Rectangle(label="coin", points_xy=((0.0, 0.0), (599.0, 599.0))),))
    project.save_annotation("a", left_half, author="Ann")
    shown = _pixels(thumbnail(project, _row(project, "a"), opacity=100))
    assert shown.shape == (SIDE // 2, SIDE, 3)
    red, green, blue = project.settings.labels.labels[1].color
    assert np.abs(shown[100, 50].astype(int) - (red, green, blue)).max() < 12
    assert np.abs(shown[100, SIDE - 50].astype(int) - 100).max() < 12


def test_a_mask_for_another_size_is_not_drawn(project: Project) -> None:
    _add(project, "a", ImageSize(40, 40))
    other = Annotation(size=LARGE, shapes=(Rectangle(label="coin", points_xy=((0.0, 0.0), (599.0, 599.0))),))
    project.save_annotation("a", other, author="Ann")
    shown = _pixels(thumbnail(project, _row(project, "a"), opacity=100))
    assert np.abs(shown.astype(int) - 100).max() < 12


def test_pictures_of_other_shapes_are_framed_see_through(project: Project) -> None:
    _add(project, "tall", ImageSize(200, 50))
    shown = _pixels(thumbnail(project, _row(project, "tall"), opacity=50, frame=1.5))
    assert shown.shape == (200, 300, 4)
    assert shown[100, 10, 3] == 0
    assert shown[100, 150, 3] == 255


def test_another_opacity_reads_nothing_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _add(project, "a", ImageSize(40, 40))
    row = _row(project, "a")
    thumbnail(project, row, opacity=50)
    monkeypatch.setattr(gallery, "small_picture", None)
    thumbnail(project, row, opacity=30)


def test_one_strip_does_not_flatten_the_others(project: Project) -> None:
    for name, size in {"a": ImageSize(60, 90), "b": ImageSize(40, 60), "c": ImageSize(4, 400)}.items():
        _add(project, name, size)
    rows = Index(project).rows()
    assert common_frame(rows) == 1.5
    assert common_frame(rows[2:]) == 1.8
    assert common_frame([]) == 1.0
