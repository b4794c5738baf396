"""What a person feels in the editor: opening, dragging, painting, saving; in a Chromium of this machine.

    python -m benchmarks.editor

A 2000x2000 picture with 300 polygons of 60 points, and a 4000x4000 one to paint on. Frame times are the gaps between
animation frames while the mouse moves, so they hold all that the browser does; 16.7 ms is the screen's own pace.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Page

from benchmarks._app import chromium, running_app
from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, Polygon
from core.images import ImageSize, encode_jpeg
from core.project.project import Project

_ROUNDS = 9
_RECORD = """() => { window.gaps = []; let last = performance.now();
  const tick = () => { const now = performance.now(); window.gaps.push(now - last); last = now;
    if (window.gaps) window.recording = requestAnimationFrame(tick); };
  window.recording = requestAnimationFrame(tick); }"""
_STOP = "() => { cancelAnimationFrame(window.recording); return window.gaps.slice(1); }"


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / ".samples-made").touch()
        _make_project(home / "bench")
        with running_app(home) as app, chromium() as browser:
            page = browser.new_page(viewport={"width": 1500, "height": 1000})
            page.goto(f"{app.address}/annotate?project=bench&sample=polygons")
            _ready(page, "polygons")
            print("| what | median | longest | aim, at most |\n|---|---|---|---|")
            _row("open the 2000x2000 picture with 300 polygons, s", _openings(page, "polygons"), "0.7")
            _row("next picture, s", _openings(page, "blank"), "0.4")
            _row("frame while a point is dragged there, ms", _drags(page), "25 (longest)")
            frames, saves = _strokes(page)
            _row("frame while painting on 4000x4000, brush of 120 px, ms", frames, "25")
            _row("stroke finished to saved, ms", saves, "150 (median)")


def _make_project(folder: Path) -> None:
    project = Project.create(folder, name="Bench", preset="satellite", labels=LabelSet.of(["house", "tree"]))
    rng = np.random.default_rng(0)
    for name, side in (("polygons", 2000), ("blank", 2000), ("large", 4000)):
        coarse = rng.integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
        picture = np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        project.add_image(encode_jpeg(picture), filename=f"{name}.jpg")
    shapes = tuple(
        Polygon(label=("house", "tree")[i % 2], points_xy=_flower((i % 18 + 0.7) * 108, (i // 18 + 0.7) * 112, i))
        for i in range(300)
    )
    project.save_annotation("polygons", Annotation(size=ImageSize(2000, 2000), shapes=shapes), author="benchmark")


def _flower(x: float, y: float, phase: float) -> tuple[tuple[float, float], ...]:
    """A round shape of 60 points with five bulges."""
    angles = [2 * math.pi * i / 60 for i in range(60)]
    radii = [40 + 6 * math.sin(5 * angle + phase) for angle in angles]
    return tuple(
        (round(x + r * math.cos(a), 2), round(y + r * math.sin(a), 2)) for a, r in zip(angles, radii, strict=True)
    )


def _openings(page: Page, name: str) -> list[float]:
    """Seconds from asking for the picture to its first full frame with all shapes, ready to draw."""
    seconds = []
    for _ in range(_ROUNDS):
        _open(page, "large")
        _open(page, name)
        seconds.append(int(_editor(page, "e.root.dataset.openedIn")) / 1000)
    return seconds


def _drags(page: Page) -> list[float]:
    _open(page, "polygons")
    page.keyboard.press("v")
    gaps: list[float] = []
    for i in (40, 100, 160):
        x, y = _editor(page, f"e.doc.shapes[{i}].points[0]")
        page.mouse.click(*_on_screen(page, x - 40, y))
        page.mouse.move(*_on_screen(page, x, y))
        page.mouse.down()
        page.mouse.move(*_on_screen(page, x + 20, y), steps=5)
        gaps += _recorded(page, _on_screen(page, x + 150, y + 80))
        page.mouse.up()
        _ready(page, "polygons")
    return gaps


def _strokes(page: Page) -> tuple[list[float], list[float]]:
    """Frame gaps in ms while painting, and the ms from the end of each stroke until the server had it on disk."""
    _open(page, "large")
    page.keyboard.press("b")
    _editor(page, "e.setBrushWidth(120)")
    gaps: list[float] = []
    saves: list[float] = []
    for i in range(_ROUNDS):
        y = 300 + 400 * i
        page.mouse.move(*_on_screen(page, 300, y))
        page.mouse.down()
        gaps += _recorded(page, _on_screen(page, 3700, y + 200))
        page.mouse.up()
        _ready(page, "large")
        saves.append(_editor(page, "e.doc.savedIn"))
    return gaps, saves


def _recorded(page: Page, to: tuple[float, float]) -> list[float]:
    """The gaps between frames in ms while the mouse moves on."""
    page.evaluate(_RECORD)
    page.mouse.move(*to, steps=60)
    gaps: list[float] = page.evaluate(_STOP)
    return gaps


def _open(page: Page, name: str) -> None:
    _editor(page, f"(delete e.root.dataset.openedIn, e.open('{name}'), 0)")
    page.locator(f".maskloop-editor[data-status=saved][data-sample='{name}'][data-opened-in]").wait_for()
    time.sleep(0.3)  # thumbnails and the list shall not be in what is measured next


def _ready(page: Page, name: str) -> None:
    page.locator(f".maskloop-editor[data-status=saved][data-sample='{name}']").wait_for()
    time.sleep(0.2)


def _editor(page: Page, expression: str) -> Any:
    """What `expression` gives, with the editor as `e`."""
    return page.locator(".maskloop-editor").evaluate(
        f"root => {{ const e = root.editor; const value = {expression}; return value ?? null }}"
    )


def _on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    box = page.locator(".maskloop-editor .stage").bounding_box()
    assert box is not None
    left, top = page.locator(".maskloop-editor").evaluate(f"root => root.editor.view.toScreen([{x}, {y}])")
    return box["x"] + left, box["y"] + top


def _row(what: str, values: Sequence[float], aim: str) -> None:
    digits = 2 if statistics.median(values) < 5 else 0
    print(f"| {what} | {statistics.median(values):.{digits}f} | {max(values):.{digits}f} | {aim} |", flush=True)


if __name__ == "__main__":
    main()
