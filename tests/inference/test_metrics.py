import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from core.annotation.labels import LabelSet
from core.inference.metrics import ConfusionMatrix


def matrix(truth: list[list[int]], prediction: list[list[int]], classes: int = 2) -> ConfusionMatrix:
    found = ConfusionMatrix(classes)
    found.add(np.array(truth, np.uint8), np.array(prediction, np.uint8))
    return found


def test_rows_are_truth_and_columns_prediction() -> None:
    assert matrix([[0, 1, 1]], [[1, 1, 0]]).counts.tolist() == [[0, 1], [1, 1]]


def test_half_found_has_iou_a_half_and_dice_two_thirds() -> None:
    found = matrix([[0, 0, 1, 1]], [[0, 0, 0, 1]])
    assert found.iou() == [pytest.approx(2 / 3), 0.5]
    assert found.dice() == [0.8, pytest.approx(2 / 3)]
    assert found.pixel_accuracy == 0.75
    assert found.mean_iou == pytest.approx(7 / 12)
    assert found.mean_iou_foreground == 0.5


def test_pixels_that_are_not_labelled_count_nowhere() -> None:
    assert matrix([[255, 255, 1]], [[0, 1, 1]]).counts.tolist() == [[0, 0], [0, 1]]


def test_precision_asks_what_was_predicted_and_recall_what_is_there() -> None:
    found = matrix([[0, 1, 1, 1, 1, 0]], [[0, 1, 0, 0, 0, 1]])
    assert found.precision() == [0.25, 0.5]
    assert found.recall() == [0.5, 0.25]


def test_without_a_pixel_predicted_there_is_no_precision_and_without_one_in_truth_no_recall() -> None:
    found = matrix([[0, 1]], [[0, 2]], classes=4)
    assert found.precision() == [1, None, 0, None]
    assert found.recall() == [1, 0, None, None]


def test_a_class_that_does_not_occur_has_no_iou_and_leaves_the_mean_alone() -> None:
    found = matrix([[0, 1]], [[0, 1]], classes=4)
    assert found.iou() == [1, 1, None, None]
    assert found.mean_iou == found.mean_dice == 1


def test_a_class_found_where_there_is_none_has_iou_zero() -> None:
    assert matrix([[0, 0]], [[0, 2]], classes=3).iou() == [0.5, None, 0]


def test_without_labelled_pixels_nothing_is_known() -> None:
    found = matrix([[255]], [[0]])
    assert (found.mean_iou, found.micro_iou, found.pixel_accuracy, found.mean_iou_foreground) == (None,) * 4


@pytest.mark.parametrize("classes", [2, 5])
def test_all_ratios_equal_those_of_scikit_learn(classes: int) -> None:
    random = np.random.default_rng(classes)
    truth = random.integers(0, classes, (90, 70), dtype=np.uint8)
    prediction = np.where(random.random(truth.shape) < 0.7, truth, random.integers(0, classes, truth.shape)).astype(
        "u1"
    )
    truth[random.random(truth.shape) < 0.1] = 255
    found = ConfusionMatrix(classes)
    found.add(truth, prediction)
    known = truth != 255
    y, p = truth[known], prediction[known]
    np.testing.assert_allclose(found.iou(), jaccard_score(y, p, average=None))
    np.testing.assert_allclose(found.dice(), f1_score(y, p, average=None))
    np.testing.assert_allclose(found.precision(), precision_score(y, p, average=None))
    np.testing.assert_allclose(found.recall(), recall_score(y, p, average=None))
    assert found.counts.tolist() == confusion_matrix(y, p).tolist()
    assert found.mean_iou == pytest.approx(jaccard_score(y, p, average="macro"))
    assert found.mean_dice == pytest.approx(f1_score(y, p, average="macro"))
    assert found.micro_iou == pytest.approx(jaccard_score(y, p, average="micro"))
    accuracy = accuracy_score(y, p)
    assert found.pixel_accuracy == pytest.approx(accuracy)
    assert found.micro_iou == pytest.approx(accuracy / (2 - accuracy))
    assert found.mean_iou_foreground == pytest.approx(np.mean(jaccard_score(y, p, average=None)[1:]))
    assert found.mean_dice_foreground == pytest.approx(np.mean(f1_score(y, p, average=None)[1:]))


def test_counts_of_pictures_add_up() -> None:
    both = matrix([[0, 1]], [[0, 1]])
    both.merge(matrix([[1, 1]], [[0, 1]]))
    assert both.counts.tolist() == matrix([[0, 1, 1, 1]], [[0, 1, 0, 1]]).counts.tolist()


def test_a_picture_of_many_pixels_is_counted_whole() -> None:
    truth = np.zeros((1100, 1000), np.uint8)
    truth[::2] = 1
    found = ConfusionMatrix(2)
    found.add(truth, truth)
    assert found.counts.tolist() == [[550_000, 0], [0, 550_000]]


def test_sizes_and_ids_that_cannot_be_are_told() -> None:
    with pytest.raises(ValueError, match=r"truth is \(1, 2\), prediction \(1, 1\)"):
        matrix([[0, 1]], [[0]])
    with pytest.raises(ValueError, match="class id 7 is out of range, there are 2"):
        matrix([[7]], [[0]])


def test_json_names_each_class() -> None:
    found = matrix([[0, 0, 1, 1]], [[0, 0, 0, 1]], classes=3).to_json(LabelSet.of(["crack", "stain"]))
    assert json.loads(json.dumps(found)) == {
        "classes": {
            "_background_": {"iou": pytest.approx(2 / 3), "dice": 0.8, "precision": pytest.approx(2 / 3), "recall": 1},
            "crack": {"iou": 0.5, "dice": pytest.approx(2 / 3), "precision": 1, "recall": 0.5},
            "stain": {"iou": None, "dice": None, "precision": None, "recall": None},
        },
        "mean_iou": pytest.approx(7 / 12),
        "mean_iou_foreground": 0.5,
        "mean_dice": pytest.approx(11 / 15),
        "mean_dice_foreground": pytest.approx(2 / 3),
        "micro_iou": pytest.approx(0.6),
        "pixel_accuracy": 0.75,
    }
