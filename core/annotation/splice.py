"""The change of a list of Shapes: what an operation of the editor gives."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from core.annotation.shapes import PointsXY, Shape
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


Options = Mapping[str, Any]
Operation = Callable[[tuple[Shape, ...], tuple[int, ...], PointsXY, Options, ImageSize], Reshaped]


def after_splices(shapes: tuple[Shape, ...], splices: Iterable[Splice]) -> tuple[Shape, ...]:
    """`shapes` with the splices applied in order."""
    for at, remove, add in splices:
        shapes = (*shapes[:at], *add, *shapes[at + remove :])
    return shapes
