import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.images import ImageSize
from core.inference.windows import Axis, Window, WindowPlan, blend_weights, cut_window, plan_windows


def plan(height: int, width: int, *, window: int = 512, overlap: float = 0.2, multiple_of: int = 32) -> WindowPlan:
    return plan_windows(ImageSize(height, width), window=window, overlap=overlap, multiple_of=multiple_of)


sizes = st.integers(1, 700)
plans = st.builds(
    plan,
    sizes,
    sizes,
    window=st.integers(16, 200),
    overlap=st.floats(0, 0.9),
    multiple_of=st.sampled_from([1, 2, 16, 32]),
)


@settings(max_examples=200, deadline=None)
@given(plans)
def test_every_pixel_is_covered_and_every_window_has_one_size(plan: WindowPlan) -> None:
    for axis in plan:
        covered = np.zeros(axis.length, bool)
        for start in axis.starts:
            covered[start : start + axis.side] = True
        assert covered.all()
        assert axis.starts[0] == 0
        assert list(axis.starts) == sorted(set(axis.starts))
    assert plan.row(len(plan.rows.starts) - 1)[-1] == (
        plan.rows.starts[-1],
        plan.columns.starts[-1],
        plan.rows.side,
        plan.columns.side,
    )


def test_windows_come_row_by_row() -> None:
    found = plan(700, 1500)
    assert found.total == len(found.windows) == 8
    assert found.windows[:4] == [Window(0, left, found.rows.side, 448) for left in found.columns.starts]


@settings(max_examples=200, deadline=None)
@given(sizes, st.integers(8, 200), st.floats(0, 0.8), st.sampled_from([1, 2, 8]))
def test_neighbours_share_the_overlap_and_none_reaches_out_far(
    length: int, window: int, overlap: float, multiple_of: int
) -> None:
    axis = plan(length, length, window=window, overlap=overlap, multiple_of=multiple_of).rows
    assert axis.side % multiple_of == 0
    assert not any(start % multiple_of for start in axis.starts)
    assert 0 <= axis.starts[-1] + axis.side - length < multiple_of
    if len(axis.starts) > 1:
        assert max(np.diff(axis.starts)) <= max(multiple_of, axis.side * (1 - overlap) + 1e-6)
        assert np.ptp(np.diff(axis.starts)) <= multiple_of  # spread evenly


@settings(max_examples=100, deadline=None)
@given(plans)
def test_weights_are_positive_and_sum_to_one_at_every_pixel(plan: WindowPlan) -> None:
    for axis in plan:
        weights = blend_weights(axis)
        total = np.zeros(axis.starts[-1] + axis.side)
        for start, part in zip(axis.starts, weights, strict=True):
            total[start : start + axis.side] += part
        assert (weights > 0).all()
        np.testing.assert_allclose(total, 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("length", "side", "count"),
    [
        (512, 512, 1),
        (660, 672, 1),  # within 1.3 windows: one, a little larger
        (665, 672, 1),
        (700, 416, 2),
        (1500, 448, 4),  # 512 would be 4 windows as well
        (4000, 480, 11),
        (6000, 448, 17),
        (1, 32, 1),
        (33, 64, 1),
    ],
)
def test_windows_are_as_few_and_small_as_the_overlap_allows(length: int, side: int, count: int) -> None:
    axis = plan(length, length).rows
    assert (axis.side, len(axis.starts)) == (side, count)


def test_the_middle_of_a_window_counts_most() -> None:
    weights = blend_weights(Axis(160, 64, (0, 48, 96)))
    assert weights[1, 32] == 1  # no other reaches there
    assert weights[1, 0] < 0.01


@pytest.mark.parametrize("size", [(1, 1), (5, 70), (70, 5), (3, 3), (40, 64)])
def test_a_small_picture_is_mirrored_beyond_its_edge(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    part = cut_window(image, Window(0, 0, 96, 96))
    assert part.shape == (96, 96, 3)
    assert np.array_equal(part[: size[0], : size[1]], image)
    if size[0] > 1:
        assert np.array_equal(part[size[0], : size[1]], image[-2])  # reflected at the last row, which is not doubled


def test_inside_a_picture_nothing_is_copied() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    assert np.shares_memory(cut_window(image, Window(10, 20, 64, 64)), image)


@pytest.mark.parametrize(("size", "overlap"), [((0, 5), 0.2), ((5, 5), 0.95), ((5, 5), -0.1)])
def test_what_cannot_be_planned_is_told(size: tuple[int, int], overlap: float) -> None:
    with pytest.raises(ValueError, match=r"overlap must be|cannot be cut"):
        plan(*size, overlap=overlap)
