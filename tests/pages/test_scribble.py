"""A canvas drawing lands on the picture where the person drew it, at each scale.

The drawings are what Fabric 7.4 wrote in Chromium, shortened to what is read.
"""

from typing import Any

import numpy as np
import pytest

from core.annotation.labels import LabelSet
from pages.ui.scribble import View, Zoom, picture_of, stroke_color, to_strokes, view_of

LABELS = LabelSet.of([f"label {i}" for i in range(1, 250)])
PLAIN = View(0, 0, 100, 200, 100, 200)

# five mouse points, (100, 100) (150, 120) (200, 180) (250, 180) (300, 90), drawn at a canvas of 760 x 507
DRAWN: dict[str, Any] = {
    "type": "Path",
    "originX": "center",
    "originY": "center",
    "left": 200,
    "top": 130.4456,
    "width": 200.034,
    "height": 80.9252,
    "stroke": "rgba(0,158,115,0.5503)",
    "strokeWidth": 17,
    "scaleX": 1,
    "scaleY": 1,
    "angle": 0,
    "flipX": False,
    "flipY": False,
    "skewX": 0,
    "skewY": 0,
    "path": [
        ["M", 99.983, 99.983],
        ["Q", 100, 100, 125, 110],
        ["Q", 150, 120, 175, 150],
        ["Q", 200, 180, 250, 135],
        ["L", 300.017, 89.983],
    ],
}


def line(start: tuple[float, float], end: tuple[float, float], **changes: Any) -> dict[str, Any]:
    """A straight stroke as Fabric writes it."""
    middle = {"left": (start[0] + end[0]) / 2, "top": (start[1] + end[1]) / 2}
    return {**DRAWN, **middle, "path": [["M", *start], ["L", *end]], **changes}


def points(item: dict[str, Any], view: View = PLAIN) -> np.ndarray:
    (stroke,) = to_strokes({"objects": [item]}, view)
    return np.array(stroke.points_xy)


def test_a_stroke_begins_and_ends_where_the_mouse_did() -> None:
    drawn = points(DRAWN)
    assert drawn[0] == pytest.approx((100, 100), abs=0.05)
    assert drawn[-1] == pytest.approx((300, 90), abs=0.05)


def test_a_curve_is_followed_to_a_fraction_of_a_pixel() -> None:
    drawn = points(DRAWN)
    on_curve = 0.25 * np.array((125, 110)) + 0.5 * np.array((150, 120)) + 0.25 * np.array((175, 150))
    assert np.linalg.norm(drawn - on_curve, axis=1).min() < 2  # a corner of the line near the middle of that curve
    steps = np.linalg.norm(np.diff(drawn, axis=0), axis=1)
    assert steps.max() < 70  # the one straight part is 67 long


@pytest.mark.parametrize("scale", [0.125, 0.7, 1, 3, 8.5])
def test_canvas_pixels_become_picture_pixels(scale: float) -> None:
    view = View(40, 30, round(500 * scale), round(700 * scale), 500, 700)
    (stroke,) = to_strokes({"objects": [line((10, 20), (110, 220))]}, view)
    expected = [(30 + x * view.scale_x, 40 + y * view.scale_y) for x, y in ((10, 20), (110, 220))]
    assert np.array(stroke.points_xy) == pytest.approx(np.array(expected))
    assert stroke.width == pytest.approx(17 * (view.scale_x + view.scale_y) / 2)


def test_a_click_is_a_dot() -> None:
    dot = points(line((399.983, 100), (400.017, 100)))
    assert dot == pytest.approx(np.array([(400, 100), (400, 100)]), abs=0.02)


def test_a_stroke_that_was_dragged_moves_by_as_much() -> None:
    dragged = {**DRAWN, "left": DRAWN["left"] + 40, "top": DRAWN["top"] + 0.25}
    assert points(dragged) == pytest.approx(points(DRAWN) + np.array((40, 0.25)))


def test_a_stroke_that_was_made_larger_grows_around_its_middle() -> None:
    larger = line((10, 20), (30, 20), scaleX=2, scaleY=2)
    assert points(larger) == pytest.approx(np.array([(0, 20), (40, 20)]))
    (stroke,) = to_strokes({"objects": [larger]}, PLAIN)
    assert stroke.width == pytest.approx(34)


def test_a_stroke_that_was_turned_is_turned_clockwise() -> None:
    assert points(line((10, 20), (30, 20), angle=90)) == pytest.approx(np.array([(20, 10), (20, 30)]))


def test_a_stroke_that_was_mirrored_changes_sides() -> None:
    assert points(line((10, 20), (30, 40), flipX=True)) == pytest.approx(np.array([(30, 20), (10, 40)]))


def test_a_stroke_that_was_leant_is_leant() -> None:
    assert points(line((10, 20), (10, 40), skewX=45)) == pytest.approx(np.array([(0, 20), (20, 40)]))


@pytest.mark.parametrize("class_id", [0, 1, 2, 17, 249, 255])
def test_the_class_travels_in_the_colour(class_id: int) -> None:
    color = stroke_color(LABELS, class_id)
    (stroke,) = to_strokes({"objects": [{**DRAWN, "stroke": color}]}, PLAIN)
    assert stroke.class_id == class_id


@pytest.mark.parametrize(
    "item",
    [
        {**DRAWN, "type": "Rect"},
        {**DRAWN, "stroke": "black"},
        {**DRAWN, "stroke": None},
        {**DRAWN, "stroke": "rgba(0,0,0,1)"},
        {**DRAWN, "path": []},
        {**DRAWN, "path": [["M", 1, 1]]},
    ],
)
def test_what_is_no_stroke_of_ours_is_left_out(item: dict[str, Any]) -> None:
    assert to_strokes({"objects": [item]}, PLAIN) == []


@pytest.mark.parametrize("drawing", [None, {}, {"objects": None}])
def test_an_empty_canvas_has_no_strokes(drawing: dict[str, Any] | None) -> None:
    assert to_strokes(drawing, PLAIN) == []


@pytest.mark.parametrize("zoom", [Zoom(), Zoom(2), Zoom(8, 0, 0), Zoom(8, 1, 1), Zoom(3, 0.2, 0.9)])
@pytest.mark.parametrize("size", [(4000, 6000), (64, 64), (1, 1), (30, 2000)])
def test_a_view_lies_in_the_picture_and_fits_the_canvas(zoom: Zoom, size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    view = view_of(image, zoom, canvas_width=700, canvas_height=540)
    assert 0 <= view.top <= view.top + view.height <= size[0]
    assert 0 <= view.left <= view.left + view.width <= size[1]
    assert 1 <= view.canvas_width <= 700
    assert 1 <= view.canvas_height <= 540
    assert picture_of(image, view).startswith(b"\xff\xd8")
