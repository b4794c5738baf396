"""The operations against numpy on masks of the whole picture."""

import math
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from core.annotation.pixels import is_tight
from core.annotation.raster import shape_to_region
from core.annotation.reshape import OPERATIONS, Reshaped, after_splices, reshape
from core.annotation.shapes import MaskShape, PointsXY, Polygon, Rectangle, Region, Shape
from core.errors import ConfigError, UserError
from core.images import ImageSize
from tests.drawings import JSON_VALUES, SIZES, mask_shapes, outlines, points

SIZE = ImageSize(12, 14)
EIGHT = np.ones((3, 3), dtype=bool)
DRAWN = st.lists(outlines() | mask_shapes(), min_size=1, max_size=5).map(tuple)


def mask(
    rows: list[str], *, left: int = 0, top: int = 0, label: str = "wall", group_id: int | None = None
) -> MaskShape:
    region = np.array([[cell == "#" for cell in row] for row in rows])
    corners = ((float(left), float(top)), (left + region.shape[1] - 1.0, top + region.shape[0] - 1.0))
    return MaskShape(label=label, points_xy=corners, region=region)


def rows_of(shape: Shape) -> list[str]:
    assert isinstance(shape, MaskShape)
    return ["".join("#" if cell else "." for cell in row) for row in shape.region]


def run(
    name: str,
    shapes: tuple[Shape, ...],
    at: tuple[int, ...],
    points_xy: PointsXY = (),
    options: Mapping[str, Any] | None = None,
    size: ImageSize = SIZE,
) -> tuple[Shape, ...]:
    return after_splices(shapes, reshape(name, shapes, at, points_xy, options or {}, size).splices)


def whole(shape: Shape, size: ImageSize) -> Region:
    return shape_to_region(shape, size)


def said(shape: Shape) -> tuple[object, ...]:
    return shape.label, shape.group_id, shape.description, dict(shape.flags), dict(shape.extra)


def polygon_region(points_xy: PointsXY, size: ImageSize) -> Region:
    return shape_to_region(Polygon(label="x", points_xy=points_xy), size)


# ------------------------------------------------------------------------------------------- the algebra of pixels


@settings(max_examples=60, deadline=None)
@given(outlines() | mask_shapes(), points(3, 7), SIZES)
def test_add_polygon_is_the_union(shape: Shape, drawn: PointsXY, size: ImageSize) -> None:
    region = polygon_region(drawn, size)
    assume(len(set(drawn)) >= 3 and region.any())
    (after,) = run("add_polygon", (shape,), (0,), drawn, size=size)
    np.testing.assert_array_equal(whole(after, size), whole(shape, size) | region)
    assert said(after) == said(shape)


@settings(max_examples=60, deadline=None)
@given(DRAWN, points(3, 7), SIZES, st.data())
def test_subtract_polygon_is_the_difference(
    shapes: tuple[Shape, ...], drawn: PointsXY, size: ImageSize, data: st.DataObject
) -> None:
    at = data.draw(st.lists(st.integers(0, len(shapes) - 1), min_size=1, unique=True))
    region = polygon_region(drawn, size)
    assume(len(set(drawn)) >= 3 and region.any())
    expected = [whole(s, size) & ~region if i in at else whole(s, size) for i, s in enumerate(shapes)]
    if any(not expected[i].any() and whole(shapes[i], size).any() for i in at):
        with pytest.raises(ConfigError, match="Nothing would be left"):
            run("subtract_polygon", shapes, tuple(at), drawn, size=size)
        return
    after = run("subtract_polygon", shapes, tuple(at), drawn, size=size)
    for shape, before, wanted in zip(after, shapes, expected, strict=True):
        np.testing.assert_array_equal(whole(shape, size), wanted)
        assert said(shape) == said(before)


@settings(max_examples=60, deadline=None)
@given(DRAWN, SIZES)
def test_fill_holes_is_scipys(shapes: tuple[Shape, ...], size: ImageSize) -> None:
    regions = [whole(shape, size) for shape in shapes]
    assume(all(region.any() for region in regions))
    after = run("fill_holes", shapes, tuple(range(len(shapes))), size=size)
    for shape, before, region in zip(after, shapes, regions, strict=True):
        filled = ndimage.binary_fill_holes(region)
        np.testing.assert_array_equal(whole(shape, size), filled)
        assert said(shape) == said(before)
        assert (shape is before) == np.array_equal(filled, region)


