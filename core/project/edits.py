"""What a person does in the editor, applied to the Shapes of a document: the change as steps for the log."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from core.annotation.pixels import Box, box_of, is_tight, pixels_in, tight_box, tightened, with_pixels
from core.annotation.reshape import reshape
from core.annotation.shapes import MaskShape, PointsXY, Region, Shape
from core.errors import ConfigError
from core.formats.reading import MASK_PIXELS
from core.images import ImageSize
from core.project.steps import Drawing, Drawn, Painted, Replaced, Step


class Replace(NamedTuple):
    """Shapes in place of `remove` others from `at` on."""

    at: int
    remove: int
    add: tuple[Shape, ...]


class Paint(NamedTuple):
    """The pixels of the mask shape `at` inside of a box, (height, width) bool; they replace those that it has there."""

    at: int
    box: Box
    region: Region


class Reshape(NamedTuple):
    """An operation that is computed here, on the Shapes `at`."""

    name: str
    at: tuple[int, ...]
    points_xy: PointsXY
    options: Mapping[str, Any]


Edit = Replace | Paint | Reshape


class Edited(NamedTuple):
    """The Shapes after some edits, and what they did.

    unknown: what the person does not see yet, since it was computed here.  notes: sentences for the person.
    """

    drawing: Drawing
    steps: tuple[Step, ...]
    unknown: tuple[Replaced, ...]
    notes: tuple[str, ...]


def apply_edits(drawing: Drawing, edits: Sequence[Edit], size: ImageSize) -> Edited:
    """The edits in order, each on what the one before left, on a picture of `size`.

    Raises ConfigError when one does not fit.
    """
    result = Edited(drawing, (), (), ())
    for edit in edits:
        match edit:
            case Replace():
                found = _replaced(result.drawing, edit)
            case Paint():
                found = _painted(result.drawing, edit, size)
            case Reshape():
                found = _reshaped(result.drawing, edit, size)
        result = Edited(
            found.drawing, result.steps + found.steps, result.unknown + found.unknown, result.notes + found.notes
        )
    pixels = sum(item.shape.region.size for item in result.drawing if isinstance(item.shape, MaskShape))
    if pixels > MASK_PIXELS and result.steps:
        raise ConfigError(
            f"The masks of this picture would hold {pixels:,} pixels; {MASK_PIXELS:,} is the most.",
            hint="Turn some of them into polygons.",
        )
    return result


def visible(drawing: Drawing, step: Step) -> tuple[Drawing, Replaced]:
    """The Shapes after `step`, and the step as whole Shapes in place of others."""
    after = step.on(drawing)
    if isinstance(step, Painted):
        step = Replaced(step.at, (drawing[step.at],), (after[step.at],))
    return after, step


def _replaced(drawing: Drawing, edit: Replace) -> Edited:
    if not (0 <= edit.at <= len(drawing) and 0 <= edit.remove <= len(drawing) - edit.at):
        raise ConfigError(
            f"The change does not fit: it wants shapes {edit.at} to {edit.at + edit.remove} of {len(drawing)}.",
            hint="Load the picture again.",
        )
    added = tuple(Drawn(_compact(shape)) for shape in edit.add)
    step = Replaced(edit.at, drawing[edit.at : edit.at + edit.remove], added)
    return Edited(step.on(drawing), (step,) if step.removed or step.added else (), (), ())


def _compact(shape: Shape) -> Shape:
    """A mask in the least box around its pixels; every other Shape as it is."""
    if not isinstance(shape, MaskShape):
        return shape
    tight = tightened(shape)
    if tight is None:
        raise ConfigError("A mask shape has no pixels.", hint="Draw some, or delete the shape.")
    return tight


def _painted(drawing: Drawing, edit: Paint, size: ImageSize) -> Edited:
    shape = _at(drawing, edit.at).shape
    if not isinstance(shape, MaskShape):
        raise ConfigError(
            f"Shape {edit.at} is a {shape.kind}; only masks can be painted.", hint="Make it a mask first."
        )
    box = edit.box.cut(Box(0, 0, size.width, size.height))
    region = edit.region[
        box.top - edit.box.top : box.bottom - edit.box.top, box.left - edit.box.left : box.right - edit.box.left
    ]
    before = pixels_in(shape, box)
    changed = tight_box(before ^ region)
    if changed is None:
        return Edited(drawing, (), (), ())
    rows = slice(changed.top, changed.bottom)
    columns = slice(changed.left, changed.right)
    before, region = before[rows, columns].copy(), region[rows, columns].copy()
    box = changed._replace(left=box.left + changed.left, top=box.top + changed.top)
    if not box_of(shape).joined(box).is_possible:
        raise ConfigError("The mask would be too large.", hint="Draw a shape of its own there.")
    painted = with_pixels(shape, box, region)
    if painted is None:
        gone = Replaced(edit.at, (drawing[edit.at],), ())
        return Edited(gone.on(drawing), (gone,), (gone,), ())
    new = Drawn(painted)
    step: Step = Replaced(edit.at, (drawing[edit.at],), (new,))
    after = step.on(drawing)
    if is_tight(shape.region):
        step = Painted(edit.at, box, before, region)
    return Edited(after, (step,), (), ())


def _reshaped(drawing: Drawing, edit: Reshape, size: ImageSize) -> Edited:
    for at in edit.at:
        _at(drawing, at)
    shapes = tuple(item.shape for item in drawing)
    splices, note = reshape(edit.name, shapes, edit.at, edit.points_xy, edit.options, size)
    steps: list[Replaced] = []
    for at, remove, add in splices:
        found = _replaced(drawing, Replace(at, remove, add))
        drawing = found.drawing
        steps += [step for step in found.steps if isinstance(step, Replaced)]
    return Edited(drawing, tuple(steps), tuple(steps), (note,) if note else ())


def _at(drawing: Drawing, at: int) -> Drawn:
    if not 0 <= at < len(drawing):
        raise ConfigError(f"There is no shape {at}; this picture has {len(drawing)}.", hint="Load the picture again.")
    return drawing[at]
