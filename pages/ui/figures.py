"""The figures behind the first ones: precision, recall, borders, objects and how sure they are. Folded, as a table."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from core.annotation.labels import LabelSet
from core.inference.bootstrap import LEAST_PICTURES
from core.inference.scores import Json
from pages.ui.charts import label_text
from pages.ui.words import count, score

_MEANINGS: Final = {
    "IoU": "The pixels that truth and prediction share, of all that either has.",
    "Dice": "The same, with the shared pixels counted twice: kinder than IoU, and also called F1.",
    "Precision": "How much of what was predicted is right; false alarms lower it.",
    "Recall": "How much of what is there was found; misses lower it.",
    "Boundary IoU": "IoU of the pixels close to the borders only, within {band} % of the picture's diagonal.",
    "95 % Hausdorff": "95 % of the border lies at most this far from the other border: how bad the worse places are.",
    "Mean distance": "How far the borders lie apart on average.",
    "Object F1": "Precision and recall in one, of whole objects; one counts as found when its IoU is above a half.",
    "Found, missed, false": "How many objects that is: in truth and found, in truth only, predicted only.",
}
_CASES: Final = {
    "missed": "not predicted",
    "false alarm": "predicted where there is none",
    "hidden": "with its border where nothing is labelled",
}


def show_figures(metrics: Mapping[str, Any], labels: LabelSet) -> None:
    """A table with a row for each label, and a sentence for each column. metrics: what `Scores.to_json` gives."""
    unit = metrics["measured"]["unit"] if metrics["measured"]["pixel_size"] is not None else "px"
    shown = {name: metrics["classes"][name] for name in labels.names[1:] if name in metrics["classes"]}
    st.dataframe([_row(name, values, unit) for name, values in shown.items()], hide_index=True, width="stretch")
    notes = [f"{label_text(name)}: {text}" for name, values in shown.items() if (text := _note(values["boundary"]))]
    if notes:
        st.caption("Distances leave out pictures where one of both lacks the label. " + ". ".join(notes) + ".")


def show_meanings(metrics: Mapping[str, Any]) -> None:
    """A sentence for each column of `show_figures`, and one on how sure they are."""
    lines = [f"**{name}**: {text}" for name, text in _MEANINGS.items()]
    if any(value is not None for value in metrics["intervals"].values()):
        drawn = metrics["measured"]["bootstrap"]
        lines.append(
            f"**In brackets**: where it lies in {100 * drawn['share']:g} % of the cases when as many pictures are "
            "drawn from these again and again. Few pictures make it wide; pictures that are alike make it too narrow."
        )
    else:
        lines.append(f"How sure they are can be said from {LEAST_PICTURES} pictures on.")
    text = "\n".join(f"- {line}" for line in lines)
    st.caption(text.replace("{band}", f"{100 * metrics['measured']['band_share']:.2g}"))


def has_figures(metrics: Mapping[str, Any] | None) -> bool:
    """Whether `show_figures` has what it needs; Runs of earlier versions measured less."""
    return metrics is not None and {"measured", "intervals"} <= metrics.keys()


def _row(name: str, values: Json, unit: str) -> dict[str, str]:
    boundary, objects = values["boundary"], values["objects"]
    ending = "px" if unit == "px" else "unit"
    return {
        "Label": label_text(name),
        "IoU": score(values["iou"]) + _between(values["iou_interval"]),
        "Dice": score(values["dice"]) + _between(values["dice_interval"]),
        "Precision": score(values["precision"]),
        "Recall": score(values["recall"]),
        "Boundary IoU": score(boundary["iou"]),
        "95 % Hausdorff": _distance(boundary[f"hausdorff_95_{ending}_mean_of_pictures"], unit),
        "Mean distance": _distance(boundary[f"mean_distance_{ending}_mean_of_pictures"], unit),
        "Object F1": score(objects["f1"]) + _between(objects["f1_interval"]),
        "Found, missed, false": f"{objects['hits']:,}, {objects['misses']:,}, {objects['false_alarms']:,}",
    }


def _note(boundary: Json) -> str:
    """Which pictures have no distance."""
    pictures = boundary["pictures"]
    found = [f"{words} in {count(pictures[case], 'picture')}" for case, words in _CASES.items() if pictures[case]]
    return ", ".join(found)


def _between(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})"


def _distance(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.3g} {unit}"
