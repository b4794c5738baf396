"""Every object of a mask as a row: filtered, as a histogram, as a file."""

from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from core.annotation.labels import LabelSet
from core.files import safe_name
from core.images import RGB
from core.inference.measure import ObjectMeasure, measure
from core.inference.measure_table import measures_csv
from core.inference.predict import Prediction
from core.project.project import Project, ProjectSettings
from pages.ui.cached import Shelf
from pages.ui.charts import hex_of, label_text
from pages.ui.corrected import show_corrected
from pages.ui.models import Model
from pages.ui.words import count

_MOST: Final = 2000  # rows on the screen; the file holds all
_BINS: Final = 24
_measured: Final = Shelf[list[ObjectMeasure]](limit=400_000)  # objects
_CHOICES: Final = {
    "area": "Area",
    "length": "Length",
    "diameter": "Diameter",
    "perimeter": "Perimeter",
    "skeleton": "Middle line",
    "confidence": "Confidence",
    "intensity": "Intensity",
}


def show_measurements(
    project: Project, model: Model, image: RGB, prediction: Prediction, *, name: str, key: str, finish: str
) -> None:
    """Folded; nothing is measured until it is opened.

    key: names picture, model, thresholds and clean-up; `finish` the same without the picture.
    """
    part = st.expander("Measure the objects", icon=":material/straighten:", key="measure-part", on_change="rerun")
    if part.open:
        with part:
            _show(image, prediction, model.card.labels, project.settings, name=name, key=key)
            show_corrected(project, model, prediction.mask, key=finish)


@st.fragment
def _show(
    image: RGB, prediction: Prediction, labels: LabelSet, settings: ProjectSettings, *, name: str, key: str
) -> None:
    key = f"{key}:{settings.pixel_size}:{settings.unit}"
    found = _measured.get(key)
    if found is None:
        with st.spinner("Measuring"):
            found = measure(
                prediction.mask,
                labels,
                image=image,
                confidence=prediction.confidence,
                pixel_size=settings.pixel_size,
                unit=settings.unit,
            )
        _measured.put(key, found, len(found) + 1)
    if not found:
        st.info("There is no object in this mask.")
        return
    rows = _filtered(found, labels)
    what = st.pills(
        "Histogram of",
        list(_CHOICES),
        format_func=_CHOICES.__getitem__,
        default="area",
        required=True,
        key="measure-what",
    )
    unit = settings.unit if settings.pixel_size is not None else "px"
    _histogram(rows, labels, what, unit)
    table = [_row(one, unit) for one in rows[:_MOST]]
    empty = {name for name in _row(found[0], unit) if all(row[name] is None for row in table)}
    st.dataframe(
        [{name: value for name, value in row.items() if name not in empty} for row in table],
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 320),
        column_config={"Confidence": st.column_config.NumberColumn(format="percent")},
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Table (CSV)",
            lambda: measures_csv(rows),
            file_name=f"{safe_name(name)}_objects.csv",
            mime="text/csv",
            key="measure-csv",
            on_click="ignore",
            icon=":material/download:",
        )
        shown = f", the first {_MOST:,} shown" if len(rows) > _MOST else ""
        st.caption(
            f"{count(len(rows), 'object')} of {len(found):,}{shown}. Objects may touch at corners.", width="content"
        )


def _filtered(found: Sequence[ObjectMeasure], labels: LabelSet) -> list[ObjectMeasure]:
    """Those that the person wants to see."""
    names = [name for name in labels.names[1:] if any(one.label == name for one in found)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.pills(
            "Labels", names, selection_mode="multi", default=names, format_func=label_text, key=f"measure-{len(names)}"
        )
        least = st.number_input("Area from, pixels", 0, 10**9, 0, step=10, key="measure-least", width=160)
        sure = st.slider("Confidence from", 0, 100, 0, format="%d %%", key="measure-sure", width=180)
        whole = st.toggle("Without those at the edge", key="measure-whole", help="Cut off by the picture's edge.")
    return [
        one
        for one in found
        if one.label in chosen
        and one.area_px >= least
        and 100 * (one.mean_confidence or 0) >= sure
        and not (whole and one.touches_border)
    ]


def _value(one: ObjectMeasure, what: str, unit: str) -> float | None:
    if what in ("confidence", "intensity"):
        found: float | None = getattr(one, f"mean_{what}")
        return found
    value: float | None = getattr(one, f"{what}_px" if unit == "px" else f"{what}_unit")
    return value


def _row(one: ObjectMeasure, unit: str) -> dict[str, Any]:
    lengths = ("length", "diameter", "perimeter", "skeleton")
    return {
        "": one.index,
        "Label": label_text(one.label),
        f"Area, {unit}²": _value(one, "area", unit),
        **{f"{_CHOICES[what]}, {unit}": _rounded(_value(one, what, unit)) for what in lengths},
        "Intensity": _rounded(one.mean_intensity),
        "Confidence": one.mean_confidence,
        "x": round(one.centroid_xy[0], 1),
        "y": round(one.centroid_xy[1], 1),
        "At the edge": one.touches_border,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _histogram(rows: Sequence[ObjectMeasure], labels: LabelSet, what: str, unit: str) -> None:
    values = [
        {"label": label_text(one.label), "value": value}
        for one in rows
        if (value := _value(one, what, unit)) is not None
    ]
    if not values:
        st.caption("None of these objects has it.")
        return
    colors = {label_text(label.name): hex_of(label.color) for label in labels.foreground}
    ending = {"area": f", {unit}²", "confidence": "", "intensity": ", 0 to 255"}.get(what, f", {unit}")
    spec = {
        "height": 260,
        "mark": {"type": "bar", "binSpacing": 1},
        "encoding": {
            "x": {
                "field": "value",
                "bin": {"maxbins": _BINS},
                "type": "quantitative",
                "title": f"{_CHOICES[what]}{ending}",
            },
            "y": {"aggregate": "count", "type": "quantitative", "title": "objects", "axis": {"tickMinStep": 1}},
            "color": {
                "field": "label",
                "type": "nominal",
                "scale": {"domain": list(colors), "range": list(colors.values())},
                "legend": {"orient": "top", "title": None},
            },
        },
    }
    st.vega_lite_chart(values, spec, width="stretch", key="measure-chart")
