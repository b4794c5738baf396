"""What the readers of several formats do alike: parse a file, and stop before masks fill the memory."""

import json
from typing import Any, Final

from core.annotation.shapes import MaskShape, Shape
from core.errors import ReadError
from core.formats.labelme_shape import BrokenShapeError
from core.formats.note import Note
from core.formats.source import SourceFile
from core.images import MAX_PIXELS

MASK_PIXELS: Final = 4 * MAX_PIXELS  # of all masks of a picture together, a byte each


class MaskRoom:
    """What is left for the masks of one picture."""

    def __init__(self) -> None:
        self._left = MASK_PIXELS

    def take(self, *shapes: Shape) -> None:
        """Raises BrokenShapeError when the masks among `shapes` find no room any more."""
        wanted = sum(shape.region.size for shape in shapes if isinstance(shape, MaskShape))
        if wanted > self._left:
            raise BrokenShapeError("a mask too many for memory was left out", "# masks too many were left out")
        self._left -= wanted


def parse_json(file: SourceFile, notes: list[Note] | None = None) -> Any:
    """The JSON value; None, with a note, for what is none."""
    try:
        return json.loads(file.read())
    except ReadError as error:
        problem = error.message.rstrip(".")
    except (ValueError, RecursionError) as error:
        problem = f"{file.name} is not readable JSON ({error}); it may be cut off"
    if notes is not None:
        notes.append(Note("error", problem))
    return None
