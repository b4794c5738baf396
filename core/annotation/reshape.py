"""Operations of the editor that the server computes: Shapes in, the change of their list out.

Door: `reshape(name, shapes, at, points_xy, options, size) -> Reshaped(splices, note)`. The splices apply in order, each
to the list as the one before left it (`after_splices`); `note` is a sentence for the person, mostly "". It may be asked
with anything that a browser sends: what does not fit raises ConfigError (a UserError), and nothing else.

What comes out keeps label, group, description, flags and extra of the Shape that it came from; of several, of the
topmost one, which is the last. Pixels are those of Labelme's rule (core/annotation/raster.py), within the picture, and
only the boxes of the Shapes concerned are computed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from core.annotation.cut import split
from core.annotation.pixel_operations import (
    add_polygon,
    fill_holes,
    merge,
    remove_underlying,
    subtract_polygon,
    to_mask,
)
from core.annotation.shapes import PointsXY, Shape
from core.annotation.splice import Operation, Options, Reshaped, Splice, after_splices
from core.annotation.to_polygons import to_polygons
from core.errors import ConfigError
from core.images import ImageSize

__all__ = ["OPERATIONS", "Operation", "Reshaped", "Splice", "after_splices", "reshape"]

_FARTHEST: Final = 1e7  # pixels; no picture is that large


def reshape(
    name: str, shapes: tuple[Shape, ...], at: Sequence[int], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """The operation `name` on the Shapes at the indices `at`. Raises ConfigError for what does not fit.

    points_xy: of the operations that need some, else ().  options: of to_polygons, else {}.
    """
    if name not in OPERATIONS:
        raise ConfigError(f"There is no operation {name!r}.", hint=f"Choose one of {', '.join(OPERATIONS)}.")
    return OPERATIONS[name](shapes, tuple(at), points_xy, options, size)


def _checked(operation: Operation) -> Operation:
    """`operation`, asked only with indices that are there, each once and in order, and with points near the picture."""

    def checked(
        shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
    ) -> Reshaped:
        if not at:
            raise ConfigError("No shape is chosen.", hint="Choose the shape to change first.")
        for i in at:
            if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < len(shapes):
                raise ConfigError(f"There is no shape {i!r} of {len(shapes)}.", hint="Load the picture again.")
        if len(set(at)) < len(at):
            raise ConfigError("A shape was chosen twice for one operation.")
        for x, y in points_xy:
            if not (math.isfinite(x) and math.isfinite(y)):
                raise ConfigError("A point is not a number.")
            if max(abs(x), abs(y)) > _FARTHEST:
                raise ConfigError(f"The point ({x:g}, {y:g}) lies far outside of the picture.")
        return operation(shapes, tuple(sorted(at)), points_xy, options, size)

    return checked


OPERATIONS: Final[Mapping[str, Operation]] = {
    "add_polygon": _checked(add_polygon),
    "subtract_polygon": _checked(subtract_polygon),
    "fill_holes": _checked(fill_holes),
    "merge": _checked(merge),
    "split": _checked(split),
    "remove_underlying": _checked(remove_underlying),
    "to_mask": _checked(to_mask),
    "to_polygons": _checked(to_polygons),
}
