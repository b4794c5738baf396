"""Scribbling over a picture with streamlit-drawable-canvas, in exact picture coordinates at every display scale.

The only user of that component. It is given a JPEG that we rendered at display size, and gives back paths in canvas
pixels; they are Strokes in the picture only after `to_strokes`. What a stroke paints travels in the last digits of its
colour's opacity: the component keeps a path's colour to the letter but drops anything else that one adds to it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cv2
import numpy as np

from core.annotation.edit import Stroke
from core.annotation.labels import LabelSet
from core.annotation.shapes import PointsXY
from core.images import RGB, encode_jpeg

ERASER: Final = 0  # the class id that an eraser paints
_OPACITY: Final = 0.55
_ID_STEP: Final = 0.0001
_CURVE_POINTS: Final = 6  # straight pieces for each curve of a path


class View(NamedTuple):
    """The part of a picture that the canvas shows, in picture pixels, and the canvas's size in its own."""

    top: int
    left: int
    height: int
    width: int
    canvas_height: int
    canvas_width: int

    @property
    def scale_x(self) -> float:
        """Picture pixels a canvas pixel."""
        return self.width / self.canvas_width

    @property
    def scale_y(self) -> float:
        return self.height / self.canvas_height


@dataclass(frozen=True)
class Zoom:
    """Which part of the picture is looked at: `factor` 1 is all of it; the centre is a share of height and width."""

    factor: float = 1.0
    center_y: float = 0.5
    center_x: float = 0.5


def view_of(image: RGB, zoom: Zoom, *, canvas_width: int, canvas_height: int) -> View:
    """The View of `image` that fits a canvas of at most that size; aspect kept to the rounding of a canvas pixel."""
    rows, columns = image.shape[:2]
    height, width = (max(1, round(side / zoom.factor)) for side in (rows, columns))
    top = min(max(0, round(zoom.center_y * rows - height / 2)), rows - height)
    left = min(max(0, round(zoom.center_x * columns - width / 2)), columns - width)
    scale = min(canvas_width / width, canvas_height / height)
    return View(top, left, height, width, max(1, round(height * scale)), max(1, round(width * scale)))


def picture_of(image: RGB, view: View) -> bytes:
    """JPEG of the part that `view` shows, at the canvas's size: pixels stay squares where it is enlarged."""
    part = image[view.top : view.top + view.height, view.left : view.left + view.width]
    enlarged = view.canvas_width > view.width
    method = cv2.INTER_NEAREST_EXACT if enlarged else cv2.INTER_AREA
    shown = cv2.resize(part, (view.canvas_width, view.canvas_height), interpolation=method)
    return encode_jpeg(np.ascontiguousarray(shown, dtype=np.uint8), quality=90)


def scribble(
    image: RGB | bytes, view: View, labels: LabelSet, *, key: str, class_id: int, brush: float
) -> list[Stroke]:
    """Show the part of `image` that `view` names and return what was drawn on it so far, in picture coordinates.

    image: the whole picture, or a JPEG of that part at the canvas's size, as `picture_of` makes it.
    class_id: what the next stroke paints; 0 erases.  brush: its diameter in picture pixels.  key: names the canvas;
    another key is an empty one, so it must change with picture, view and saved version.
    """
    from streamlit_drawable_canvas import st_canvas

    result = st_canvas(
        stroke_width=max(1, round(brush / view.scale_x)),
        stroke_color=stroke_color(labels, class_id),
        background_image=image if isinstance(image, bytes) else picture_of(image, view),
        height=view.canvas_height,
        width=view.canvas_width,
        drawing_mode="freedraw",
        key=key,
    )
    return to_strokes(result.json_data, view)


def stroke_color(labels: LabelSet, class_id: int) -> str:
    """The colour of a stroke: that of its label, white for the eraser; its class id in the last digits."""
    red, green, blue = labels.labels[class_id].color if class_id != ERASER else (255, 255, 255)
    return f"rgba({red},{green},{blue},{_OPACITY + class_id * _ID_STEP:.4f})"