@settings(max_examples=60, deadline=None)
@given(st.lists(outlines() | mask_shapes(), min_size=2, max_size=5), SIZES, st.data())
def test_merge_is_the_union_at_the_place_of_the_topmost(
    drawn: list[Shape], size: ImageSize, data: st.DataObject
) -> None:
    at = data.draw(st.lists(st.integers(0, len(drawn) - 1), min_size=2, unique=True))
    shapes = tuple(replace(shape, label="wall") for shape in drawn)
    union = np.logical_or.reduce([whole(shapes[i], size) for i in at])
    assume(union.any())
    after = run("merge", shapes, tuple(at), size=size)
    others = [shape for i, shape in enumerate(shapes) if i not in at]
    place = max(at) - len(at) + 1
    assert [*after[:place], *after[place + 1 :]] == others
    np.testing.assert_array_equal(whole(after[place], size), union)
    assert said(after[place]) == said(shapes[max(at)])


@settings(max_examples=60, deadline=None)
@given(DRAWN, SIZES, st.data())
def test_remove_underlying_leaves_what_shows(shapes: tuple[Shape, ...], size: ImageSize, data: st.DataObject) -> None:
    at = data.draw(st.lists(st.integers(0, len(shapes) - 1), min_size=1, unique=True))
    expected = []
    for i, shape in enumerate(shapes):
        region = whole(shape, size)
        left = region.copy()
        for k in at:
            if k > i:
                left &= ~whole(shapes[k], size)
        if left.any() or not region.any():  # what never had a pixel was not hidden
            expected.append((left, shape))
    after = run("remove_underlying", shapes, tuple(at), size=size)
    assert len(after) == len(expected)
    for shape, (region, before) in zip(after, expected, strict=True):
        np.testing.assert_array_equal(whole(shape, size), region)
        assert said(shape) == said(before)


@settings(max_examples=60, deadline=None)
@given(outlines() | mask_shapes(), SIZES)
def test_split_into_parts_is_scipys_labelling(shape: Shape, size: ImageSize) -> None:
    region = whole(shape, size)
    parts, count = ndimage.label(region, EIGHT)
    if count < 2:
        with pytest.raises(ConfigError):
            run("split", (shape,), (0,), size=size)
        return
    after = run("split", (shape,), (0,), size=size)
    assert len(after) == count
    for piece in after:
        found = whole(piece, size)
        assert len(np.unique(parts[found])) == 1
        assert found.sum() == (parts == parts[found][0]).sum()
        assert said(piece) == said(shape)


@settings(max_examples=100, deadline=None)
@given(outlines() | mask_shapes(), points(2, 2), SIZES)
def test_split_by_a_straight_line_divides_by_the_side_of_the_centre(
    shape: Shape, line: PointsXY, size: ImageSize
) -> None:
    (x0, y0), (x1, y1) = line
    region = whole(shape, size)
    assume(region.any() and math.hypot(x1 - x0, y1 - y0) > 1e-3)
    ys, xs = np.mgrid[: size.height, : size.width] + 0.5
    side = (x1 - x0) * (ys - y0) - (y1 - y0) * (xs - x0)
    clear = np.abs(side) > 1e-6  # a centre on the line may fall to either side
    try:
        after = run("split", (shape,), (0,), line, size=size)
    except ConfigError:
        return
    first, second = (whole(piece, size) for piece in after)
    np.testing.assert_array_equal(first ^ second, region)
    assert not (first & second).any()
    (in_first,) = {bool(value) for value in (side[first & clear] > 0).tolist()} or {None}
    (in_second,) = {bool(value) for value in (side[second & clear] > 0).tolist()} or {None}
    assert in_first is None or in_first != in_second


@settings(max_examples=60, deadline=None)
@given(outlines() | mask_shapes(), points(2, 12), SIZES)
def test_split_by_any_line_loses_no_pixel(shape: Shape, line: PointsXY, size: ImageSize) -> None:
    try:
        after = run("split", (shape,), (0,), line, size=size)
    except ConfigError:
        return
    first, second = (whole(piece, size) for piece in after)
    np.testing.assert_array_equal(first ^ second, whole(shape, size))
    assert not (first & second).any()


@settings(max_examples=60, deadline=None)
@given(outlines() | mask_shapes(), SIZES)
def test_to_mask_keeps_all_but_the_kind(shape: Shape, size: ImageSize) -> None:
    assume(whole(shape, size).any())
    (after,) = run("to_mask", (shape,), (0,), size=size)
    np.testing.assert_array_equal(whole(after, size), whole(shape, size))
    assert said(after) == said(shape)
    assert after.kind == "mask"


