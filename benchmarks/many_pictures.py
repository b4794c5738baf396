"""A Project of many pictures: seconds to know all about it, and the memory that takes.

    python -m benchmarks.many_pictures [--pictures 5000]

The index is made anew once (as after a copy from another machine), then read as each opening of a page does.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, Polygon
from core.formats.labelme import write_labelme
from core.images import ImageSize, encode_png
from core.project.index import Index
from core.project.project import Project
from core.project.report import make_report
from core.project.split import ensure_split, read_split

_SIDE = 256
_ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to open a project of many pictures.")
    parser.add_argument("--pictures", type=int, default=5000)
    count = parser.parse_args().pictures
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "many", count)
        before = psutil.Process().memory_info().rss
        cold = _seconds(lambda: Index(project).refresh())
        ensure_split(project, [row.name for row in Index(project).rows() if row.state == "done"])
        warm = [_seconds(lambda: open_project(project.folder)) for _ in range(_ROUNDS)]
        grown = psutil.Process().memory_info().rss - before
    print(f"{count} pictures of {_SIDE} x {_SIDE}, two thirds annotated")
    print("| what | seconds |")
    print("|---|---|")
    print(f"| index made anew | {cold:.2f} |")
    print(f"| index, split and report read (median of {_ROUNDS}) | {statistics.median(warm):.2f} |")
    print(f"\nmemory grew by {grown / 2**20:.0f} MB; the pixels are {count * _SIDE**2 * 3 / 2**20:.0f} MB")


def make_project(folder: Path, count: int) -> Project:
    """A Project of `count` pictures of noise, written straight to its folder."""
    project = Project.create(folder, name="many", labels=LabelSet.of(["a", "b"]))
    size = ImageSize(_SIDE, _SIDE)
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    for i in range(count):
        pixels[0, 0] = i % 251, i // 251, 0  # so that no two are the same
        (project.images / f"s{i}.png").write_bytes(encode_png(pixels))
        if i % 3:
            points = ((k * 20.0, k * 12.0) for k in range(6))
            shapes = tuple(
                Polygon(label="ab"[k % 2], points_xy=((x, y), (x + 36, y), (x, y + 36)))
                for k, (x, y) in enumerate(points)
            )
            data = write_labelme(Annotation(size=size, shapes=shapes), image_path=f"../images/s{i}.png")
            (project.annotations / f"s{i}.json").write_bytes(data)
    return project


def open_project(folder: Path) -> None:
    """What each opening of the Data set page asks of core."""
    project = Project.open(folder)
    index = Index(project)
    index.refresh()
    make_report(index.rows(), read_split(folder), project.settings.labels)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
