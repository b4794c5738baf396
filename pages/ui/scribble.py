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
from numpy.typing import NDArray

from core.annotation.edit import Stroke
from core.annotation.labels import LabelSet
from core.annotation.overlay import colors
from core.images import RGB, encode_jpeg

Point = tuple[float, float]
Curves = NDArray[np.float64]  # (N, 3, 2): start, control point and end of N quadratic curves, in canvas pixels

ERASER: Final = 0  # the class id that an eraser paints
_OPACITY: Final = 0.55
_ID_STEP: Final = 0.0001
_CURVE_ERROR: Final = 0.1  # canvas pixels that a straight piece may lie beside its curve


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


def scribble(background: bytes, view: View, labels: LabelSet, *, key: str, class_id: int, brush: float) -> list[Stroke]:
    """Show a canvas over `background` and return what was drawn on it so far, in picture coordinates.

    background: a JPEG of the part that `view` names (`picture_of`); the strokes stay when it changes.  class_id: what
    the next stroke paints; 0 erases.  brush: its diameter in picture pixels, at least one canvas pixel.  key: names
    the canvas; another key is an empty one, so it must change with picture, view and saved version.
    """
    from streamlit_drawable_canvas import st_canvas

    result = st_canvas(
        stroke_width=max(1.0, round(2 * brush / (view.scale_x + view.scale_y), 2)),
        stroke_color=stroke_color(labels, class_id),
        background_image=background,
        height=view.canvas_height,
        width=view.canvas_width,
        drawing_mode="freedraw",
        key=key,
    )
    return to_strokes(result.json_data, view)


def stroke_color(labels: LabelSet, class_id: int) -> str:
    """The colour of a stroke: that of its label, white for the eraser; its class id in the last digits."""
    red, green, blue = (255, 255, 255) if class_id == ERASER else colors(labels)[class_id].tolist()
    return f"rgba({red},{green},{blue},{_OPACITY + class_id * _ID_STEP:.4f})"


def to_strokes(drawing: Mapping[str, Any] | None, view: View) -> list[Stroke]:
    """The Strokes of a canvas drawing (Fabric's JSON), in picture coordinates; other objects are left out."""
    objects: Sequence[Mapping[str, Any]] = (drawing or {}).get("objects") or ()
    strokes = []
    for item in objects:
        class_id = _class_of(item.get("stroke"))
        if item.get("type") != "Path" or class_id is None:
            continue
        curves = _curves(item.get("path") or ())
        if len(curves):
            turn = _turn(item)
            points = _placed(item, turn, curves) * (view.scale_x, view.scale_y) + (view.left, view.top)
            in_picture = tuple((x, y) for x, y in points.tolist())
            growth = math.sqrt(abs(np.linalg.det(turn)))  # a stroke that was made larger is thicker, too
            width = float(item.get("strokeWidth", 1)) * growth * (view.scale_x + view.scale_y) / 2
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


def _curves(path: Sequence[Sequence[Any]]) -> Curves:
    """An SVG path of moves, lines and quadratic curves, which is what a free drawing consists of.

    A line is a curve whose control point lies on it.
    """
    curves: list[tuple[Point, Point, Point]] = []
    at: Point | None = None
    for command, *numbers in path:
        values = [float(number) for number in numbers]
        if command == "M" and len(values) == 2:
            at = (values[0], values[1])
        elif command == "L" and len(values) == 2 and at is not None:
            end = (values[0], values[1])
            curves.append((at, ((at[0] + end[0]) / 2, (at[1] + end[1]) / 2), end))
            at = end
        elif command == "Q" and len(values) == 4 and at is not None:
            curves.append((at, (values[0], values[1]), (values[2], values[3])))
            at = curves[-1][2]
    return np.array(curves, dtype=np.float64).reshape(-1, 3, 2)


def _corners(curves: Curves) -> NDArray[np.float64]:
    """The curves as one line of short straight parts, (N, 2)."""
    bend = np.linalg.norm(curves[:, 0] - 2 * curves[:, 1] + curves[:, 2], axis=1)
    parts = np.maximum(1, np.ceil(np.sqrt(bend / (4 * _CURVE_ERROR)))).astype(int)  # of each curve
    which = np.repeat(np.arange(len(curves)), parts)
    step = np.arange(len(which)) - np.repeat(np.cumsum(parts) - parts, parts) + 1
    t = (step / parts[which])[:, None]
    start, control, end = curves[which].swapaxes(0, 1)
    along = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t * t * end
    return np.concatenate([curves[:1, 0], along])


def _placed(item: Mapping[str, Any], turn: NDArray[np.float64], curves: Curves) -> NDArray[np.float64]:
    """The path on the canvas, (N, 2), also where the person dragged, scaled or turned it.

    Fabric keeps a path as it was drawn and changes its placement: the middle of its box lies at (left, top).
    """
    center = float(item.get("left", 0)), float(item.get("top", 0))
    return np.asarray((_corners(curves) - _middle(curves)) @ turn.T + center)


def _turn(item: Mapping[str, Any]) -> NDArray[np.float64]:
    """Rotation, scale, mirror and lean of an object, (2, 2), in the order in which Fabric applies them."""
    angle, lean_x, lean_y = (math.radians(float(item.get(name, 0))) for name in ("angle", "skewX", "skewY"))
    scale_x = float(item.get("scaleX", 1)) * (-1 if item.get("flipX") else 1)
    scale_y = float(item.get("scaleY", 1)) * (-1 if item.get("flipY") else 1)
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, -sin], [sin, cos]])
    lean = np.array([[1, math.tan(lean_x)], [0, 1]]) @ np.array([[1, 0], [math.tan(lean_y), 1]])
    return np.asarray(rotation @ np.diag([scale_x, scale_y]) @ lean)


def _middle(curves: Curves) -> NDArray[np.float64]:
    """The middle of the box that Fabric puts around a path.

    That box is not the tight one: Fabric measures a quadratic curve as the cubic one that has its control point twice.
    """
    start, control, end = curves.swapaxes(0, 1)
    reached = [start, end]
    with np.errstate(divide="ignore", invalid="ignore"):
        # the slope along an axis is 3 (a t^2 + 2 b t - b)
        a, b = end - start, start - control
        root = np.sqrt(b * b + a * b)
        for t in ((-b + root) / a, (-b - root) / a, np.where(a == 0, 0.5, np.nan)):
            turns = (t > 0) & (t < 1)
            t = np.where(turns, t, 0)
            reached.append((1 - t) ** 3 * start + 3 * (1 - t) * t * control + t**3 * end)
    points = np.concatenate(reached)
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)
