"""One row of a YOLO label file: class id and fractions of the picture's sides, as a Shape, and back (FORMATS 3.5).

Fractions are of pixel corners. Outlines along pixel edges become the very pixels; other outlines stay Polygons.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from core.annotation.fill import follows_pixel_edges, mask_from_rings
from core.annotation.shapes import PointsXY, Polygon, Rectangle, Shape
from core.formats.keyhole import has_bridge, keyhole_of
from core.formats.labelme_shape import BrokenShapeError
from core.formats.note import Note
from core.formats.shape_outline import shape_outlines
from core.images import ImageSize

MAX_CLASS: Final = 1_000_000
_LARGEST: Final = 2.0  # a fraction beyond it is none: the row is in pixels or of another kind
_DECIMALS: Final = 14  # of a polygon's fractions: 1e-10 pixels at a side of 20,000
_OUTLINE_DECIMALS: Final = 10
_WHOLE: Final = 0.05  # pixels: a corner nearer to a whole number than this and its rounding is one
_GRID: Final = 1e-6  # pixels: what a program may have rounded to


class Row(NamedTuple):
    """Numbers of a row.  values: fractions, after the class.  decimals: how many signs after the point they have."""

    class_id: int
    values: tuple[float, ...]
    decimals: int


def parse_row(line: str) -> Row:
    """Take a row apart. Raises BrokenShapeError when it is not a class id and at least four finite numbers."""
    tokens = line.split()
    try:
        numbers = [float(token) for token in tokens]
    except ValueError:
        numbers = []
    if len(numbers) < 5 or not all(map(math.isfinite, numbers)):
        raise BrokenShapeError(
            "a row that is not a class and at least four numbers was left out",
            "# rows that are not a class and at least four numbers were left out",
        )
    if not numbers[0].is_integer() or not 0 <= numbers[0] < MAX_CLASS:
        raise BrokenShapeError(
            f"a row of the class {tokens[0][:20]}, which is no id, was left out",
            "# rows whose class is no id were left out",
        )
    decimals = max(len(token.partition(".")[2]) for token in tokens[1:])
    return Row(int(numbers[0]), tuple(numbers[1:]), decimals)


def read_row(row: Row, label: str, size: ImageSize, *, keypoints: int, notes: list[Note]) -> Shape:
    """The Shape of a row in a picture of `size`.

    keypoints: how many numbers a row has for them, as data.yaml says; 0 when it does not.
    Raises BrokenShapeError when it marks nothing.
    """
    values, is_box = _geometry(row.values, keypoints, notes)
    if max(map(abs, values)) > _LARGEST:
        raise BrokenShapeError(
            "a row whose numbers are not fractions of the picture was left out",
            "# rows whose numbers are not fractions of the picture were left out",
        )
    tolerance = min(_WHOLE, 0.51 * 10.0**-row.decimals * max(size))
    return _box(values, label, size, tolerance, notes) if is_box else _polygon(values, label, size, tolerance, notes)


class Written(NamedTuple):
    """The rows of one Shape.  as_drawn: reading gives the same corners, not the outline of its pixels."""

    lines: list[str]
    as_drawn: bool


def write_rows(shape: Shape, class_id: int, size: ImageSize) -> Written:
    """The rows that hold `shape`: its corners where reading gives them back, else the outline of each of its pieces.

    No row when it marks no pixel of a picture of `size`.
    """
    if isinstance(shape, Polygon):
        line = _line(class_id, shape.points_xy, size, _DECIMALS)
        if _is_kept(shape.points_xy, line, size):
            return Written([line], as_drawn=True)
    rings = (keyhole_of(outline) for outline in shape_outlines(shape, size))
    return Written([_line(class_id, ring, size, _OUTLINE_DECIMALS) for ring in rings], as_drawn=False)


# ---------------------------------------------------------------------------------------------------------- reading


def _geometry(values: tuple[float, ...], keypoints: int, notes: list[Note]) -> tuple[tuple[float, ...], bool]:
    """The numbers of the box or polygon, without those of other meanings, and whether they are a box."""
    count = len(values)
    if count == 4 + keypoints if keypoints else _looks_like_pose(values):
        notes.append(_ignored("the keypoints of a row were left out", "the keypoints of # rows were left out"))
        return values[:4], True
    if count >= 6 and values[-1] >= 2 and values[-1].is_integer() and max(values[:-1]) <= _LARGEST:
        notes.append(_ignored("the track number of a row was left out", "the track numbers of # rows were left out"))
        values = values[:-1]
    if len(values) % 2:
        notes.append(_ignored("the confidence of a row was left out", "the confidences of # rows were left out"))
        values = values[:-1]
    return values, len(values) == 4


def _looks_like_pose(values: tuple[float, ...]) -> bool:
    """A box and triples of x, y and visibility (0, 1, 2), told from a polygon with a confidence by their odd number."""
    return len(values) % 2 == 1 and len(values) >= 7 and (len(values) - 4) % 3 == 0 and set(values[6::3]) <= {0, 1, 2}


def _box(values: Sequence[float], label: str, size: ImageSize, tolerance: float, notes: list[Note]) -> Shape:
    center_x, center_y, width, height = values
    if width <= 0 or height <= 0:
        raise BrokenShapeError("a box without an extent was left out", "# boxes without an extent were left out")
    notes.append(
        Note(
            "assumed",
            "a row holds a box and no outline; it was read as a rectangle",
            "# rows hold a box and no outline; they were read as rectangles",
        )
    )
    left, right = ((center_x + side * width / 2) * size.width for side in (-1, 1))
    top, bottom = ((center_y + side * height / 2) * size.height for side in (-1, 1))
    corners = ((_snapped(left), _snapped(top)), (_snapped(right), _snapped(bottom)))
    _look_outside(corners, size, notes)
    if all(abs(value - round(value)) <= 1.5 * tolerance for corner in corners for value in corner):
        # rectangles here reach over their last pixel
        corners = ((round(left), round(top)), (max(round(right) - 1, round(left)), max(round(bottom) - 1, round(top))))
    return Rectangle(label=label, points_xy=tuple((float(x), float(y)) for x, y in corners))


def _polygon(values: Sequence[float], label: str, size: ImageSize, tolerance: float, notes: list[Note]) -> Shape:
    points = _points(values, size)
    _look_outside(points, size, notes)
    if not follows_pixel_edges([points], tolerance=tolerance) and not has_bridge(points):
        return Polygon(label=label, points_xy=points)
    try:
        shape = mask_from_rings([points], label, size)
    except ValueError as error:
        raise BrokenShapeError(
            f"an outline was left out: {error}", "# outlines that are tangles were left out"
        ) from error
    if shape is None:
        raise BrokenShapeError(
            "an outline marks no pixel and was left out", "# outlines mark no pixel and were left out"
        )
    return shape


def _points(values: Sequence[float], size: ImageSize) -> PointsXY:
    pairs = zip(values[::2], values[1::2], strict=True)
    points = tuple((_snapped(x * size.width), _snapped(y * size.height)) for x, y in pairs)
    return points[:-1] if len(points) > 3 and points[0] == points[-1] else points


def _snapped(value: float) -> float:
    """`value`, or the number of six decimals that it was before a division and a multiplication."""
    near = round(value, 6)
    return near if abs(value - near) < 1e-3 * _GRID else value


def _look_outside(points: PointsXY, size: ImageSize, notes: list[Note]) -> None:
    if any(not (-1 <= x <= size.width + 1 and -1 <= y <= size.height + 1) for x, y in points):
        notes.append(
            Note(
                "clipped",
                "a row reaches over the edge of the picture; what lies outside counts nowhere",
                "# rows reach over the edge of the picture; what lies outside counts nowhere",
            )
        )


def _ignored(text: str, many: str) -> Note:
    return Note("ignored", text, many)


# ---------------------------------------------------------------------------------------------------------- writing


def _line(class_id: int, points: PointsXY, size: ImageSize, decimals: int) -> str:
    return " ".join([str(class_id), *_fractions(points, size, decimals)])


def _fractions(points: PointsXY, size: ImageSize, decimals: int) -> Iterator[str]:
    for point in points:
        for value, side in zip(point, (size.width, size.height), strict=True):
            yield f"{value / side:.{decimals}f}".rstrip("0").rstrip(".")


def _is_kept(points: PointsXY, line: str, size: ImageSize) -> bool:
    """Whether all corners of a Polygon lie in the picture, and reading them again gives the same Polygon."""
    if not all(0 <= x <= size.width and 0 <= y <= size.height for x, y in points):
        return False
    row = parse_row(line)
    read = _points(row.values, size)
    if len(read) != len(points) or follows_pixel_edges([read], tolerance=_WHOLE) or has_bridge(read):
        return False
    pairs = ((a, b) for old, new in zip(points, read, strict=True) for a, b in zip(old, new, strict=True))
    return all(abs(a - b) < _GRID and int(a) == int(b) for a, b in pairs)  # pixels are drawn by whole parts
