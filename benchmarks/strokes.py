"""A stroke in the editor, from the request to the answer, when it is on the disk: milliseconds on the server's side.

    python -m benchmarks.strokes [--strokes 100] [--folder DIR]

Two documents: 300 polygons of 60 points on 2000 x 2000 pixels, of which one vertex is moved; one mask shape on 4000 x
4000 pixels of which half is drawn, in which a disc is painted. All goes through the app's own routes, in this process,
without a network between. `--folder`: where the Project is made, to measure another disk.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from starlette.applications import Starlette
from starlette.types import Message

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, MaskShape, Polygon
from core.formats.rle import encode_runs
from core.images import ImageSize, encode_png
from core.project.document import OPEN
from core.project.project import Project
from core.serving.routes import ROUTES

_POLYGONS, _POINTS = 300, 60
_RADIUS = 30
_APP = Starlette(routes=list(ROUTES))


def main() -> None:
    parser = argparse.ArgumentParser(description="Time from a stroke to its answer, on the server's side.")
    parser.add_argument("--strokes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as home:
        os.environ["MASKLOOP_HOME"] = home
        project = Project.create(Path(home) / "bench", name="bench", labels=LabelSet.of(["thing"]))
        _add(project, "polygons", ImageSize(2000, 2000), _polygons())
        _add(project, "mask", ImageSize(4000, 4000), (_speckled(ImageSize(4000, 4000)),))
        time.sleep(2.1)  # a folder that has just changed is listed anew each time
        print("| milliseconds | median | 95 % | first |")
        print("|---|---|---|---|")
        asyncio.run(_measure("polygons", args.strokes))
        asyncio.run(_measure("mask", args.strokes))


async def _measure(sample: str, strokes: int) -> None:
    generator = np.random.default_rng(1)
    cold, document = await _ask(sample, "document")
    warm = [(await _ask(sample, "document"))[0] for _ in range(5)]
    version = document["version"]
    changes, undos = [], []
    for i in range(strokes):
        edit = _moved(document, i) if sample == "polygons" else _disc(generator)
        body = {"base_version": version, "author": "bench", "what": "Stroke", "edits": [edit]}
        seconds, answer = await _ask(sample, "changes", body)
        changes.append(seconds)
        version = answer["version"]
    for _ in range(strokes):
        seconds, answer = await _ask(sample, "undo", {"base_version": version, "author": "bench"})
        undos.append(seconds)
        version = answer["version"]
    OPEN.clear()
    again, _ = await _ask(sample, "document")
    for name, seconds_of in (("opened", [cold, *warm]), ("change", changes), ("undo", undos)):
        _print(f"{sample}: {name}", seconds_of)
    print(f"| {sample}: opened with {version} events in the log | {again * 1e3:.0f} | | |")


def _print(name: str, seconds: list[float]) -> None:
    ms = [x * 1e3 for x in seconds]
    late = sorted(ms)[min(len(ms) - 1, int(len(ms) * 0.95))]
    print(f"| {name} | {statistics.median(ms):.1f} | {late:.1f} | {ms[0]:.1f} |")


async def _ask(sample: str, what: str, body: object = None) -> tuple[float, Any]:
    """Seconds and the JSON answered."""
    path = f"/api/projects/bench/samples/{sample}/{what}"
    scope = {"type": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}
    scope |= {"method": "GET" if body is None else "POST", "scheme": "http", "root_path": ""}
    data = b"" if body is None else json.dumps(body).encode()
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": data}

    async def send(message: Message) -> None:
        sent.append(message)

    started = time.perf_counter()
    await _APP(scope, receive, send)
    seconds = time.perf_counter() - started
    answer = json.loads(b"".join(message.get("body", b"") for message in sent))
    if sent[0]["status"] != 200:
        raise SystemExit(f"{path}: {answer}")
    return seconds, answer


def _moved(document: dict[str, Any], i: int) -> dict[str, Any]:
    """One vertex of a polygon moved."""
    at = i * 7 % _POLYGONS
    shape = document["shapes"][at]
    shape["points"][i % _POINTS][0] += 1.25
    return {"kind": "splice", "at": at, "remove": 1, "add": [shape]}


def _disc(generator: np.random.Generator) -> dict[str, Any]:
    """A round brush of grain set down somewhere, so that each one changes pixels."""
    side = 2 * _RADIUS + 1
    ys, xs = np.mgrid[:side, :side] - _RADIUS
    region = (xs * xs + ys * ys <= _RADIUS * _RADIUS) & (generator.random((side, side)) < 0.5)
    left, top = (int(x) for x in generator.integers(0, 4000 - side, 2))
    return {"kind": "paint", "at": 0, "box": [left, top, side, side], "rle": encode_runs(region)}


def _polygons() -> tuple[Polygon, ...]:
    generator = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    found = []
    for x, y in generator.uniform(100, 1900, (_POLYGONS, 2)):
        radii = generator.uniform(50, 80, _POINTS)
        points = zip((x + radii * np.cos(angles)).tolist(), (y + radii * np.sin(angles)).tolist(), strict=True)
        found.append(Polygon(label="thing", points_xy=tuple(points)))
    return tuple(found)


def _speckled(size: ImageSize) -> MaskShape:
    """Blobs of some 50 pixels all over the picture."""
    coarse = np.random.default_rng(0).random((size.height // 32, size.width // 32)).astype(np.float32)
    smooth = cv2.GaussianBlur(cv2.resize(coarse, (size.width, size.height)), (0, 0), 8)
    region = smooth > np.median(smooth)
    region[[0, -1]] = region[:, [0, -1]] = True  # so that its box is the whole picture
    corners = ((0.0, 0.0), (size.width - 1.0, size.height - 1.0))
    return MaskShape(label="thing", points_xy=corners, region=region)


def _add(project: Project, name: str, size: ImageSize, shapes: tuple[Polygon, ...] | tuple[MaskShape, ...]) -> None:
    picture = np.full((*size, 3), 90, dtype=np.uint8)
    project.add_image(encode_png(picture), filename=f"{name}.png")
    annotation = Annotation(size=size, shapes=shapes)
    project.save_annotation(name, annotation, author="import", state="doing", source="import")


if __name__ == "__main__":
    main()
