"""Tiles of pictures: from memory for small ones, from files that a child process cuts for large ones."""

import io
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.errors import ReadError
from core.files import write_bytes
from core.images import RGB, ImageSize, encode_jpeg, encode_png, read_image
from core.project import decoded, pyramid, shown
from core.project.decoded import DecodedPictures
from core.project.project import Project
from core.project.pyramid import Pyramid, build_pyramid, read_tile
from core.project.shown import TILE, Shown, file_name, levels_of, look_at, tiles_of

PATIENCE = 60  # seconds


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", name="P")


def picture(height: int, width: int) -> RGB:
    return np.random.default_rng(height * width).integers(0, 255, (height, width, 3), dtype=np.uint8)


def look(project: Project, name: str = "a") -> Shown:
    return look_at(project, project.sample(name))


def opened(project: Project, name: str = "a") -> Pyramid:
    return pyramid.open_pyramid(project, look(project, name), name)


def build(project: Project, name: str = "a") -> None:
    build_pyramid(look(project, name), name)


def whole(project: Project, level: int = 0, name: str = "a") -> RGB:
    """All tiles of a level put together."""
    seen = look(project, name)
    across, down = tiles_of(seen.size, level)
    rows = []
    for row in range(down):
        tiles = [read_tile(seen, level, column, row) for column in range(across)]
        assert None not in tiles
        rows.append(np.concatenate([read_image(tile) for tile in tiles if tile is not None], axis=1))
    return np.concatenate(rows)


@pytest.mark.parametrize(
    ("size", "levels"),
    [((1, 1), 1), ((512, 512), 1), ((513, 2), 2), ((1024, 1024), 2), ((1025, 9), 3), ((20_000, 20_000), 7)],
)
def test_levels_go_on_until_one_tile_holds_all(size: tuple[int, int], levels: int) -> None:
    assert levels_of(ImageSize(*size)) == levels


