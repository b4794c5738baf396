"""What is known of a picture without decoding it, and its thumbnail."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import ReadError, WriteError
from core.files import write_bytes
from core.images import IntensityRule, encode_jpeg, encode_png, read_image, shrink
from core.project import shown
from core.project.project import Project
from core.project.pyramid import build_pyramid
from core.project.shown import Shown, look_at, read_thumbnail, small_picture

SMOOTH = np.add.outer(np.arange(900) / 6, np.arange(600) / 8).astype(np.uint8)[:, :, None].repeat(3, 2)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", name="P")


def look(project: Project) -> Shown:
    return look_at(project, project.sample("a"))


def test_a_thumbnail_is_small_and_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_image(encode_png(SMOOTH), filename="a.png")
    data = read_thumbnail(look(project))
    assert Image.open(io.BytesIO(data)).size == (107, 160)
    assert np.abs(read_image(data).astype(int) - shrink(SMOOTH, 160)).mean() < 2
    monkeypatch.setattr(shown, "read_small", None)
    assert read_thumbnail(look(project)) == data


def test_a_thumbnail_of_a_turned_jpeg_is_upright(project: Project) -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[274] = 8
    Image.fromarray(SMOOTH).save(buffer, "JPEG", exif=exif, quality=95)
    project.add_image(buffer.getvalue(), filename="a.jpg")
    small = read_image(read_thumbnail(look(project)))
    assert small.shape == (107, 160, 3)
    assert np.abs(small.astype(int) - shrink(project.read_image("a"), 160)).mean() < 3


def test_a_thumbnail_is_given_where_it_cannot_be_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise WriteError("The disk is full.")

    project.add_image(encode_png(SMOOTH), filename="a.png")
    monkeypatch.setattr(shown, "write_bytes", full)
    assert Image.open(io.BytesIO(read_thumbnail(look(project)))).size == (107, 160)


def test_a_large_picture_is_made_small_from_its_tiles(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "LARGE", 1000)
    project.add_image(encode_png(SMOOTH), filename="a.png")
    build_pyramid(look(project), "a")
    monkeypatch.setattr(shown, "read_small", None)
    small = small_picture(look(project), 100)
    assert small.shape == (100, 67, 3)
    assert np.abs(small.astype(int) - shrink(SMOOTH, 100)).mean() < 2


def test_the_stamp_changes_with_the_file_and_with_the_rule(project: Project) -> None:
    project.add_image(encode_png(SMOOTH), filename="a.png")
    first = look(project)
    assert look(project) == first
    assert first.is_current()
    write_bytes(project.sample("a").image, encode_png(SMOOTH[:-1]))
    second = look(project)
    assert not first.is_current()
    assert (second.size.height, first.size.height) == (899, 900)
    project.update_settings(intensity=IntensityRule("fixed", 0, 99))
    assert len({first.stamp, second.stamp, look(project).stamp}) == 3


def test_a_picture_that_went_away_is_said(project: Project) -> None:
    project.add_image(encode_png(SMOOTH), filename="a.png")
    sample = project.sample("a")
    sample.image.unlink()
    with pytest.raises(ReadError, match=r"a\.png is not there"):
        look_at(project, sample)


def test_grey_is_known_from_the_header(project: Project) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, SMOOTH[:, :, 0].astype(np.int16))
    project.add_image(buffer.getvalue(), filename="a.tif")
    assert look(project).info.channels == 1
    write_bytes(project.sample("a").image, encode_jpeg(SMOOTH))
    assert look(project).info.channels == 3
