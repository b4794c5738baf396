"""What annotation tools (CVAT, Label Studio) have no place for, in words."""

from typing import Final

from core.annotation.shapes import KIND_WORDS, MaskShape, Shape
from core.formats.losses import Loss, Losses
from core.formats.pixel_corners import within_picture
from core.images import ImageSize

EMPTY: Final = Loss(
    "a shape that covers no pixel of its picture was left out",
    "# shapes that cover no pixel of their pictures were left out",
)
PICTURE_FLAGS: Final = Loss("the flags of a picture were left out", "the flags of # pictures were left out")
_SHAPE_FLAGS: Final = Loss("the flags of a shape were left out", "the flags of # shapes were left out")
_FOREIGN: Final = Loss(
    "what another program noted at a shape was left out", "what other programs noted at # shapes was left out"
)
_OUTSIDE: Final = Loss(
    "what a mask has outside of its picture was cut off", "what # masks have outside of their pictures was cut off"
)


def add_losses(losses: Losses, shape: Shape, size: ImageSize, *, kind: str, extra_key: str) -> None:
    """Count what a shape lost when it was written as one of `kind`: "pixels", "polygon" or as it was drawn.

    extra_key: of `extra`, what is written back.
    """
    word = KIND_WORDS.get(shape.kind, shape.kind)
    if isinstance(shape, MaskShape):
        inside = within_picture(shape, size)
        if inside is not None and inside.region.sum() < shape.region.sum():
            losses.add(_OUTSIDE)
    elif kind == "pixels":
        losses.add(Loss(f"a {word} was written as its pixels", f"# shapes of the type {word} were written as pixels"))
    elif kind == "polygon" and shape.kind != "polygon":
        losses.add(Loss(f"a {word} was written as a polygon", f"# shapes of the type {word} were written as polygons"))
    if shape.flags:
        losses.add(_SHAPE_FLAGS)
    if set(shape.extra) - {extra_key}:
        losses.add(_FOREIGN)