def to_strokes(drawing: Mapping[str, Any] | None, view: View) -> list[Stroke]:
    """The Strokes of a canvas drawing (Fabric's JSON), in picture coordinates; other objects are left out."""
    objects: Sequence[Mapping[str, Any]] = (drawing or {}).get("objects") or ()
    strokes = []
    for item in objects:
        class_id = _class_of(item.get("stroke"))
        if item.get("type") != "Path" or class_id is None:
            continue
        points = _moved(item, _points(item.get("path") or ()))
        if points:
            in_picture = tuple((view.left + x * view.scale_x, view.top + y * view.scale_y) for x, y in points)
            width = float(item.get("strokeWidth", 1)) * (view.scale_x + view.scale_y) / 2
            strokes.append(Stroke(in_picture, width, class_id))
    return strokes


def _class_of(color: object) -> int | None:
    """The class id in a colour of `stroke_color`; None for any other."""
    if not isinstance(color, str) or not color.startswith("rgba("):
        return None
    try:
        opacity = float(color.removeprefix("rgba(").removesuffix(")").split(",")[3])
    except (IndexError, ValueError):
        return None
    class_id = round((opacity - _OPACITY) / _ID_STEP)
    return class_id if 0 <= class_id < 256 else None


def _points(path: Sequence[Sequence[Any]]) -> PointsXY:
    """The corners of an SVG path in canvas pixels, curves as short straight pieces."""
    points: list[tuple[float, float]] = []
    for command, *numbers in path:
        values = [float(number) for number in numbers]
        if command in ("M", "L") and len(values) == 2:
            points.append((values[0], values[1]))
        elif command == "Q" and len(values) == 4 and points:
            points += _curve(points[-1], (values[0], values[1]), (values[2], values[3]))
    return tuple(points)


def _curve(
    start: tuple[float, float], control: tuple[float, float], end: tuple[float, float]
) -> list[tuple[float, float]]:
    steps = [i / _CURVE_POINTS for i in range(1, _CURVE_POINTS + 1)]
    return [
        (
            (1 - t) ** 2 * start[0] + 2 * t * (1 - t) * control[0] + t * t * end[0],
            (1 - t) ** 2 * start[1] + 2 * t * (1 - t) * control[1] + t * t * end[1],
        )
        for t in steps
    ]


def _moved(item: Mapping[str, Any], points: PointsXY) -> PointsXY:
    """`points` where the person dragged, scaled or turned them: Fabric keeps the path and changes its placement."""
    if not points:
        return points
    scale_x, scale_y = float(item.get("scaleX", 1)), float(item.get("scaleY", 1))
    angle = math.radians(float(item.get("angle", 0)))
    center = _center(item, scale_x, scale_y, angle)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    at_home = scale_x == scale_y == 1 and angle == 0 and math.dist(center, middle) < 1.0
    if at_home:
        return points  # nothing was moved; the curves' box is only known to a fraction of a pixel
    cos, sin = math.cos(angle), math.sin(angle)
    return tuple(
        (
            center[0] + cos * scale_x * (x - middle[0]) - sin * scale_y * (y - middle[1]),
            center[1] + sin * scale_x * (x - middle[0]) + cos * scale_y * (y - middle[1]),
        )
        for x, y in points
    )


def _center(item: Mapping[str, Any], scale_x: float, scale_y: float, angle: float) -> tuple[float, float]:
    """The middle of an object on the canvas, from its placement."""
    stroke = float(item.get("strokeWidth", 0))
    share = {"left": 0.5, "top": 0.5, "center": 0.0, "right": -0.5, "bottom": -0.5}
    across = share[str(item.get("originX", "left"))] * (float(item.get("width", 0)) + stroke) * scale_x
    down = share[str(item.get("originY", "top"))] * (float(item.get("height", 0)) + stroke) * scale_y
    cos, sin = math.cos(angle), math.sin(angle)
    return (
        float(item.get("left", 0)) + cos * across - sin * down,
        float(item.get("top", 0)) + sin * across + cos * down,
    )
