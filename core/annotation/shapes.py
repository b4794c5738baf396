"""What a person draws: Shapes, one class a kind, and the Annotation that holds those of one picture.

Points are (x, y) in picture pixels, and the field says so: `points_xy`. Pixel (0, 0) covers [0, 1) x [0, 1).
The kinds and their point counts are Labelme's (versions 3 to 7).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from core.images import ImageSize

PointsXY = tuple[tuple[float, float], ...]
Region = NDArray[np.bool_]  # (H, W)


@dataclass(frozen=True, kw_only=True)
class DrawnShape:
    """What every kind has. `extra` holds keys of an imported file that are not ours; they are written back."""

    kind: ClassVar[str]
    point_count: ClassVar[tuple[int, int | None]]  # least and most

    label: str
    points_xy: PointsXY
    group_id: int | None = None
    description: str | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        least, most = self.point_count
        if len(self.points_xy) < least or (most is not None and len(self.points_xy) > most):
            wanted = f"{least}" if most == least else f"at least {least}"
            raise ValueError(f"a {self.kind} needs {wanted} points, this one has {len(self.points_xy)}")
        if not all(math.isfinite(x) and math.isfinite(y) for x, y in self.points_xy):
            raise ValueError(f"a {self.kind} has a point that is not a number")


class Polygon(DrawnShape):
    kind = "polygon"
    point_count = (3, None)


class Rectangle(DrawnShape):
    """Two opposite corners, in any order."""

    kind = "rectangle"
    point_count = (2, 2)


class OrientedRectangle(DrawnShape):
    kind = "oriented_rectangle"
    point_count = (4, 4)


class Circle(DrawnShape):
    """Centre and a point on the edge."""

    kind = "circle"
    point_count = (2, 2)


class Point(DrawnShape):
    kind = "point"
    point_count = (1, 1)


class Points(DrawnShape):
    kind = "points"
    point_count = (1, None)


class Line(DrawnShape):
    kind = "line"
    point_count = (2, 2)


class LineStrip(DrawnShape):
    kind = "linestrip"
    point_count = (2, None)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskShape(DrawnShape):
    """Pixels: `points_xy` are the first and last pixel (inclusive) of the box that `region` fills. Holes are kept."""

    kind = "mask"
    point_count = (2, 2)

    region: Region

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.region.ndim != 2 or self.region.dtype != np.bool_:
            raise ValueError(f"the region of a mask must be (H, W) bool, got {self.region.shape} {self.region.dtype}")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MaskShape)
            and (self.label, self.points_xy, self.group_id, self.description)
            == (other.label, other.points_xy, other.group_id, other.description)
            and dict(self.flags) == dict(other.flags)
            and dict(self.extra) == dict(other.extra)
            and np.array_equal(self.region, other.region)
        )

    __hash__ = None  # type: ignore[assignment]


Shape = Polygon | Rectangle | OrientedRectangle | Circle | Point | Points | Line | LineStrip | MaskShape

SHAPE_KINDS: Mapping[str, type[Shape]] = {
    shape.kind: shape
    for shape in (Polygon, Rectangle, OrientedRectangle, Circle, Point, Points, Line, LineStrip, MaskShape)
}
# What people call the kinds whose names are no words.
KIND_WORDS: Final = {"oriented_rectangle": "rotated rectangle", "linestrip": "line strip", "points": "set of points"}


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """All Shapes of one picture, in painting order: later ones paint over earlier ones.

    `flags`, `extra` and `version` are those of the Labelme file it came from; they survive the round trip.
    """

    size: ImageSize
    shapes: tuple[Shape, ...] = ()
    flags: Mapping[str, bool] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    version: str = "5.5.0"  # the Labelme version whose keys a new file has

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names used, each once, in painting order."""
        return tuple(dict.fromkeys(shape.label for shape in self.shapes))
