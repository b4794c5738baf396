"""What a change did to the Shapes of a Sample, both ways, in memory and as the JSON of the event log.

    {"at": 3, "removed": [shape, ...], "added": [shape, ...]}                       Shapes in place of others
    {"at": 3, "box": [left, top, width, height], "before": png, "after": png}       pixels of one mask shape

A shape is written as in the annotation file. A brush stroke is written as its pixels, or each stroke in a large mask
would cost two copies of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.annotation.pixels import Box, box_of, with_pixels
from core.annotation.shapes import MaskShape, Region, Shape
from core.errors import ReadError
from core.formats.labelme_shape import BrokenShapeError, read_region, read_shape, write_region
from core.formats.labelme_text import one_line, shape_text


class MisfitError(ReadError):
    """A step of the log that does not fit the Shapes it is applied to: the log was damaged or edited by hand."""


class Drawn:
    """A Shape of a document. Its text in the file, or the Shape of a stored one, is made when it is first asked for."""

    __slots__ = ("_shape", "_stored", "_text")

    def __init__(self, shape: Shape | None, stored: object = None) -> None:
        self._shape = shape
        self._stored = stored
        self._text: bytes | None = None

    @property
    def shape(self) -> Shape:
        """Raises MisfitError when the log holds something else than a shape."""
        if self._shape is None:
            try:
                self._shape, _ = read_shape(self._stored)
            except BrokenShapeError as error:
                raise MisfitError("The log of this picture holds a damaged shape.") from error
            self._stored = None
        return self._shape

    @property
    def text(self) -> bytes:
        if self._text is None:
            self._text = shape_text(self.shape)
        return self._text

    @property
    def nbytes(self) -> int:
        """About how much memory this takes."""
        shape = self._shape
        pixels = shape.region.nbytes if isinstance(shape, MaskShape) else 0
        points = 130 * len(shape.points_xy) if shape is not None else 500  # two floats and a tuple
        return pixels + points + len(self._text or b"")

    def same_as(self, other: "Drawn") -> bool:
        return self is other or self.shape == other.shape


Drawing = tuple[Drawn, ...]


def drawing_of(shapes: Iterable[Shape]) -> Drawing:
    return tuple(Drawn(shape) for shape in shapes)


@dataclass(frozen=True)
class Replaced:
    """The Shapes from `at` on that gave way, and those in their place."""

    at: int
    removed: Drawing
    added: Drawing

    @property
    def inverse(self) -> "Replaced":
        return Replaced(self.at, self.added, self.removed)

    def on(self, drawing: Drawing) -> Drawing:
        end = self.at + len(self.removed)
        if not 0 <= self.at <= end <= len(drawing):
            raise MisfitError("The log of this picture does not fit: it changes a shape that is not there.")
        return (*drawing[: self.at], *self.added, *drawing[end:])

    def to_json(self) -> bytes:
        removed, added = (b",".join(one_line(item.text) for item in items) for items in (self.removed, self.added))
        return b'{"at":%d,"removed":[%b],"added":[%b]}' % (self.at, removed, added)


@dataclass(frozen=True, eq=False)
class Painted:
    """The pixels of a mask shape within a box, before and after, both (height, width) bool.

    Only for a shape whose box is tight before and after: it is found again from its pixels alone.
    """

    at: int
    box: Box
    before: Region
    after: Region

    @property
    def inverse(self) -> "Painted":
        return Painted(self.at, self.box, self.after, self.before)

    def on(self, drawing: Drawing) -> Drawing:
        shape = drawing[self.at].shape if 0 <= self.at < len(drawing) else None
        if not isinstance(shape, MaskShape) or not box_of(shape).joined(self.box).is_possible:
            raise MisfitError("The log of this picture does not fit: it paints in a shape that is not a mask.")
        painted = with_pixels(shape, self.box, self.after)
        if painted is None:
            raise MisfitError("The log of this picture does not fit: it erases all of a mask.")
        return (*drawing[: self.at], Drawn(painted), *drawing[self.at + 1 :])

    def to_json(self) -> bytes:
        before, after = write_region(self.before).encode(), write_region(self.after).encode()
        return b'{"at":%d,"box":[%d,%d,%d,%d],"before":"%b","after":"%b"}' % (self.at, *self.box, before, after)


Step = Replaced | Painted


def step_from_json(value: Any) -> Step:
    """Raises MisfitError."""
    try:
        if "box" in value:
            box = Box(*(int(number) for number in value["box"]))
            before, after = read_region(value["before"]), read_region(value["after"])
            if not before.shape == after.shape == (box.height, box.width):
                raise ValueError("pixels that do not fill their box")
            return Painted(int(value["at"]), box, before, after)
        removed, added = (_stored(value[key]) for key in ("removed", "added"))
        return Replaced(int(value["at"]), removed, added)
    except (KeyError, TypeError, ValueError, OverflowError, BrokenShapeError) as error:
        raise MisfitError(f"The log of this picture is damaged ({error!r}).") from error


def _stored(items: object) -> Drawing:
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise TypeError("a list of shapes was expected")
    return tuple(Drawn(None, item) for item in items)


def steps_between(before: Drawing, after: Drawing) -> tuple[Replaced, ...]:
    """The one step that makes `after` of `before`; none when they are the same."""
    start, most = 0, min(len(before), len(after))
    while start < most and before[start].same_as(after[start]):
        start += 1
    end = 0
    while end < most - start and before[-1 - end].same_as(after[-1 - end]):
        end += 1
    removed, added = before[start : len(before) - end], after[start : len(after) - end]
    return (Replaced(start, removed, added),) if removed or added else ()


def undone(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that take `steps` back."""
    return tuple(step.inverse for step in reversed(tuple(steps)))


def after_steps(drawing: Drawing, steps: Iterable[Step]) -> Drawing:
    """Raises MisfitError when one does not fit."""
    for step in steps:
        drawing = step.on(drawing)
    return drawing
