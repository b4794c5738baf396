import json
import time
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.raster import shape_to_region
from core.annotation.shapes import MaskShape, Polygon, Shape
from core.formats.labelme import LabelmeFile, read_labelme, write_labelme
from core.formats.labelme_holes import cut_holes
from core.images import ImageSize
from tests.drawings import points

SIZE = ImageSize(60, 60)
OUTER = ((2, 2), (12, 2), (12, 12), (2, 12))
INNER = ((5, 5), (8, 5), (8, 9), (5, 9))


def ring(points_xy: Any, hole: bool = False, group_id: int | None = 1, label: str = "nut", **more: Any) -> Polygon:
    return Polygon(label=label, points_xy=points_xy, group_id=group_id, extra={"difficult": hole, **more})


def pixels(shape: Shape) -> np.ndarray:
    return shape_to_region(shape, SIZE)


def test_a_hole_is_cut_out_of_the_polygon_around_it() -> None:
    (mask,), notes = cut_holes([ring(OUTER, score=0.5), ring(INNER, hole=True)])
    assert isinstance(mask, MaskShape)
    assert np.array_equal(pixels(mask), pixels(ring(OUTER)) & ~pixels(ring(INNER)))
    assert (mask.label, mask.group_id, mask.extra) == ("nut", 1, {"difficult": False, "score": 0.5})
    assert [note.kind for note in notes] == ["assumed"]


def test_order_and_the_other_shapes_stay() -> None:
    other = ring(((20, 20), (30, 20), (25, 30)), label="bolt", group_id=None)
    shapes, notes = cut_holes(
        [ring(INNER, hole=True), other, ring(OUTER), ring(((9, 9), (11, 9), (11, 11)), hole=True)]
    )
    assert [shape.kind for shape in shapes] == ["polygon", "mask"]
    assert shapes[0] is other
    assert not pixels(shapes[1])[10, 10]
    assert len(notes) == 2


def test_the_nearest_outline_around_a_hole_is_cut() -> None:
    island = ((4, 4), (10, 4), (10, 10), (4, 10))
    whole, cut = cut_holes([ring(OUTER), ring(island), ring(INNER, hole=True)])[0]
    assert whole == ring(OUTER)
    assert np.array_equal(pixels(cut), pixels(ring(island)) & ~pixels(ring(INNER)))


def test_what_only_is_difficult_is_no_hole() -> None:
    for shape in (
        ring(INNER, hole=True, group_id=2),
        ring(INNER, hole=True, group_id=None),
        ring(INNER, hole=True, label="bolt"),
        ring(((20, 20), (30, 20), (25, 30)), hole=True),
        ring(INNER, difficult=1),
        ring(INNER),
    ):
        shapes = [ring(OUTER), shape]
        assert cut_holes(shapes) == (shapes, [])


def test_a_hole_too_large_for_memory_stays_a_polygon_and_is_told() -> None:
    far = tuple((x * 1e5, y * 1e5) for x, y in OUTER[:3])
    shapes = [ring(far), ring(far, hole=True)]
    kept, notes = cut_holes(shapes)
    assert kept == shapes
    assert [note.kind for note in notes] == ["ignored"]


def test_a_hole_that_leaves_nothing_stays_and_is_told() -> None:
    shapes = [ring(OUTER), ring(OUTER, hole=True)]
    assert cut_holes(shapes)[0] == shapes


@settings(max_examples=200, deadline=None)
@given(points(3, 6), st.lists(points(3, 5), max_size=2))
def test_the_pixels_are_those_of_the_outline_without_those_of_the_holes(outer: Any, inner: Any) -> None:
    shapes, _ = cut_holes([ring(outer), *(ring(hole, hole=True) for hole in inner)])
    if isinstance(shapes[0], MaskShape):
        left, top = np.min(outer, axis=0) - 1
        right, bottom = np.max(outer, axis=0) + 1
        wanted = pixels(ring(outer))
        for hole in inner:
            (x1, y1), (x2, y2) = np.min(hole, axis=0), np.max(hole, axis=0)
            if x1 >= left and y1 >= top and x2 <= right and y2 <= bottom:
                wanted &= ~pixels(ring(hole))
        assert np.array_equal(pixels(shapes[0]), wanted)


def read(*entries: dict[str, Any]) -> LabelmeFile:
    value = {"version": "2.4.4", "shapes": list(entries), "imagePath": "a.png", "imageHeight": 60, "imageWidth": 60}
    return read_labelme(json.dumps(value).encode())


def entry(kind: str, points_xy: Any, **more: Any) -> dict[str, Any]:
    """A shape as X-AnyLabeling writes it."""
    return {
        "label": "nut",
        "score": None,
        "points": points_xy,
        "group_id": None,
        "description": "",
        "difficult": False,
        "shape_type": kind,
        "flags": None,
        "attributes": {},
        "kie_linking": [],
        **more,
    }


def test_x_anylabelings_own_kinds() -> None:
    square = [[2, 2], [12, 2], [12, 12], [2, 12]]
    file = read(
        entry("polygon", OUTER, group_id=1),
        entry("polygon", INNER, group_id=1, difficult=True),
        entry("rotation", square, direction=0.5),
        entry("quadrilateral", square),
        entry("cuboid", [*square, *square]),
        entry("rectangle", square),
    )
    assert [shape.kind for shape in file.annotation.shapes] == ["mask", "oriented_rectangle", "polygon", "rectangle"]
    assert file.annotation.shapes[1].extra["direction"] == 0.5
    assert [note.text for note in file.notes] == [
        "a quadrilateral was read as a polygon",
        "a shape of the type 'cuboid', which is unknown here, was left out",
        "a polygon marked difficult inside of another one of its group was read as a hole",
    ]
    again = read_labelme(write_labelme(file.annotation, image_path="a.png"))
    assert again.annotation.shapes == file.annotation.shapes


def test_a_labelme_file_without_the_mark_is_read_as_before() -> None:
    plain = [
        {"label": "nut", "points": points_xy, "group_id": 1, "shape_type": "polygon", "flags": {}}
        for points_xy in (OUTER, INNER)
    ]
    file = read(*plain)
    assert [shape.kind for shape in file.annotation.shapes] == ["polygon", "polygon"]
    assert not file.notes


def test_thousands_of_marked_polygons_take_no_time() -> None:
    start = time.monotonic()
    cut_holes([ring(OUTER, group_id=i) for i in range(3000)] + [ring(INNER, True, group_id=i) for i in range(3000)])
    assert time.monotonic() - start < 5
