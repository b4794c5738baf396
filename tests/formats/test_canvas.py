import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.raster import shape_to_region
from core.annotation.shapes import MaskShape, Rectangle, Shape
from core.formats.canvas import Canvas, mask_shape
from core.images import ImageSize
from tests.drawings import SIZES, mask_shapes, outlines


def whole(canvas: Canvas, strokes: list[tuple[Shape, bool]], size: ImageSize) -> np.ndarray:
    crop = canvas.crop(strokes)
    drawn = np.zeros(size, dtype=bool)
    drawn[crop.top :, crop.left :][: crop.region.shape[0], : crop.region.shape[1]] = crop.region
    return drawn


@settings(deadline=None)
@given(SIZES, st.lists(st.lists(outlines() | mask_shapes(), min_size=1, max_size=3), min_size=1, max_size=3))
def test_each_object_has_the_pixels_of_its_shapes_whatever_was_painted_before(
    size: ImageSize, objects: list[list[Shape]]
) -> None:
    canvas = Canvas(size)
    for shapes in objects:
        expected = np.any([shape_to_region(shape, size) for shape in shapes], axis=0)
        assert np.array_equal(whole(canvas, [(shape, True) for shape in shapes], size), expected)


@settings(deadline=None)
@given(SIZES, outlines(), outlines(), outlines())
def test_what_is_cut_out_is_gone_and_what_is_painted_later_is_there(
    size: ImageSize, below: Shape, cut: Shape, above: Shape
) -> None:
    regions = [shape_to_region(shape, size) for shape in (below, cut, above)]
    drawn = whole(Canvas(size), [(below, True), (cut, False), (above, True)], size)
    assert np.array_equal(drawn, (regions[0] & ~regions[1]) | regions[2])


def test_a_crop_becomes_the_shape_of_its_pixels() -> None:
    crop = Canvas(ImageSize(9, 9)).crop([(Rectangle(label="a", points_xy=((2, 3), (5, 7))), True)])
    shape = mask_shape(crop, "b")
    assert isinstance(shape, MaskShape)
    assert shape.points_xy == ((2.0, 3.0), (5.0, 7.0))
    assert shape.region.shape == (5, 4)
    assert shape.region.all()