def encoded(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "TIFF":
        tifffile.imwrite(buffer, pixels, **options)
    else:
        Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def turned(pixels: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return encoded(pixels, "JPEG", exif=exif)


def quantized(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(9).save(buffer, "PNG")
    return buffer.getvalue()


WIDE = np.random.default_rng(0).integers(0, 4000, (530, 600)).astype(np.uint16)
FLOATS = np.where(WIDE > 3900, np.nan, WIDE.astype(np.float32) - 70)
PICTURES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "one pixel": ("png", lambda: encode_png(picture(1, 1))),
    "a line": ("png", lambda: encode_png(picture(1, 700))),
    "odd": ("png", lambda: encode_png(picture(1101, 513))),
    "grey": ("png", lambda: encoded(picture(600, 40)[:, :, 0], "PNG")),
    "turned": ("jpg", lambda: turned(picture(520, 90))),
    "16 bits, turned": ("tif", lambda: encoded(WIDE, "TIFF", extratags=[(274, "H", 1, 6, True)])),
    "16 bits": ("tif", lambda: encoded(WIDE, "TIFF")),
    "16 bits, colour": ("tif", lambda: encoded(np.stack([WIDE, WIDE // 2, WIDE // 3], -1), "TIFF", photometric="rgb")),
    "floats": ("tif", lambda: encoded(FLOATS, "TIFF")),
    "1 bit": ("png", lambda: encoded(picture(600, 41)[:, :, 0] > 99, "PNG")),
    "palette": ("png", lambda: quantized(picture(600, 40))),
    "alpha": ("png", lambda: encoded(picture(600, 40).repeat(2, 2)[:, :, :4], "PNG")),
    "colour jpeg": ("jpg", lambda: encode_jpeg(picture(600, 700))),
}


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("kind", PICTURES)
def test_tiles_of_level_0_are_the_picture_pixel_for_pixel(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, on_disk: bool
) -> None:
    suffix, make = PICTURES[kind]
    project.add_image(make(), filename=f"a.{suffix}")
    if on_disk:
        monkeypatch.setattr(shown, "LARGE", 0)
        build(project)
    assert opened(project).ready
    expected = project.read_image("a")
    np.testing.assert_array_equal(whole(project), expected)
    assert opened(project).size == expected.shape[:2]
    grey = bool((expected == expected[:, :, :1]).all())
    assert opened(project).channels == (1 if grey else 3)


def test_tiles_on_disk_are_those_from_memory(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_image(encode_png(picture(1301, 1999)), filename="a.png")
    seen = look(project)
    places = [(k, x, y) for k in range(seen.levels) for x in range(4) for y in range(3)]
    tiles = [read_tile(seen, *place) for place in places]
    monkeypatch.setattr(shown, "LARGE", 0)
    build(project)
    assert [read_tile(seen, *place) for place in places] == tiles
    assert sum(tile is not None for tile in tiles) == 12 + 4 + 1


def test_the_levels_above_are_the_picture_shrunk(project: Project) -> None:
    rows, columns = np.mgrid[:1300, :700]
    smooth = np.stack([rows / 6, columns / 3, rows * 0 + 90], axis=2).astype(np.uint8)
    project.add_image(encode_png(smooth), filename="a.png")
    assert opened(project).levels == 3
    small = whole(project, 2)
    assert small.shape == (325, 175, 3)
    expected = smooth.reshape(325, 4, 175, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - expected).mean() < 2  # JPEG


@pytest.mark.parametrize("place", [(0, 1, 0), (1, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, 10**9), (99, 0, 0)])
def test_what_is_not_there_has_no_tile(project: Project, place: tuple[int, int, int]) -> None:
    project.add_image(encode_png(picture(30, 30)), filename="a.png")
    assert read_tile(look(project), *place) is None


# -------------------------------------------------------------------------------------------------------- in memory


def test_threads_that_ask_at_once_decode_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_image(encode_png(picture(600, 600)), filename="a.png")
    reads: list[Path] = []

    def read(path: Path, **options: Any) -> RGB:
        reads.append(path)
        return read_image(path, **options)

    monkeypatch.setattr(decoded, "read_image", read)
    cache, seen, found = DecodedPictures(limit=1), look(project), []
    threads = [threading.Thread(target=lambda k=k: found.append(cache.level(seen, k % 2).shape)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
    assert sorted(found) == [(300, 300, 3)] * 4 + [(600, 600, 3)] * 4


def test_what_is_kept_has_a_limit(project: Project) -> None:
    for name in "abcd":
        project.add_image(encode_png(picture(100, 100 + ord(name))), filename=f"{name}.png")
    cache = DecodedPictures(limit=150_000)
    for name in "abcd":
        cache.level(look(project, name), 1)
        assert cache.size <= 150_000
    assert cache.size > 75_000


def test_many_threads_and_little_room(project: Project) -> None:
    for name in "abc":
        project.add_image(encode_png(picture(200, 100 + ord(name))), filename=f"{name}.png")
    cache, seen, problems = DecodedPictures(limit=100_000), [look(project, name) for name in "abc"], []

    def ask(first: int) -> None:
        try:
            for i in range(60):
                one = seen[(first + i) % 3]
                assert cache.level(one, i % 4).shape[0] == -(-200 // 2 ** (i % 4))
        except Exception as error:  # a thread's own would be lost
            problems.append(error)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_a_damaged_picture_is_said_and_forgotten(project: Project) -> None:
    project.add_image(encode_png(picture(300, 300)), filename="a.png")
    image = project.sample("a").image
    write_bytes(image, image.read_bytes()[:5000])
    cache = DecodedPictures()
    with pytest.raises(ReadError, match=r"a\.png"):
        cache.level(look(project), 0)
    write_bytes(image, encode_png(picture(310, 300)))
    assert cache.level(look(project), 0).shape == (310, 300, 3)


# ---------------------------------------------------------------------------------------------------------- on disk


@pytest.fixture
def large(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A Project for which a picture of 1,200 x 1,100 is a large one."""
    monkeypatch.setattr(shown, "LARGE", 1000)
    project.add_image(encode_png(picture(1200, 1100)), filename="a.png")
    return project


class Child:
    """Stands for the process that builds: it only lives, until it is `ended`."""

    begun: list["Child"]
    pid = os.getpid()

    def __init__(self, command: list[str], **_: Any) -> None:
        self.begun.append(self)
        self.lives = True

    def wait(self) -> int:
        return 0


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    Child.begun = []
    monkeypatch.setattr(pyramid.subprocess, "Popen", Child)
    monkeypatch.setattr(pyramid, "_lives", lambda builder: "pid" in builder and Child.begun[-1].lives)
    return Child.begun


def test_what_is_too_large_to_be_decoded_is_cut_in_parts(large: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = large.read_image("a")
    monkeypatch.setattr(pyramid, "MAX_PIXELS", 1000)
    monkeypatch.setattr(pyramid, "read_image", None)
    build(large)
    np.testing.assert_array_equal(whole(large), expected)


def test_a_child_process_cuts_it(large: Project) -> None:
    assert not opened(large).ready
    ends = time.monotonic() + PATIENCE
    while not opened(large).ready:
        assert time.monotonic() < ends
        time.sleep(0.1)  # another process works
    np.testing.assert_array_equal(whole(large), large.read_image("a"))


def test_a_child_that_is_killed_is_seen_to_be_gone(large: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []

    def begin_and_kill(*arguments: Any, **options: Any) -> Any:
        child = real(*arguments, **options)
        os.kill(child.pid, signal.SIGKILL)
        killed.append(child.pid)
        return child

    real = pyramid.subprocess.Popen
    with monkeypatch.context() as patch:
        patch.setattr(pyramid.subprocess, "Popen", begin_and_kill)
        opened(large)
    ends = time.monotonic() + PATIENCE
    while not opened(large).ready:  # begins the second
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert len(killed) == 1


def test_many_that_ask_begin_one_build(large: Project, children: list[Child]) -> None:
    threads = [threading.Thread(target=opened, args=(large,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(children) == 1


def test_a_build_that_takes_long_without_a_word_is_not_begun_again(
    large: Project, children: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(large)
    later = time.time() + 3600
    monkeypatch.setattr(pyramid.time, "time", lambda: later)
    assert not opened(large).ready
    assert len(children) == 1


def test_builds_that_are_killed_again_and_again_are_given_up(
    large: Project, children: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 4):
        opened(large)
        assert len(children) == number
        children[-1].lives = False
    for _ in range(2):
        with pytest.raises(ReadError, match="ended 3 times"):
            opened(large)
    assert len(children) == 3
    later = time.time() + 3600
    monkeypatch.setattr(pyramid.time, "time", lambda: later)
    assert not opened(large).ready
    assert len(children) == 4


def test_what_cannot_be_read_is_said_and_not_tried_at_once_again(large: Project, children: list[Child]) -> None:
    image = large.sample("a").image
    image.write_bytes(image.read_bytes()[:5000])
    opened(large)
    build(large)
    children[-1].lives = False
    for _ in range(2):
        with pytest.raises(ReadError, match=r"a\.png"):
            opened(large)
    assert len(children) == 1
    assert not list(look(large).tiles.glob("*/*.png"))


def test_too_little_memory_is_said(large: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 1000

    monkeypatch.setattr(pyramid.psutil, "virtual_memory", Memory)
    build(large)
    with pytest.raises(ReadError, match=r"a\.png takes 0\.4 GB of memory; 0\.0 GB are free"):
        opened(large)


def test_a_cache_of_which_a_part_is_gone_is_made_anew(large: Project, children: list[Child]) -> None:
    build(large)
    assert opened(large).ready
    seen = look(large)
    seen.tile_path(0, 1, 1).unlink()
    assert read_tile(seen, 0, 1, 1) is None
    assert not opened(large).ready
    assert len(children) == 1


@pytest.mark.parametrize("told", [b"", b"[]", b'{"done": "much"}', b"\xff"])
def test_a_damaged_cache_is_made_anew(large: Project, children: list[Child], told: bytes) -> None:
    build(large)
    for name in ("progress.json", "builder.json"):
        (look(large).tiles / name).write_bytes(told)
    assert not opened(large).ready
    assert len(children) == 1


def test_tiles_of_the_picture_as_it_was_go(large: Project) -> None:
    large.add_image(encode_png(picture(40, 50)), filename="a-b.png")
    build(large)
    build(large, "a-b")
    before = look(large).tiles
    write_bytes(large.sample("a").image, encode_png(picture(700, 600)))
    build(large)
    assert sorted((large.folder / "cache" / "tiles").iterdir()) == sorted((look(large).tiles, look(large, "a-b").tiles))
    assert not before.exists()


def test_names_that_look_alike_as_files_are_kept_apart() -> None:
    names = ["a", "a?", "a:", "a_", "x" * 150, "x" * 151, "..", "größe 1", "con"]
    assert len({file_name(name) for name in names}) == len(names)
    assert all("/" not in file_name(name) and not file_name(name).startswith("..") for name in names)
    assert TILE == 512
