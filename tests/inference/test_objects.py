"""Objects matched, against matching all with all and against the panoptic quality of torchmetrics."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import label
from torchmetrics.functional.detection import panoptic_quality

from core.inference import objects
from core.inference.objects import Connectivity, Matched, match_objects, measure_objects

Region = NDArray[np.bool_]

PAIRS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda size: st.tuples(*[arrays(np.bool_, size)] * 2))
STRUCTURES = {4: [[0, 1, 0], [1, 1, 1], [0, 1, 0]], 8: np.ones((3, 3))}


def picture(*rows: str) -> Region:
    return np.array([[sign == "#" for sign in row] for row in rows])


def brute(truth: Region, prediction: Region, hidden: Region, connectivity: int) -> Matched:
    """Each object of the one with each of the other."""
    drawn, drawn_count = label(truth, STRUCTURES[connectivity])
    found, found_count = label(prediction, STRUCTURES[connectivity])
    hits, of_no_account = 0, 0
    for j in range(1, found_count + 1):
        whole = found == j
        seen = whole & ~hidden
        matches = [
            i for i in range(1, drawn_count + 1) if np.sum(seen & (drawn == i)) / np.sum(seen | (drawn == i)) > 0.5
        ]
        assert len(matches) < 2
        hits += len(matches)
        of_no_account += not matches and np.sum(seen) < np.sum(whole & hidden)
    return Matched(hits, drawn_count - hits, found_count - hits - of_no_account)


@given(PAIRS, st.sampled_from([4, 8]), st.integers(0, 99))
def test_counts_equal_those_of_matching_all_with_all(
    pair: tuple[Region, Region], connectivity: Connectivity, seed: int
) -> None:
    truth, prediction = pair
    hidden = (np.random.default_rng(seed).random(truth.shape) < 0.3) & ~truth
    found = match_objects(truth, prediction, hidden=hidden, connectivity=connectivity)
    assert found == brute(truth, prediction, hidden, connectivity)


@pytest.mark.parametrize("seed", range(5))
def test_f1_equals_the_recognition_quality_of_torchmetrics(seed: int) -> None:
    random = np.random.default_rng(seed)
    coarse = random.choice(3, (20, 20), p=(0.7, 0.15, 0.15)).astype(np.uint8)
    truth = np.kron(coarse, np.ones((5, 5), np.uint8))
    prediction = np.roll(truth, (1, seed % 2), (0, 1))
    prediction[random.random(truth.shape) < 0.1] = 0
    truth[:, 40:70] = 255
    found = measure_objects(truth, prediction, 3)
    numbered = [
        np.stack([mask, sum(label(mask == i, STRUCTURES[8])[0] for i in (1, 2))], axis=-1).astype(np.int64)
        for mask in (prediction, truth)
    ]
    quality = panoptic_quality(
        *(torch.from_numpy(mask)[None] for mask in numbered),
        things={1, 2},
        stuffs={0},
        return_sq_and_rq=True,
        return_per_class=True,
    )
    assert found.f1().tolist() == pytest.approx(quality[:2, 2].tolist())  # things come first
    assert 0 < found.f1()[0] < 1


@given(PAIRS)
def test_misses_and_false_alarms_change_places_with_truth_and_prediction(pair: tuple[Region, Region]) -> None:
    hits, misses, false_alarms = match_objects(*pair)
    assert match_objects(*pair[::-1]) == (hits, false_alarms, misses)


@given(PAIRS)
def test_many_objects_are_counted_the_same_way(pair: tuple[Region, Region]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_TABLE", 0)
        sorted_pairs = match_objects(*pair)
    assert sorted_pairs == match_objects(*pair)


@given(PAIRS)
def test_where_in_the_picture_it_lies_changes_nothing(pair: tuple[Region, Region]) -> None:
    assert match_objects(*(np.pad(region, ((3, 1), (0, 5))) for region in pair)) == match_objects(*pair)


@given(PAIRS)
def test_every_object_matches_itself(pair: tuple[Region, Region]) -> None:
    count = label(pair[0], STRUCTURES[8])[1]
    assert match_objects(pair[0], pair[0].copy()) == (count, 0, 0)


def test_half_in_common_is_not_enough() -> None:
    assert match_objects(picture("##"), picture("#.")) == (0, 1, 1)
    assert match_objects(picture("###"), picture("##.")) == (1, 0, 0)


def test_neighbours_by_a_corner_are_one_object_or_two() -> None:
    diagonal = picture("#.", ".#")
    assert match_objects(diagonal, diagonal) == (1, 0, 0)
    assert match_objects(diagonal, diagonal, connectivity=4) == (2, 0, 0)


def test_two_objects_that_run_together_are_two_misses_and_a_false_alarm() -> None:
    assert match_objects(picture("##.##"), picture("#####")) == (0, 2, 1)


def test_an_object_where_nothing_is_labelled_is_no_false_alarm() -> None:
    truth = np.array([[1, 1, 0, 0, 255, 255, 255]], np.uint8)
    prediction = np.array([[1, 1, 0, 1, 1, 1, 0]], np.uint8)
    found = measure_objects(truth, prediction, 2)
    assert [int(counts[0]) for counts in found] == [1, 0, 0]
    prediction[0, 5] = 0  # now half of it lies where it is known that there is none
    assert [int(counts[0]) for counts in measure_objects(truth, prediction, 2)] == [1, 0, 1]


def test_each_class_is_counted_for_itself() -> None:
    truth = np.array([[1, 1, 0, 2, 0, 2]], np.uint8)
    prediction = np.array([[1, 1, 0, 1, 0, 2]], np.uint8)
    found = measure_objects(truth, prediction, 4)
    assert [counts.tolist() for counts in found] == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert found.precision()[:2].tolist() == [0.5, 1]
    assert found.recall()[:2].tolist() == [1, 0.5]
    assert found.f1()[:2].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert np.isnan([found.f1()[2], found.precision()[2], found.recall()[2]]).all()


def test_a_model_of_background_alone_has_no_objects() -> None:
    empty = np.zeros((4, 4), np.uint8)
    assert measure_objects(empty, empty, 1).hits.shape == (0,)