@settings(max_examples=100, deadline=None)
@given(outlines() | mask_shapes(), SIZES)
def test_to_polygons_paints_the_same_pixels_again(shape: Shape, size: ImageSize) -> None:
    region = whole(shape, size)
    assume(region.any())
    after = run("to_polygons", (shape,), (0,), size=size)
    np.testing.assert_array_equal(np.logical_or.reduce([whole(piece, size) for piece in after]), region)
    holes = not np.array_equal(ndimage.binary_fill_holes(region), region)
    if isinstance(shape, Polygon) or holes:
        assert after == (shape,)
    else:
        assert len(after) == ndimage.label(region, EIGHT)[1]
        assert all(isinstance(piece, Polygon) and said(piece) == said(shape) for piece in after)
        assert all(len(set(piece.points_xy)) >= 3 for piece in after)


@settings(max_examples=60, deadline=None)
@given(mask_shapes(), SIZES)
def test_dropping_holes_fills_them(shape: MaskShape, size: ImageSize) -> None:
    region = whole(shape, size)
    assume(region.any())
    change = reshape("to_polygons", (shape,), (0,), (), {"holes": "drop"}, size)
    after = after_splices((shape,), change.splices)
    filled = ndimage.binary_fill_holes(region)
    np.testing.assert_array_equal(np.logical_or.reduce([whole(piece, size) for piece in after]), filled)
    assert ("IoU" in change.note) == (filled.sum() > region.sum())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.7, 1.0, 2.0, 5.0]))
def test_simplified_outlines_stay_valid_and_near(seed: int, tolerance: float) -> None:
    from shapely import Polygon as Surface

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(60, 70)), 2.5)
    region = ndimage.binary_fill_holes(noise > 0.02)
    shape = MaskShape(label="wall", points_xy=((5, 7), (74, 66)), region=region)
    size = ImageSize(90, 90)
    change = reshape("to_polygons", (shape,), (0,), (), {"tolerance": tolerance}, size)
    after = after_splices((shape,), change.splices)
    exact = run("to_polygons", (shape,), (0,), size=size)
    assert sum(len(piece.points_xy) for piece in after) < sum(len(piece.points_xy) for piece in exact)
    painted = np.logical_or.reduce([whole(piece, size) for piece in after])
    before = whole(shape, size)
    outside = painted & (ndimage.distance_transform_cdt(~before, "chessboard") > tolerance + 1.5)
    assert not outside.any()
    for piece, precise in zip(after, exact, strict=True):
        if Surface(precise.points_xy).is_valid and len(piece.points_xy) > 4:  # thin parts touch themselves
            assert Surface(piece.points_xy).buffer(0).area == pytest.approx(Surface(piece.points_xy).area)
    iou = (painted & before).sum() / (painted | before).sum()
    if iou < 1:
        assert float(change.note.split(": ")[1].rstrip(".")) == pytest.approx(iou, abs=1e-4)


# ------------------------------------------------------------------------------------------------- drawn by hand


def test_a_diagonal_line_cuts_a_square() -> None:
    first, second = run("split", (mask(["####"] * 4, left=2, top=3),), (0,), ((1, 4), (7, 4)))
    assert {tuple(rows_of(first)), tuple(rows_of(second))} == {("####",), ("####",) * 3}


def test_a_line_around_a_corner_cuts_it_out() -> None:
    first, second = run("split", (mask(["####"] * 4),), (0,), ((2, -1), (2, 2), (-1, 2)))
    assert sorted([rows_of(first), rows_of(second)]) == [["##", "##"], ["..##", "..##", "####", "####"]]


def test_a_line_beside_the_shape_cuts_nothing_even_if_it_points_there() -> None:
    with pytest.raises(ConfigError, match="does not cut"):
        run("split", (mask(["####"] * 4),), (0,), ((13, 2), (9, 2)))


def test_splitting_several_keeps_the_order() -> None:
    shapes = (mask(["#.#"], label="a"), mask(["##"], top=3), mask(["#.#.#"], top=5, label="b"))
    assert [shape.label for shape in run("split", shapes, (2, 0))] == ["a", "a", "wall", "b", "b", "b"]


def test_a_hole_survives_what_does_not_touch_it() -> None:
    ring = mask(["####", "#..#", "####"])
    (after,) = run("add_polygon", (ring,), (0,), ((6, 0), (7, 0), (7, 1)))
    assert rows_of(after) == ["####..##", "#..#...#", "####...."]


