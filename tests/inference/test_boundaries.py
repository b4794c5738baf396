"""Borders and their distances, against brute force in scipy and against MONAI."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial.distance import cdist

from core.images import ImageSize
from core.inference.boundaries import BoundaryScore, band_width, measure_boundaries, measure_boundary

Region = NDArray[np.bool_]

REGIONS = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))
PAIRS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: st.tuples(*[arrays(np.bool_, size)] * 2))
MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st.tuples(
        arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 255])),
        arrays(np.uint8, size, elements=st.integers(0, 2)),
    )
)


def square(top: int, left: int, side: int, *, size: tuple[int, int] = (60, 80)) -> Region:
    region = np.zeros(size, bool)
    region[top : top + side, left : left + side] = True
    return region


def blobs(seed: int, *, size: tuple[int, int] = (120, 150)) -> Region:
    """Some discs, none at the edge."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    region = np.zeros(size, bool)
    for _ in range(6):
        row, column, radius = (
            random.integers(22, size[0] - 22),
            random.integers(22, size[1] - 22),
            random.integers(3, 20),
        )
        region |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return region


# ------------------------------------------------------------------------------------------------------ the oracle


def brute(truth: Region, prediction: Region, hidden: Region, band: float) -> BoundaryScore:
    """The same by definition: every pixel against every other, the picture framed by another class."""
    truth, prediction, hidden = (np.pad(region, 1) for region in (truth, prediction & ~hidden, hidden))
    bands, borders = [], []
    for region in (truth, prediction):
        inside, others = np.argwhere(region), np.argwhere(~region & ~hidden)
        away = cdist(inside, others).min(axis=1) if len(inside) else np.zeros(0)
        bands.append({tuple(pixel) for pixel in inside[away <= band]})
        borders.append(inside[away <= 1])
    shared, either = len(bands[0] & bands[1]), len(bands[0] | bands[1])
    if not truth.any() and not prediction.any():
        return BoundaryScore("absent")
    if not truth.any() or not prediction.any():
        return BoundaryScore("missed" if truth.any() else "false alarm", shared, either)
    if not len(borders[0]) or not len(borders[1]):
        return BoundaryScore("hidden", shared, either)
    table = cdist(*borders)
    there, back = table.min(axis=1), table.min(axis=0)
    hausdorff = max(np.percentile(there, 95), np.percentile(back, 95))
    return BoundaryScore("both", shared, either, hausdorff, float(np.concatenate([there, back]).mean()))


def same(found: BoundaryScore, wanted: BoundaryScore) -> None:
    assert (found.case, found.shared, found.either) == (wanted.case, wanted.shared, wanted.either)
    assert found.hausdorff_95 == (None if wanted.hausdorff_95 is None else pytest.approx(wanted.hausdorff_95))
    assert found.mean_distance == (None if wanted.mean_distance is None else pytest.approx(wanted.mean_distance))


@given(MASKS, st.sampled_from([1, 1.5, 2, 3]))
def test_every_class_equals_brute_force_with_pixels_that_are_not_labelled(
    masks: tuple[NDArray[np.uint8], NDArray[np.uint8]], band: float
) -> None:
    truth, prediction = masks
    for class_id, found in enumerate(measure_boundaries(truth, prediction, 3, band=band), start=1):
        same(found, brute(truth == class_id, prediction == class_id, truth == 255, band))


@pytest.mark.filterwarnings("ignore:monai:FutureWarning")  # MONAI calls itself in a way that it will drop
@pytest.mark.parametrize("seed", range(4))
def test_distances_of_discs_equal_those_of_monai_and_bands_those_of_scipy(seed: int) -> None:
    truth, prediction = blobs(2 * seed), blobs(2 * seed + 1)
    found = measure_boundary(truth, prediction, band=4)
    drawn, guessed = (torch.from_numpy(region)[None, None] for region in (truth, prediction))
    hausdorff = compute_hausdorff_distance(guessed, drawn, include_background=True, percentile=95)
    mean = compute_average_surface_distance(guessed, drawn, include_background=True, symmetric=True)
    assert found.hausdorff_95 == pytest.approx(float(hausdorff), rel=1e-5)
    assert found.mean_distance == pytest.approx(float(mean), rel=1e-5)
    bands = [region & (distance_transform_edt(region) <= 4) for region in (truth, prediction)]
    assert (found.shared, found.either) == (np.sum(bands[0] & bands[1]), np.sum(bands[0] | bands[1]))


# ------------------------------------------------------------------------------------------------------ properties


@given(PAIRS)
def test_truth_and_prediction_may_change_places(pair: tuple[Region, Region]) -> None:
    one, other = measure_boundary(*pair, band=2), measure_boundary(*pair[::-1], band=2)
    assert (one.iou, one.hausdorff_95, one.mean_distance) == (
        other.iou,
        other.hausdorff_95,
        pytest.approx(other.mean_distance),
    )


