"""The editor's masks (pages/ui/editor/bitmap.js) against numpy, in a real browser."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from core.annotation.edit import Stroke, stroke_region
from core.annotation.shapes import Region
from core.images import ImageSize
from pages.ui.editor.surface import ROUTES

pytestmark = pytest.mark.browser
SIZE = ImageSize(300, 530)  # tiles are 256 a side: two rows, three columns, the last ones cut
ALL = f"b.runs([0, 0, {SIZE.width}, {SIZE.height}])"


@pytest.fixture(scope="module")
def script(browser: Browser, address: str) -> Iterator[Page]:
    """A page that has the module as `m`; paths remember their lines."""
    page = browser.new_page()
    page.goto(f"{address}/healthz")
    page.evaluate(
        """async (url) => {
          window.m = await import(url);
          window.Path2D = class {
            constructor() { this.lines = []; }
            moveTo(x, y) { this.at = [x, y]; }
            lineTo(x, y) { this.lines.push([...this.at, x, y]); }
          };
        }""",
        f"{address}{ROUTES[0].path}/bitmap.js",  # type: ignore[attr-defined]
    )
    yield page
    page.close()


def blobs(seed: int) -> Region:
    """Discs and holes, some over the borders of tiles and of the picture."""
    rng = np.random.default_rng(seed)
    region = np.zeros(SIZE, dtype=bool)
    ys, xs = np.mgrid[: SIZE.height, : SIZE.width]
    for i in range(12):
        y, x, radius = rng.integers(0, SIZE.height), rng.integers(0, SIZE.width), rng.integers(1, 90)
        region[(ys - y) ** 2 + (xs - x) ** 2 <= radius**2] = i % 3 != 2
    region[rng.random(SIZE) < 0.02] ^= True
    region[256:, 256:512] = seed % 2  # a whole tile's row
    return region


def runs(region: Region) -> list[int]:
    flat = np.concatenate([[False], region.ravel()])
    ends = np.flatnonzero(np.diff(flat.astype(np.int8)))
    return np.diff([0, *ends, region.size]).tolist()


def ask(script: Page, region: Region, code: str) -> Any:
    """What `code` gives, with `b` the Bitmap of `region`."""
    box = [0, 0, SIZE.width, SIZE.height]
    return script.evaluate(
        f"([runs, box]) => {{ const b = m.Bitmap.fromRuns({SIZE.width}, {SIZE.height}, box, runs); {code} }}",
        [runs(region), box],
    )


def decoded(values: list[int]) -> Region:
    pieces = [np.full(length, i % 2 == 1) for i, length in enumerate(values)]
    return np.concatenate(pieces).reshape(SIZE)


@pytest.mark.parametrize("seed", range(4))
def test_runs_come_back_as_they_went_in(script: Page, seed: int) -> None:
    region = blobs(seed)
    answer = ask(script, region, f"return [{ALL}, b.area(), b.bounds()]")
    np.testing.assert_array_equal(decoded(answer[0]), region)
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    assert answer[1:] == [region.sum(), box]


@pytest.mark.parametrize("seed", range(4))
def test_settling_changes_no_pixel(script: Page, seed: int) -> None:
    region = blobs(seed)
    answer = ask(script, region, f"b.settle(); return [{ALL}, b.area()]")
    np.testing.assert_array_equal(decoded(answer[0]), region)
    assert answer[1] == region.sum()


@pytest.mark.parametrize("seed", range(4))
def test_edges_lie_between_pixels_that_differ(script: Page, seed: int) -> None:
    region = blobs(seed)
    lines = ask(
        script,
        region,
        "b.settle(); return [...b._in([0, 0, b.width, b.height])].flatMap(([t, x, y]) => b._edges(t, x, y).lines)",
    )
    padded = np.pad(region, 1)
    level = padded[1:, 1:-1] != padded[:-1, 1:-1]  # (H + 1, W): an edge above the pixel
    upright = padded[1:-1, 1:] != padded[1:-1, :-1]
    drawn_level, drawn_upright = np.zeros(level.shape, int), np.zeros(upright.shape, int)
    for x0, y0, x1, y1 in lines:
        if y0 == y1:
            drawn_level[y0, x0:x1] += 1
        else:
            drawn_upright[y0:y1, x0] += 1
    np.testing.assert_array_equal(drawn_level, level)  # each edge once, and no other
    np.testing.assert_array_equal(drawn_upright, upright)


@pytest.mark.parametrize(
    ("a", "b", "width"),
    [
        ((20, 30), (20, 30), 9),
        ((10.3, 250.7), (300.2, 262.4), 30),
        ((-20, 280), (540, 120), 55),
        ((500, 5), (529, 299), 4),
    ],
)
def test_a_stroke_paints_what_the_brush_covers(
    script: Page, a: tuple[float, float], b: tuple[float, float], width: float
) -> None:
    expected = stroke_region(Stroke((a, b), width, 1), SIZE)
    nothing = np.zeros(SIZE, dtype=bool)
    painted = ask(script, nothing, f"b.stroke({a[0]}, {a[1]}, {b[0]}, {b[1]}, {width}, 1); return {ALL}")
    assert np.count_nonzero(decoded(painted) != expected) <= 2  # a centre at the very edge of the brush
    erased = ask(script, ~nothing, f"b.stroke({a[0]}, {a[1]}, {b[0]}, {b[1]}, {width}, 0); return {ALL}")
    np.testing.assert_array_equal(decoded(erased), ~decoded(painted))


def test_a_thin_stroke_has_no_gaps(script: Page) -> None:
    painted = decoded(ask(script, np.zeros(SIZE, bool), f"b.stroke(3.5, 4.5, 400.5, 90.5, 1, 1); return {ALL}"))
    assert painted[:, 3:401].any(axis=0).all()


def test_a_hole_is_filled_and_open_ground_is_not(script: Page) -> None:
    region = np.zeros(SIZE, dtype=bool)
    region[100:280, 200:400] = True
    region[150:270, 240:300] = False
    box, painted, outside = ask(
        script,
        region,
        f"const outside = b.fillAt(10, 10); const hole = b.fillAt(250, 200); return [hole, {ALL}, outside]",
    )
    assert box == [240, 150, 60, 120]
    assert outside is None
    region[150:270, 240:300] = True
    np.testing.assert_array_equal(decoded(painted), region)


def test_a_mask_is_moved_and_cut_at_the_border(script: Page) -> None:
    region = blobs(3)
    moved = decoded(ask(script, region, "const moved = b.moved(-30, 40); return moved.runs([0, 0, b.width, b.height])"))
    expected = np.zeros_like(region)
    expected[40:, :-30] = region[:-40, 30:]
    np.testing.assert_array_equal(moved, expected)