def test_a_polygon_in_the_middle_makes_a_hole_and_fill_holes_fills_it() -> None:
    square = Rectangle(label="wall", points_xy=((1, 1), (5, 5)), group_id=4)
    (ring,) = run("subtract_polygon", (square,), (0,), ((2, 2), (4, 2), (4, 4), (2, 4)))
    assert rows_of(ring) == ["#####", "#...#", "#...#", "#...#", "#####"]
    change = reshape("fill_holes", (ring,), (0,), (), {}, SIZE)
    assert change.note == "1 hole was filled."
    assert rows_of(change.splices[0].add[0]) == ["#####"] * 5
    assert change.splices[0].add[0].group_id == 4


def test_remove_underlying_removes_what_is_wholly_hidden_and_says_so() -> None:
    shapes = (mask(["##"], label="hidden"), mask(["####"], label="half"), mask(["###"]), mask(["####"], label="above"))
    change = reshape("remove_underlying", shapes, (2,), (), {}, SIZE)
    after = after_splices(shapes, change.splices)
    assert [(shape.label, rows_of(shape)) for shape in after] == [
        ("half", ["#"]),
        ("wall", ["###"]),
        ("above", ["####"]),
    ]
    assert change.note == "1 shape that was wholly hidden is removed."


@pytest.mark.parametrize(
    "rows",
    [
        ["#"],
        ["##"],
        ["#", "#"],
        ["#####"],
        ["#.", ".#"],
        [".#", "#."],
        ["###", "..#"],
        ["#.#", ".#."],
        [".#.", "###", ".#."],
    ],
)
def test_thin_pieces_become_polygons_with_three_points_and_the_same_pixels(rows: list[str]) -> None:
    shape = mask(rows, left=3, top=2)
    for tolerance in (0, 1, 4):
        (after,) = run("to_polygons", (shape,), (0,), options={"tolerance": tolerance})
        assert isinstance(after, Polygon)
        assert len(set(after.points_xy)) >= 3
        if tolerance == 0:
            np.testing.assert_array_equal(whole(after, SIZE), whole(shape, SIZE))


def test_an_outline_runs_through_the_pixels_at_the_border() -> None:
    (after,) = run("to_polygons", (mask(["####"] * 3, left=2, top=1),), (0,))
    assert set(after.points_xy) == {(2, 1), (5, 1), (5, 3), (2, 3)}


def test_a_mask_with_a_hole_stays_a_mask_and_the_note_says_so() -> None:
    ring = mask(["###", "#.#", "###"])
    change = reshape("to_polygons", (ring,), (0,), (), {}, SIZE)
    assert change == Reshaped((), "1 shape with holes stays a mask: a polygon cannot have holes.")


def test_pixels_of_a_mask_outside_of_the_picture_are_cut_off() -> None:
    (after,) = run("to_polygons", (mask(["####"] * 4, left=-2, top=-1),), (0,))
    assert set(after.points_xy) == {(0, 0), (1, 0), (1, 2), (0, 2)}


# ---------------------------------------------------------------------------------------------------- bad input

SQUARE = mask(["##", "##"])
TRIANGLE: PointsXY = ((0, 0), (4, 0), (4, 4))


