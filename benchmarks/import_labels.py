"""Labelme files of a whole campaign, from a folder on this machine: seconds to look, to import, to list, and to stop.

    python -m benchmarks.import_labels [--pictures 5000] [--shapes 20] [--folder DIR]

Pictures of 512 x 512 pixels, each with so many polygons of 12 points. The look and the import are those of the app;
`--folder`: where files and Project are made, to measure another disk. The steps are one after another, each once.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.formats.source import open_source
from core.images import RGB, encode_jpeg
from core.project.importing import import_source
from core.project.index import Index
from core.project.preview import preview_source
from core.project.project import Project

_SIDE, _POINTS = 512, 12


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to bring many Labelme files into a project.")
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--shapes", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        files = Path(folder) / "campaign"
        _make_files(files, args.pictures, args.shapes)
        project = Project.create(Path(folder) / "project", name="Campaign")
        print(f"{args.pictures} pictures, {args.pictures * args.shapes} shapes\n| step | seconds |\n|---|---|")
        _row("look", lambda: preview_source(project, open_source(files)))
        _row("import", lambda: import_source(project, open_source(files)))
        _row("list of pictures and checks made", lambda: Index(project).refresh())
        _row("import again, nothing new", lambda: import_source(project, open_source(files)))
        other = Project.create(Path(folder) / "stopped", name="Stopped")
        print(f"| from Stop to its end | {_stop(other, files):.2f} |")


def _row(name: str, work: Callable[[], object]) -> None:
    started = time.perf_counter()
    work()
    print(f"| {name} | {time.perf_counter() - started:.1f} |", flush=True)


def _stop(project: Project, files: Path) -> float:
    """Seconds from asking an import that runs to stop until it has."""
    asked = threading.Event()
    started = 0.0

    def step(done: int, total: int, name: str) -> None:
        nonlocal started
        if done > total // 10 and not asked.is_set():
            asked.set()
            started = time.perf_counter()
        elif asked.is_set():
            raise InterruptedError

    try:
        import_source(project, open_source(files), progress=step)
    except InterruptedError:
        return time.perf_counter() - started
    raise AssertionError("it went on")


def _make_files(folder: Path, pictures: int, shapes: int) -> None:
    """JPEGs with their Labelme files beside them, as Labelme writes them without the picture inside."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    for i in range(pictures):
        coarse: RGB = np.asarray(rng.integers(0, 255, (32, 32, 3)), np.uint8)
        (folder / f"{i:05}.jpg").write_bytes(encode_jpeg(coarse.repeat(_SIDE // 32, 0).repeat(_SIDE // 32, 1)))
        drawn = []
        for _ in range(shapes):
            radii = rng.uniform(8, 30, _POINTS)
            center = rng.uniform(40, _SIDE - 40, 2)
            points = center + np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)
            drawn.append(
                {
                    "label": f"class {rng.integers(5)}",
                    "points": points.tolist(),
                    "group_id": None,
                    "description": "",
                    "shape_type": "polygon",
                    "flags": {},
                    "mask": None,
                }
            )
        file: dict[str, object] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": drawn,
            "imagePath": f"{i:05}.jpg",
            "imageData": None,
            "imageHeight": _SIDE,
            "imageWidth": _SIDE,
        }
        (folder / f"{i:05}.json").write_text(json.dumps(file, indent=2))


if __name__ == "__main__":
    main()
