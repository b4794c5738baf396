"""Random Annotations for property tests: every kind of Shape, inside and outside of the picture."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from core.annotation.raster import Mask
from core.annotation.shapes import SHAPE_KINDS, Annotation, MaskShape, PointsXY, Shape
from core.images import ImageSize

COORDINATES = st.one_of(
    st.integers(-8, 40).map(float),
    st.integers(-16, 80).map(lambda half: half / 2),
    st.floats(-8, 40, allow_nan=False, width=32),
)
LABELS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9, 9)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(LABELS, inner, max_size=2),
    max_leaves=4,
)
SIZES = st.builds(ImageSize, st.integers(1, 30), st.integers(1, 30))


def points(least: int, most: int) -> st.SearchStrategy[PointsXY]:
    return st.lists(st.tuples(COORDINATES, COORDINATES), min_size=least, max_size=most).map(tuple)


@st.composite
def outlines(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(SHAPE_KINDS)) -> Shape:
    """A Shape of any kind but mask."""
    kind = draw(st.sampled_from([kind for kind in kinds if kind != "mask"]))
    least, most = SHAPE_KINDS[kind].point_count
    return SHAPE_KINDS[kind](points_xy=draw(points(least, most or least + 4)), **draw(common_fields()))


@st.composite
def mask_shapes(draw: st.DrawFn) -> MaskShape:
    region = draw(masks()) > 0
    left, top = draw(st.integers(-5, 20)), draw(st.integers(-5, 20))
    corners = ((float(left), float(top)), (left + region.shape[1] - 1.0, top + region.shape[0] - 1.0))
    return MaskShape(points_xy=corners, region=region, **draw(common_fields()))


@st.composite
def common_fields(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "label": draw(LABELS),
        "group_id": draw(st.none() | st.integers(-3, 300)),
        "description": draw(st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=5)),
        "flags": draw(st.dictionaries(LABELS, st.booleans(), max_size=2)),
        "extra": {f"x_{key}": value for key, value in draw(st.dictionaries(LABELS, JSON_VALUES, max_size=2)).items()},
    }


@st.composite
def annotations(draw: st.DrawFn) -> Annotation:
    return Annotation(
        size=draw(SIZES),
        shapes=tuple(draw(st.lists(outlines() | mask_shapes(), max_size=4))),
        flags=draw(st.dictionaries(LABELS, st.booleans(), max_size=2)),
        extra={f"x_{key}": value for key, value in draw(st.dictionaries(LABELS, JSON_VALUES, max_size=2)).items()},
        version=draw(st.sampled_from(["3.16.2", "4.5.6", "5.5.0", "6.3.1", "7.1.0"])),
    )


@st.composite
def masks(draw: st.DrawFn, values: tuple[int, ...] = (0, 1)) -> Mask:
    """Masks of a few pixels: speckles, holes and runs along the border come often."""
    size = draw(st.builds(ImageSize, st.integers(1, 9), st.integers(1, 9)))
    flat = draw(st.lists(st.sampled_from(values), min_size=size.pixels, max_size=size.pixels))
    return np.array(flat, dtype=np.uint8).reshape(size)
