"""All Metrics of a set in one value: what is added up, what is averaged, what the JSON calls it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.errors import ConfigError
from core.inference.metrics import ConfusionMatrix
from core.inference.scores import ScoreConfig, Scores
from core.inference.scores_text import score_lines

LABELS = LabelSet.of(["crack", "stain"])
Mask = NDArray[np.uint8]


def square(left: int, *, class_id: int = 1) -> Mask:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, left : left + 10] = class_id
    return mask


def scores_of(*pairs: tuple[Mask, Mask], config: ScoreConfig | None = None) -> Scores:
    scores = Scores(LABELS, config)
    for number, pair in enumerate(pairs):
        scores.add(f"p{number}.png", *pair)
    return scores


NOTHING = np.zeros((40, 60), np.uint8)
PAIRS = ((square(10), square(12)), (square(10), NOTHING), (NOTHING, square(30)), (square(20), square(20)))
MASK_PAIRS = st.lists(
    st.tuples(
        arrays(np.uint8, (8, 9), elements=st.sampled_from([0, 1, 2, 255])),
        arrays(np.uint8, (8, 9), elements=st.integers(0, 2)),
    ),
    min_size=1,
    max_size=4,
)


@given(MASK_PAIRS)
def test_what_the_confusion_matrix_gives_stays_where_it_is(pairs: list[tuple[Mask, Mask]]) -> None:
    matrix = ConfusionMatrix(3)
    for truth, prediction in pairs:
        matrix.add(truth, prediction)
    found = json.loads(json.dumps(scores_of(*pairs).to_json(), allow_nan=False))
    wanted = matrix.to_json(LABELS)
    for name, ratios in wanted.pop("classes").items():
        assert {key: found["classes"][name][key] for key in ratios} == ratios
    assert {key: found[key] for key in wanted} == wanted


@given(MASK_PAIRS)
def test_objects_and_bands_of_pictures_add_up(pairs: list[tuple[Mask, Mask]]) -> None:
    scores = scores_of(*pairs)
    found = scores.to_json()
    for i, name in enumerate(("crack", "stain")):
        parts = [picture["classes"][name]["objects"] for picture in found["per_picture"]]
        for key in ("hits", "misses", "false_alarms"):
            assert found["classes"][name]["objects"][key] == sum(part[key] for part in parts)
        bands = [picture.boundaries[i] for picture in scores.pictures]
        either = sum(band.either for band in bands)
        wanted = sum(band.shared for band in bands) / either if either else None
        assert found["classes"][name]["boundary"]["iou"] == wanted
        assert sum(found["classes"][name]["boundary"]["pictures"].values()) == len(pairs)


@given(MASK_PAIRS)
def test_each_picture_alone_has_the_figures_of_a_set_of_one(pairs: list[tuple[Mask, Mask]]) -> None:
    all_of_them = scores_of(*pairs).to_json()["per_picture"]
    for pair, found in zip(pairs, all_of_them, strict=True):
        alone = scores_of(pair).to_json()
        for key in ("mean_iou", "mean_iou_foreground", "mean_dice", "mean_dice_foreground"):
            assert found[key] == alone[key] == alone["mean_of_pictures"][key]
        for name in LABELS.names:
            for key in ("iou", "dice", "precision", "recall"):
                assert found["classes"][name][key] == alone["classes"][name][key]


def test_distances_are_means_over_the_pictures_where_both_have_the_label() -> None:
    found = scores_of(*PAIRS).to_json()["classes"]["crack"]["boundary"]
    assert found["pictures"] == {"both": 2, "missed": 1, "false alarm": 1, "hidden": 0, "absent": 0}
    assert found["hausdorff_95_px_mean_of_pictures"] == (2 + 0) / 2
    assert found["hausdorff_95_unit_mean_of_pictures"] is None
    assert 0 < found["mean_distance_px_mean_of_pictures"] < 1


def test_a_label_in_no_picture_has_no_figures() -> None:
    found = scores_of(*PAIRS).to_json()["classes"]["stain"]
    assert found["iou_interval"] is found["boundary"]["iou"] is found["objects"]["f1"] is None
    assert found["boundary"]["pictures"]["absent"] == 4


def test_objects_of_all_labels_are_counted_together() -> None:
    pair = (square(10) + square(30, class_id=2), square(10))
    found = scores_of(pair).to_json()
    assert found["objects_of_all_labels"] == {
        "hits": 1,
        "misses": 1,
        "false_alarms": 0,
        "precision": 1,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
    }


def test_a_pixel_size_gives_distances_in_the_unit_too() -> None:
    config = ScoreConfig(pixel_size=0.25, unit="m")
    found = scores_of(PAIRS[0], config=config).to_json()
    boundary = found["per_picture"][0]["classes"]["crack"]["boundary"]
    assert (boundary["hausdorff_95_px"], boundary["hausdorff_95_unit"]) == (2, 0.5)
    assert boundary["mean_distance_unit"] == 0.25 * boundary["mean_distance_px"]
    summary = found["classes"]["crack"]["boundary"]
    assert summary["hausdorff_95_unit_mean_of_pictures"] == 0.5
    assert found["measured"]["unit"] == "m"
    assert any("95 % Hausdorff 2.00 px = 0.5 m" in line for line in score_lines(found))


def test_the_band_is_a_share_of_the_diagonal_of_each_picture() -> None:
    narrow, wide = (
        scores_of(PAIRS[0], config=ScoreConfig(band_share=share)).to_json()["boundary_iou_mean_of_labels"]
        for share in (0.01, 0.5)
    )
    iou = scores_of(PAIRS[0]).matrix.iou()[1]
    assert narrow < wide
    assert wide == pytest.approx(iou)


def test_intervals_hold_the_figures_of_the_set_and_four_pictures_have_none() -> None:
    found = scores_of(*PAIRS, *PAIRS).to_json()
    low, high = found["classes"]["crack"]["iou_interval"]
    assert low < found["classes"]["crack"]["iou"] < high
    low, high = found["intervals"]["all_objects_f1"]
    assert low <= found["objects_of_all_labels"]["f1"] <= high
    alone = scores_of(*PAIRS).to_json()
    assert set(alone["intervals"].values()) == {None}
    assert alone["classes"]["crack"]["objects"]["f1_interval"] is None


def test_without_a_picture_there_are_no_figures() -> None:
    found = scores_of().to_json()
    assert found["mean_iou"] is found["boundary_iou_mean_of_labels"] is found["mean_of_pictures"]["mean_iou"] is None
    assert found["per_picture"] == []


def test_pictures_may_be_left_out_of_the_json() -> None:
    assert "per_picture" not in scores_of(*PAIRS).to_json(per_picture=False)


def test_lines_say_what_was_found_what_was_missed_and_how_sure_it_is() -> None:
    lines = score_lines(scores_of(*PAIRS, *PAIRS).to_json())
    assert lines[0].startswith("8 pictures: mean IoU over all classes with background 0.")
    assert lines[2].startswith("  crack: IoU 0.4")
    assert lines[3].endswith("(means over 4 pictures; missed in 2; false alarm in 2)")
    assert lines[4].endswith("found 4, missed 2, false alarms 2")
    assert lines[5].startswith("  stain: IoU none (not in these pictures)")
    assert "middle 95 %" in lines[6]
    assert len(lines) == 7


def test_lines_of_a_label_that_was_never_found_have_no_distance() -> None:
    lines = score_lines(scores_of(PAIRS[1]).to_json())
    assert lines[3] == "    border: no distance, missed in 1"
    assert "In brackets" not in lines[-1]


@pytest.mark.parametrize(
    "setting", [{"band_share": 0}, {"band_share": 1.5}, {"connectivity": 6}, {"pixel_size": 0}, {"pixel_size": -1}]
)
def test_settings_that_cannot_be_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ScoreConfig(**setting)  # type: ignore[arg-type]
