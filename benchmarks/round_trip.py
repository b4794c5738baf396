"""What each format holds: labels are exported, read again and compared pixel for pixel.

    python -m benchmarks.round_trip [--sets DIR]

First one picture with every kind of Shape, holes, overlaps, groups, notes and pixels that are not labelled; then whole
data sets of ../shared/data, each exported without its pictures.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks._sets import data_folder
from core.annotation.labels import IGNORE, LabelSet
from core.annotation.shapes import (
    Annotation,
    Circle,
    Line,
    LineStrip,
    MaskShape,
    OrientedRectangle,
    Point,
    Points,
    Polygon,
    Rectangle,
)
from core.formats import FORMATS
from core.formats.source import open_source
from core.images import ImageSize, encode_png
from core.project.exporting import export_labels, floored
from core.project.importing import import_source
from core.project.project import Project

_SETS: Final = ("buildings_oam", "labelme_fruits", "nuclei_dsb2018", "isbi2012_membrane", "retina_drive")
_WRITTEN: Final = [name for name, format in FORMATS.items() if format.write]


def main() -> None:
    parser = argparse.ArgumentParser(description="Labels out and in again, in every format.")
    parser.add_argument("--sets", type=Path, default=None, help="folder of data sets")
    sets = parser.parse_args().sets or data_folder()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        project = _everything(home / "everything")
        print("| format | pixel IoU | what it could not hold |\n|---|---|---|")
        for format in _WRITTEN:
            report = export_labels(project, format, home / "out.zip", with_pictures=False).to_json()
            print(f"| {FORMATS[format].title} | {floored(report['pixel_iou'])} | {' '.join(report['losses'])} |")
        print(f"\n| set | pictures | shapes | {' | '.join(FORMATS[f].title for f in _WRITTEN)} |")
        print("|---" * (3 + len(_WRITTEN)) + "|")
        for name in _SETS:
            if (sets / name).is_dir():
                _whole_set(sets / name, home)


def _whole_set(source: Path, home: Path) -> None:
    project = Project.create(home / source.name, name=source.name)
    import_source(project, open_source(source))
    cells, pictures, shapes = [], 0, 0
    for format in _WRITTEN:
        started = time.perf_counter()
        report = export_labels(project, format, home / "out.zip", with_pictures=False)
        pictures, shapes = report.pictures, report.shapes
        cells.append(f"{floored(report.pixel_iou)} ({time.perf_counter() - started:.1f} s)")
    print(f"| {source.name} | {pictures} | {shapes:,} | {' | '.join(cells)} |", flush=True)


def _everything(folder: Path) -> Project:
    size = ImageSize(120, 160)
    project = Project.create(folder, name="Everything", labels=LabelSet.of(["car", "tree", "road"]))
    region = np.ones((40, 40), dtype=bool)
    region[10:30, 10:30] = False
    shapes = (
        Rectangle(label="road", points_xy=((0, 0), (150, 110))),
        Polygon(label="car", points_xy=((10, 10), (60.5, 18.25), (44, 54), (16, 40)), flags={"wet": True}),
        Circle(label="tree", points_xy=((40, 80), (55, 80)), description="an oak"),
        OrientedRectangle(label="car", points_xy=((80, 10), (110, 20), (104, 38), (74, 28)), group_id=1),
        Point(label="tree", points_xy=((140, 20),)),
        Points(label="tree", points_xy=((120, 110), (150, 104))),
        Line(label="road", points_xy=((6, 60), (40, 66))),
        LineStrip(label="tree", points_xy=((60, 100), (80, 90), (90, 110))),
        MaskShape(label="car", points_xy=((100, 60), (139, 99)), region=region, group_id=1),
        Rectangle(label=IGNORE, points_xy=((4, 100), (30, 116))),
    )
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    project.add_image(encode_png(pixels), filename="scene.png")
    project.save_annotation("scene", Annotation(size=size, shapes=shapes, flags={"checked": True}), author="bench")
    return project


if __name__ == "__main__":
    main()
