"""Tiles of pictures: from memory for small ones, from files that a child process cuts for large ones."""

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import ReadError
from core.images import RGB, ImageSize, encode_png, read_image
from core.project import pyramid
from core.project.project import Project
from core.project.pyramid import TILE, build_pyramid, levels_of, open_pyramid, read_thumbnail, read_tile

PATIENCE = 60  # seconds


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", name="P")


def picture(height: int, width: int) -> RGB:
    return np.random.default_rng(height * width).integers(0, 255, (height, width, 3), dtype=np.uint8)


def whole(project: Project, name: str, level: int = 0) -> RGB:
    """All tiles of a level put together."""
    rows = []
    while read_tile(project, name, level, 0, len(rows)) is not None:
        columns: list[RGB] = []
        while (data := read_tile(project, name, level, len(columns), len(rows))) is not None:
            columns.append(np.asarray(Image.open(io.BytesIO(data))))
        rows.append(np.concatenate(columns, axis=1))
    return np.concatenate(rows)


@pytest.mark.parametrize(
    ("size", "levels"),
    [((1, 1), 1), ((512, 512), 1), ((513, 2), 2), ((1024, 1024), 2), ((1025, 9), 3), ((20_000, 20_000), 7)],
)
def test_levels_go_on_until_one_tile_holds_all(size: tuple[int, int], levels: int) -> None:
    assert levels_of(ImageSize(*size)) == levels


@pytest.mark.parametrize("size", [(1, 1), (40, 700), (1100, 513)])
def test_tiles_of_level_0_are_the_picture_pixel_for_pixel(project: Project, size: tuple[int, int]) -> None:
    project.add_image(encode_png(picture(*size)), filename="a.png")
    np.testing.assert_array_equal(whole(project, "a"), project.read_image("a"))


def test_a_turned_16_bit_picture_is_shown_as_it_is_read(project: Project) -> None:
    values = np.random.default_rng(0).integers(0, 4000, (60, 90)).astype(np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, extratags=[(274, "H", 1, 6, True)])
    project.add_image(buffer.getvalue(), filename="a.tif")
    assert open_pyramid(project, "a").size == ImageSize(90, 60)
    np.testing.assert_array_equal(whole(project, "a"), project.read_image("a"))


def test_the_levels_above_are_the_picture_shrunk(project: Project) -> None:
    rows, columns = np.mgrid[:1300, :700]
    smooth = np.stack([rows / 6, columns / 3, rows * 0 + 90], axis=2).astype(np.uint8)
    project.add_image(encode_png(smooth), filename="a.png")
    assert open_pyramid(project, "a").levels == 3
    small = whole(project, "a", 2)
    assert small.shape == (325, 175, 3)
    expected = smooth.reshape(325, 4, 175, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - expected).mean() < 2  # JPEG


def test_what_is_not_there_has_no_tile(project: Project) -> None:
    project.add_image(encode_png(picture(30, 30)), filename="a.png")
    assert read_tile(project, "a", 0, 1, 0) is None
    assert read_tile(project, "a", 1, 0, 0) is None
    assert read_tile(project, "a", -1, 0, 0) is None


def test_threads_that_ask_at_once_decode_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_image(encode_png(picture(600, 600)), filename="a.png")
    decoded: list[Path] = []

    def slow(path: Path, **options: object) -> RGB:
        decoded.append(path)
        return read_image(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pyramid, "read_image", slow)
    threads = [threading.Thread(target=read_tile, args=(project, "a", 0, i % 2, i // 2)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoded) == 1


@pytest.fixture
def large(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A Project for which a picture of 1,200 x 1,100 is a large one."""
    monkeypatch.setattr(pyramid, "LARGE", 1000)
    project.add_image(encode_png(picture(1200, 1100)), filename="a.png")
    return project


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_large_picture_is_cut_to_files(large: Project, monkeypatch: pytest.MonkeyPatch, in_parts: bool) -> None:
    expected = large.read_image("a")
    if in_parts:
        monkeypatch.setattr(pyramid, "MAX_PIXELS", 1000)
    build_pyramid(large, "a")
    found = open_pyramid(large, "a")
    assert (found.ready, found.levels) == (True, 3)
    np.testing.assert_array_equal(whole(large, "a"), expected)
    assert whole(large, "a", 1).shape == (600, 550, 3)
    assert whole(large, "a", 2).shape == (300, 275, 3)


def test_a_child_process_cuts_it_once(large: Project) -> None:
    assert not open_pyramid(large, "a").ready
    ends = time.monotonic() + PATIENCE
    while not open_pyramid(large, "a").ready:
        assert time.monotonic() < ends
        time.sleep(0.1)  # another process works
    np.testing.assert_array_equal(whole(large, "a"), large.read_image("a"))


def test_a_build_that_was_killed_begins_anew(large: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[object] = []

    class Child:
        def __init__(self, command: object, **options: object) -> None:
            begun.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(pyramid.subprocess, "Popen", Child)
    open_pyramid(large, "a")
    open_pyramid(large, "a")
    assert len(begun) == 1
    monkeypatch.setattr(pyramid, "_STALE", 0.0)
    open_pyramid(large, "a")
    assert len(begun) == 2


def test_what_cannot_be_read_is_said_and_not_tried_for_ever(large: Project) -> None:
    image = large.sample("a").image
    image.write_bytes(image.read_bytes()[:5000])
    build_pyramid(large, "a")
    with pytest.raises(ReadError, match=r"a\.png"):
        open_pyramid(large, "a")


def test_tiles_of_the_picture_as_it_was_go(large: Project) -> None:
    build_pyramid(large, "a")
    (before,) = (large.folder / "cache" / "tiles").iterdir()
    large.sample("a").image.write_bytes(encode_png(picture(700, 600)))
    build_pyramid(large, "a")
    (after,) = (large.folder / "cache" / "tiles").iterdir()
    assert before.name != after.name


def test_a_thumbnail_is_small_and_kept(project: Project) -> None:
    project.add_image(encode_png(picture(300, 600)), filename="a.png")
    data = read_thumbnail(project, "a")
    assert Image.open(io.BytesIO(data)).size == (160, 80)
    assert read_thumbnail(project, "a") == data
    assert len(list((project.folder / "cache" / "thumbnails").iterdir())) == 1
    assert TILE == 512