@pytest.mark.parametrize(
    ("name", "shapes", "at", "drawn", "options", "message"),
    [
        ("melt", (SQUARE,), (0,), (), {}, "There is no operation 'melt'"),
        ("to_mask", (SQUARE,), (), (), {}, "No shape is chosen"),
        ("to_mask", (SQUARE,), (1,), (), {}, "There is no shape 1 of 1"),
        ("to_mask", (SQUARE,), (-1,), (), {}, "There is no shape -1"),
        ("to_mask", (SQUARE,), (True,), (), {}, "There is no shape True"),
        ("to_mask", (SQUARE,), (0.0,), (), {}, "There is no shape 0.0"),
        ("fill_holes", (SQUARE, SQUARE), (0, 0), (), {}, "chosen twice"),
        ("add_polygon", (SQUARE,), (0,), TRIANGLE[:2], {}, "needs 3 points, this one has 2"),
        ("add_polygon", (SQUARE,), (0,), ((1, 1),) * 5, {}, "needs 3 points, this one has 1"),
        ("add_polygon", (SQUARE,), (0,), (), {}, "needs 3 points, this one has 0"),
        ("add_polygon", (SQUARE,), (0,), ((90, 90), (95, 90), (95, 95)), {}, "outside of the picture"),
        ("add_polygon", (SQUARE, SQUARE), (0, 1), TRIANGLE, {}, "to one shape, 2 are chosen"),
        ("add_polygon", (SQUARE,), (0,), ((0, 0), (1e9, 0), (0, 5)), {}, "lies far outside"),
        ("add_polygon", (SQUARE,), (0,), ((0, 0), (math.nan, 0), (0, 5)), {}, "not a number"),
        ("add_polygon", (SQUARE,), (0,), ((0, 0), (math.inf, 0), (0, 5)), {}, "not a number"),
        ("subtract_polygon", (SQUARE,), (0,), ((-1, -1), (9, -1), (9, 9), (-1, 9)), {}, "Nothing would be left"),
        ("merge", (SQUARE,), (0,), (), {}, "two shapes are needed"),
        (
            "merge",
            (SQUARE, mask(["#"], label="crack")),
            (0, 1),
            (),
            {},
            "different labels cannot be merged: crack, wall",
        ),
        ("merge", (mask(["#"], left=90), mask(["#"], left=95)), (0, 1), (), {}, "None of the shapes has a pixel"),
        ("split", (SQUARE,), (0,), (), {}, "in one piece"),
        ("split", (SQUARE,), (0,), ((0, 0), (0, 0)), {}, "needs two points"),
        ("split", (SQUARE,), (0,), ((0, 0),), {}, "needs two points"),
        ("split", (SQUARE,), (0,), ((8, 0), (8, 9)), {}, "does not cut"),
        ("to_mask", (Rectangle(label="a", points_xy=((90, 90), (95, 95))),), (0,), (), {}, "no pixel in the picture"),
        ("to_polygons", (SQUARE,), (0,), (), {"tolerance": -1}, "tolerance of -1 pixels"),
        ("to_polygons", (SQUARE,), (0,), (), {"tolerance": "1"}, "tolerance of '1' pixels"),
        ("to_polygons", (SQUARE,), (0,), (), {"tolerance": math.nan}, "tolerance of nan pixels"),
        ("to_polygons", (SQUARE,), (0,), (), {"holes": "burn"}, "treated as 'burn'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(
    name: str, shapes: tuple[Shape, ...], at: tuple[int, ...], drawn: PointsXY, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        reshape(name, shapes, at, drawn, options, SIZE)
    assert message in refused.value.message


def test_far_apart_shapes_are_not_merged_into_a_mask_that_fills_the_memory() -> None:
    far = (mask(["#"]), mask(["#"], left=39_999, top=39_999))
    with pytest.raises(ConfigError, match="too far apart"):
        run("merge", far, (0, 1), size=ImageSize(40_000, 40_000))


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(OPERATIONS)),
    st.lists(outlines() | mask_shapes(), max_size=4).map(tuple),
    st.lists(st.integers(-2, 5), max_size=4).map(tuple),
    points(0, 6),
    st.dictionaries(st.sampled_from(["tolerance", "holes"]), JSON_VALUES, max_size=2),
    SIZES,
)
def test_nothing_but_a_user_error_is_raised_and_all_that_comes_is_sound(
    name: str, shapes: tuple[Shape, ...], at: tuple[int, ...], drawn: PointsXY, options: dict[str, Any], size: ImageSize
) -> None:
    try:
        change = reshape(name, shapes, at, drawn, options, size)
    except UserError:
        return
    for splice in change.splices:
        for shape in splice.add:
            assert whole(shape, size).any()
            if isinstance(shape, MaskShape):
                assert is_tight(shape.region)
                (left, top), (right, bottom) = shape.points_xy
                assert 0 <= left <= right < size.width
                assert 0 <= top <= bottom < size.height
    assert change.splices or change.note


def test_small_shapes_on_a_huge_picture_cost_little() -> None:
    size = ImageSize(20_000, 20_000)
    shape = Polygon(
        label="wall", points_xy=tuple((19_000 + 80 * math.cos(a), 19_000 + 80 * math.sin(a)) for a in range(40))
    )
    inner = tuple((19_000 + 20 * math.cos(a / 6), 19_000 + 20 * math.sin(a / 6)) for a in range(36))
    other = Rectangle(label="wall", points_xy=((19_050, 18_950), (19_150, 19_050)))
    tracemalloc.start()
    started = time.perf_counter()
    shapes: tuple[Shape, ...] = (shape, other)
    shapes = run("remove_underlying", shapes, (1,), size=size)
    shapes = run("subtract_polygon", shapes, (0,), inner, size=size)
    shapes = run("fill_holes", shapes, (0,), size=size)
    shapes = run("merge", shapes, (0, 1), size=size)
    shapes = run("to_polygons", shapes, (0,), options={"tolerance": 1, "holes": "drop"}, size=size)
    took, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 2
    assert peak < 30_000_000


def round_about(middle: float, radius: float) -> PointsXY:
    angles = np.linspace(0, math.tau, 40, endpoint=False)
    return tuple((middle + radius * math.cos(a), middle + radius * math.sin(a)) for a in angles)
