"""Operations of the editor that the server computes: Shapes in, the change of the list out.

For core/project (the journal): call `reshape(name, shapes, at, points_xy, options, size)`; it returns
`Reshaped(splices, note)`. The splices apply in order, each to the list as the one before left it (`after_splices`);
`note` is a sentence for the person, mostly "". It may be asked with anything that a browser sends: what does not fit
raises ConfigError (a UserError), and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from core.annotation.shapes import PointsXY, Shape
from core.errors import ConfigError
from core.images import ImageSize


class Splice(NamedTuple):
    """From `at` on, `remove` Shapes give way to those of `add`."""

    at: int
    remove: int
    add: tuple[Shape, ...]


class Reshaped(NamedTuple):
    """splices: in order, each for the list as the one before left it.  note: what the person should know, or ""."""

    splices: tuple[Splice, ...]
    note: str = ""


Operation = Callable[[tuple[Shape, ...], tuple[int, ...], PointsXY, Mapping[str, Any], ImageSize], Reshaped]


def _later(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Mapping[str, Any], size: ImageSize
) -> Reshaped:
    raise ConfigError("This operation is not there yet.")


OPERATIONS: Final[Mapping[str, Operation]] = {
    "add_polygon": _later,
    "subtract_polygon": _later,
    "fill_holes": _later,
    "merge": _later,
    "split": _later,
    "remove_underlying": _later,
    "to_mask": _later,
    "to_polygons": _later,
}


def reshape(
    name: str,
    shapes: tuple[Shape, ...],
    at: tuple[int, ...],
    points_xy: PointsXY,
    options: Mapping[str, Any],
    size: ImageSize,
) -> Reshaped:
    """The operation `name` on the Shapes at the indices `at`. Raises ConfigError for what does not fit."""
    if name not in OPERATIONS:
        raise ConfigError(f"There is no operation {name!r}.", hint=f"Choose one of {', '.join(OPERATIONS)}.")
    return OPERATIONS[name](shapes, at, points_xy, options, size)


def after_splices(shapes: tuple[Shape, ...], splices: Iterable[Splice]) -> tuple[Shape, ...]:
    """`shapes` with the splices applied in order."""
    for at, remove, add in splices:
        shapes = (*shapes[:at], *add, *shapes[at + remove :])
    return shapes
