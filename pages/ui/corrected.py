"""The total area of each label, corrected by what the model gets wrong on the validation pictures."""

from typing import Any, Final

import streamlit as st

from core.annotation.raster import Mask, class_pixels
from core.inference.bootstrap import LEAST_PICTURES
from core.inference.corrected_area import CorrectedArea, corrected_area
from core.inference.metrics import ConfusionMatrix, PixelCounts
from core.inference.predict import decided
from core.project.project import Project, ProjectSettings
from pages.ui.cached import Shelf
from pages.ui.charts import label_text
from pages.ui.held_back import held_back, judged
from pages.ui.models import Model
from pages.ui.words import count

_counts: Final = Shelf[list[PixelCounts]](limit=100)


def show_corrected(project: Project, model: Model, mask: Mask, *, key: str) -> None:
    """A button, then the table. key: names the model, its thresholds and its clean-up."""
    names = held_back(project, model.card)
    if not names:
        return
    counts = _counts.get(key)
    if counts is None:
        if not st.button(
            "Correct the areas by the model's bias",
            icon=":material/balance:",
            key="correct-areas",
            help=f"Predicts {count(len(names), 'labelled validation picture')} and compares areas.",
        ):
            return
        with st.spinner("Predicting the validation pictures"):
            counts = []
            for one in judged(project, model.folder, names):
                matrix = ConfusionMatrix(len(model.card.labels))
                matrix.add(one.truth, decided(one.undecided, model.card).mask)
                counts.append(matrix.pixels)
        _counts.put(key, counts, 1)
    predicted = class_pixels(mask, range(len(model.card.labels)))
    found = corrected_area([float(pixels) for pixels in predicted.values()], counts)
    labels = model.card.labels.names
    st.dataframe(
        [_row(labels[i], area, project.settings) for i, area in enumerate(found) if i],
        hide_index=True,
        width="stretch",
    )
    few = f" An interval needs {LEAST_PICTURES} pictures." if len(counts) < LEAST_PICTURES else ""
    st.caption(
        f"From {count(len(counts), 'validation picture')}: what was drawn there over what was predicted. It assumes "
        "that this picture is like those. Where the factor is near 1 the correction is no better than none; where it "
        f"is far from 1 the predicted area is off by about so much, and the interval is rather too narrow.{few}"
    )


def _row(name: str, area: CorrectedArea, settings: ProjectSettings) -> dict[str, Any]:
    scale = 1.0 if settings.pixel_size is None else settings.pixel_size**2
    unit = "px" if settings.pixel_size is None else f"{settings.unit}²"

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value * scale:,.4g}"

    interval = area.interval
    return {
        "Label": label_text(name),
        f"Predicted, {unit}": shown(area.predicted),
        "Factor": "-" if area.factor is None else f"{area.factor:.2f}",
        f"Corrected, {unit}": shown(area.corrected),
        "Between": "-" if interval is None else f"{shown(interval.low)} and {shown(interval.high)}",
    }
