import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.annotation.fill import fill_rings
from core.annotation.raster import shape_to_region
from core.annotation.shapes import Annotation, MaskShape, Region
from core.annotation.trace import trace_region
from core.formats.shape_outline import shape_outlines, without_touching
from core.images import ImageSize
from tests.drawings import annotations


@given(annotations())
def test_the_outlines_of_every_kind_hold_its_pixels(annotation: Annotation) -> None:
    size = annotation.size
    for shape in annotation.shapes:
        rings = [ring for outline in shape_outlines(shape, size) for ring in (outline.outer, *outline.holes)]
        filled = fill_rings(rings, top=0, left=0, height=size.height, width=size.width)
        np.testing.assert_array_equal(filled, shape_to_region(shape, size))


def test_a_shape_in_a_large_picture_is_drawn_in_its_own_window() -> None:
    region = np.ones((2, 3), dtype=bool)
    shape = MaskShape(label="a", points_xy=((19_000.0, 18_000.0), (19_002.0, 18_001.0)), region=region)
    (outline,) = shape_outlines(shape, ImageSize(20_000, 20_000))
    assert set(outline.outer) == {(19_000, 18_000), (19_003, 18_000), (19_003, 18_002), (19_000, 18_002)}


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 3).map(bool)))
def test_without_touching_corners_an_outline_is_a_valid_polygon(region: Region) -> None:
    parts = [without_touching(outline) for outline in trace_region(region)]
    polygons = [shapely.Polygon(part.outer, part.holes) for part in parts]
    assert all(polygon.is_valid for polygon in polygons)
    assert sum(polygon.area for polygon in polygons) == region.sum()
    rings = [ring for part in parts for ring in (part.outer, *part.holes)]
    np.testing.assert_array_equal(
        fill_rings(rings, top=0, left=0, height=region.shape[0], width=region.shape[1]), region
    )
