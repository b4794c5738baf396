import numpy as np
import pytest

from core.annotation.shapes import SHAPE_KINDS, Annotation, Line, MaskShape, Polygon, Rectangle
from core.images import ImageSize


@pytest.mark.parametrize(
    ("kind", "count"), [("polygon", 2), ("rectangle", 3), ("circle", 1), ("point", 2), ("line", 1)]
)
def test_a_wrong_number_of_points_is_refused(kind: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"a {kind} needs .* points, this one has {count}"):
        SHAPE_KINDS[kind](label="wall", points_xy=tuple((float(i), 0.0) for i in range(count)))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_point_that_is_not_a_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not a number"):
        Line(label="wall", points_xy=((0.0, 0.0), (number, 1.0)))


@pytest.mark.parametrize("region", [np.ones((2, 2), dtype=np.uint8), np.ones(4, dtype=bool)])
def test_a_mask_needs_a_two_dimensional_bool_region(region: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(H, W\) bool"):
        MaskShape(label="wall", points_xy=((0, 0), (1, 1)), region=region)


def test_masks_are_equal_when_their_pixels_are() -> None:
    corners = ((0.0, 0.0), (1.0, 0.0))
    one = MaskShape(label="wall", points_xy=corners, region=np.array([[True, False]]))
    same = MaskShape(label="wall", points_xy=corners, region=np.array([[True, False]]))
    other = MaskShape(label="wall", points_xy=corners, region=np.array([[True, True]]))
    assert one == same
    assert one != other
    assert one != Rectangle(label="wall", points_xy=corners)


def test_the_names_of_an_annotation_come_once_in_painting_order() -> None:
    corners = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    shapes = tuple(Polygon(label=label, points_xy=corners) for label in ("b", "a", "b"))
    assert Annotation(size=ImageSize(2, 2), shapes=shapes).label_names == ("b", "a")
