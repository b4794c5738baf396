"""Summaries and the table, read again by other programs' rules."""

import csv
import io
from dataclasses import fields
from statistics import median

import numpy as np
import pytest

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask
from core.images import ImageSize
from core.inference.measure import ObjectMeasure, measure
from core.inference.measure_table import measures_csv, summary

LABELS = LabelSet.of(["crack", "stain"])


def squares() -> Mask:
    mask = np.zeros((40, 60), np.uint8)
    for side, left in ((2, 0), (4, 10), (9, 20)):
        mask[:side, left : left + side] = 2
    return mask


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_a_label_is_summed_up_and_one_without_objects_too() -> None:
    rows = measure(squares(), LABELS, pixel_size=0.5, unit="mm")
    crack, stain = summary(rows, LABELS, size=ImageSize(40, 60))
    assert (crack.label, crack.count, crack.area_px, crack.median_area_px) == ("crack", 0, 0, None)
    assert (crack.share, crack.of_picture, crack.area_unit) == (0, 0, None)
    assert (stain.count, stain.area_px, stain.median_area_px, stain.touching_border) == (3, 4 + 16 + 81, 16, 3)
    assert stain.area_unit == pytest.approx(101 / 4)
    assert stain.mean_area_px == pytest.approx(101 / 3)
    assert stain.median_length_unit == pytest.approx(median(row.length_px for row in rows) / 2)
    assert (stain.share, stain.of_picture) == (1, 101 / 2400)
    assert stain.skeleton_px is None


def test_without_objects_there_is_no_share() -> None:
    crack, _ = summary([], LABELS)
    assert (crack.share, crack.of_picture) == (None, None)


def test_the_table_says_what_was_measured() -> None:
    rows = measure(squares(), LABELS, pixel_size=0.5, unit="mm")
    table = rows_of(measures_csv(rows))
    assert len(table) == 3
    for row, line in zip(rows, table, strict=True):
        assert line["label"] == "stain"
        assert float(line["area_unit"]) == row.area_unit
        assert float(line["centroid_y"]) == row.centroid_xy[1]
        assert int(line["width"]) == row.box.width
        assert line["skeleton_px"] == line["mean_confidence"] == ""
        assert line["touches_border"] == "1"
    columns = {field.name for field in fields(ObjectMeasure)} - {"centroid_xy", "box"}
    assert columns < set(table[0])


def test_odd_labels_come_back_and_formulas_are_none() -> None:
    labels = LabelSet.of(["=1+1", 'a,"b"', "Riß"])
    mask = np.array([[1, 0, 2, 0, 3]], np.uint8)
    assert [line["label"] for line in rows_of(measures_csv(measure(mask, labels)))] == ["'=1+1", 'a,"b"', "Riß"]


def test_an_empty_table_has_its_header() -> None:
    assert measures_csv([]).decode("utf-8-sig").startswith("label,class_id,index,centroid_x,centroid_y,left,top,")