@given(PAIRS)
def test_figures_stay_in_their_bounds(pair: tuple[Region, Region]) -> None:
    found = measure_boundary(*pair, band=2)
    assert found.iou is None or 0 <= found.iou <= 1
    if found.case == "both":
        assert found.hausdorff_95 is not None
        assert found.mean_distance is not None
        assert found.mean_distance >= 0
        assert max(found.hausdorff_95, found.mean_distance) <= np.hypot(*pair[0].shape)


@given(REGIONS.filter(np.any))
def test_a_region_agrees_with_itself(region: Region) -> None:
    found = measure_boundary(region, region.copy(), band=2)
    assert (found.case, found.iou, found.hausdorff_95, found.mean_distance) == ("both", 1, 0, 0)


@given(PAIRS, st.integers(1, 5), st.integers(1, 5))
def test_where_in_the_picture_it_lies_changes_nothing(pair: tuple[Region, Region], down: int, right: int) -> None:
    one = measure_boundary(*(np.pad(region, ((6, 6), (6, 6))) for region in pair), band=2)
    other = measure_boundary(*(np.pad(region, ((6 + down, 1), (6 + right, 1))) for region in pair), band=2)
    assert one == other


def test_a_band_as_wide_as_the_picture_is_the_region_itself() -> None:
    truth, prediction = blobs(1), blobs(2)
    found = measure_boundary(truth, prediction, band=500)
    assert found.iou == pytest.approx(np.sum(truth & prediction) / np.sum(truth | prediction))


# -------------------------------------------------------------------------------------------------- known answers


def test_a_square_moved_by_three_pixels_is_three_away_where_its_sides_moved() -> None:
    found = measure_boundary(square(10, 10, 20), square(10, 13, 20), band=1)
    assert found.hausdorff_95 == 3
    assert found.mean_distance is not None
    assert 0 < found.mean_distance < 3
    assert found.either == 2 * 76 - found.shared
    assert found.shared == 2 * 17  # what is common to upper and lower sides


def test_an_outlier_of_few_pixels_does_not_move_the_95_percent() -> None:
    truth = square(5, 5, 40)
    prediction = truth.copy()
    prediction[58, 78] = True
    found = measure_boundary(truth, prediction, band=2)
    assert found.hausdorff_95 == 0
    assert found.mean_distance is not None
    assert found.mean_distance > 0


@pytest.mark.parametrize(
    ("truth", "prediction", "case", "iou"),
    [(1, 0, "missed", 0), (0, 1, "false alarm", 0), (0, 0, "absent", None), (1, 1, "both", 1)],
)
def test_a_class_that_one_of_both_lacks_has_no_distance(
    truth: int, prediction: int, case: str, iou: float | None
) -> None:
    drawn, found = (square(10, 10, 20).astype(np.uint8) * value for value in (truth, prediction))
    score = measure_boundaries(drawn, found, 3, band=2)[0]
    assert (score.case, score.iou) == (case, iou)
    assert (score.hausdorff_95, score.mean_distance) == ((0, 0) if case == "both" else (None, None))


def test_nothing_counts_where_nothing_is_labelled() -> None:
    truth = np.zeros((40, 60), np.uint8)
    truth[10:20, 10:20] = 1
    truth[:, 40:] = 255
    prediction = truth.copy()
    prediction[:, 40:] = 0
    prediction[5:30, 45:55] = 1  # wherever nobody looked
    assert measure_boundaries(truth, prediction, 2, band=2)[0].iou == 1
    assert measure_boundaries(truth, prediction, 2, band=2)[0].hausdorff_95 == 0


def test_a_region_whose_surroundings_are_not_labelled_has_a_hidden_border() -> None:
    truth = np.full((30, 30), 255, np.uint8)
    truth[10:20, 10:20] = 1
    score = measure_boundaries(truth, np.ones((30, 30), np.uint8), 2, band=2)[0]
    assert (score.case, score.iou, score.hausdorff_95) == ("hidden", None, None)


def test_the_edge_of_the_picture_is_a_border() -> None:
    whole = np.ones((20, 20), bool)
    assert measure_boundary(whole, whole, band=1).shared == 76


def test_a_long_picture_is_measured_to_its_end() -> None:
    truth, prediction = np.zeros((3, 9000), bool), np.zeros((3, 9000), bool)
    truth[:, 0] = prediction[:, -1] = True
    assert measure_boundary(truth, prediction, band=2).hausdorff_95 == pytest.approx(8999)


def test_the_band_is_two_per_cent_of_the_diagonal_and_a_pixel_at_least() -> None:
    assert band_width(ImageSize(300, 400)) == 10
    assert band_width(ImageSize(300, 400), 0.005) == 2
    assert band_width(ImageSize(4, 4)) == 1
