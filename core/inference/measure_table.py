"""Measures of objects together: a line for each label, and a table of all objects for other programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from core.annotation.labels import LabelSet
from core.images import ImageSize
from core.inference.measure import ObjectMeasure

_NAMES: Final = tuple(field.name for field in fields(ObjectMeasure))
_PARTS: Final = {"centroid_xy": ("centroid_x", "centroid_y"), "box": ("left", "top", "width", "height")}
_HEADER: Final = tuple(column for name in _NAMES for column in _PARTS.get(name, (name,)))
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class LabelSummary:
    """All objects of one label. share: of the area of all objects; of_picture: of its pixels, None if not known.

    Medians and means are None without objects. skeleton: of the thin objects together, None if there are none.
    """

    label: str
    count: int
    touching_border: int
    area_px: int
    area_unit: float | None
    share: float | None
    of_picture: float | None
    mean_area_px: float | None
    median_area_px: float | None
    median_area_unit: float | None
    median_length_px: float | None
    median_length_unit: float | None
    median_diameter_px: float | None
    median_diameter_unit: float | None
    skeleton_px: float | None
    skeleton_unit: float | None


def summary(
    measures: Sequence[ObjectMeasure], labels: LabelSet, *, size: ImageSize | None = None
) -> list[LabelSummary]:
    """One line for each label but background, in their order, also for those without objects.

    size: of the picture, or of all pictures together as one, for the share of its pixels.
    """
    of_label: dict[str, list[ObjectMeasure]] = {name: [] for name in labels.names[1:]}
    for row in measures:
        of_label[row.label].append(row)
    everything = sum(row.area_px for row in measures)
    return [_summary(name, rows, everything, size) for name, rows in of_label.items()]


def measures_csv(rows: Iterable[ObjectMeasure]) -> bytes:
    """A table with a line an object, UTF-8 with the mark that spreadsheets want, empty where there is no value.

    A label that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    writer.writerows(_csv_row(row) for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _summary(name: str, rows: Sequence[ObjectMeasure], everything: int, size: ImageSize | None) -> LabelSummary:
    area = sum(row.area_px for row in rows)
    return LabelSummary(
        label=name,
        count=len(rows),
        touching_border=sum(row.touches_border for row in rows),
        area_px=area,
        area_unit=_total(row.area_unit for row in rows),
        share=area / everything if everything else None,
        of_picture=area / size.pixels if size is not None and size.pixels else None,
        mean_area_px=area / len(rows) if rows else None,
        median_area_px=_median(row.area_px for row in rows),
        median_area_unit=_median(row.area_unit for row in rows),
        median_length_px=_median(row.length_px for row in rows),
        median_length_unit=_median(row.length_unit for row in rows),
        median_diameter_px=_median(row.diameter_px for row in rows),
        median_diameter_unit=_median(row.diameter_unit for row in rows),
        skeleton_px=_total(row.skeleton_px for row in rows),
        skeleton_unit=_total(row.skeleton_unit for row in rows),
    )


def _total(values: Iterable[float | None]) -> float | None:
    """The sum of those that are known; None when none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _csv_row(row: ObjectMeasure) -> Iterator[Any]:
    for name in _NAMES:
        value = getattr(row, name)
        if isinstance(value, bool):
            yield int(value)
        elif isinstance(value, tuple):
            yield from value
        else:
            yield f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
