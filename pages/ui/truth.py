"""A Prediction against the truth that a person brings: a mask picture or a Labelme file."""

import hashlib
from pathlib import PurePath
from typing import Any, Final

import streamlit as st

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask, annotation_to_mask
from core.errors import ReadError
from core.formats.labelme import fit_to_picture, read_labelme
from core.formats.mask_coding import detect_coding
from core.formats.mask_png import decode_mask, read_mask_file
from core.images import ImageInfo, ImageSize
from core.inference.metrics import ConfusionMatrix
from core.inference.scores import Json, ScoreConfig, Scores
from core.project.project import Project, ProjectSettings
from pages.ui.cached import Shelf
from pages.ui.charts import label_text, show_confusion
from pages.ui.figures import show_figures, show_meanings
from pages.ui.pictures import Picture
from pages.ui.words import score

_ENDINGS: Final = ("", "_mask", "-mask", "_masks", "_gt", "_label", "_labels")
_figures: Final = Shelf[Json](limit=100)
_HELP: Final = {
    "Mean IoU of the labels": "The IoU of each label that occurs, averaged, without background; all count alike.",
    "Mean IoU": "The IoU of each class that occurs, background included, averaged.",
    "Micro IoU": "Hits of all classes over hits, misses and false alarms of all classes: large classes count more.",
    "Pixel accuracy": "The share of labelled pixels that got their class. High wherever background is large.",
}


def choose_truth(project: Project, picture: Picture, size: ImageSize, labels: LabelSet, *, alone: bool) -> Mask | None:
    """The truth of a picture in ids of `labels`: its annotation in the Project, else a file of its name, else none.

    alone: it is the only picture, so a file of another name must be its truth, too.
    """
    if picture.sample is not None and picture.page == 0:
        annotation = project.read_annotation(picture.sample)
        if annotation is not None and annotation.size == size:
            return annotation_to_mask(annotation, labels, unknown=IGNORE_ID)
    with st.expander("Compare with the truth", icon=":material/rule:"):
        files = st.file_uploader(
            "Masks (PNG) or Labelme files (JSON) of these pictures",
            accept_multiple_files=True,
            key="predict-truth",
            help="A file belongs to the picture of the same name up to its suffix, or to the only picture.",
        )
        stem = PurePath(picture.name).stem
        names = {stem + ending for ending in _ENDINGS}
        fitting = [file for file in files if PurePath(file.name).stem in names] or (files[:1] if alone else [])
        if not fitting:
            if files:
                st.caption(f"None of these files has the name of {picture.name}.")
            return None
        if PurePath(fitting[0].name).stem != stem:
            st.caption(f"{fitting[0].name} is taken as the truth of {picture.name}.")
    return read_truth(fitting[0].getvalue(), fitting[0].name, picture.info(), size, labels)


def read_truth(data: bytes, name: str, info: ImageInfo, size: ImageSize, labels: LabelSet) -> Mask:
    """The Mask in a truth file, in ids of `labels`. Raises ReadError when it is neither, or not of this picture."""
    if data.lstrip()[:1] == b"{":
        annotation, _ = fit_to_picture(read_labelme(data, name=name), info)
        return annotation_to_mask(annotation, labels, unknown=IGNORE_ID)
    raw = read_mask_file(data, name=name)
    coding = detect_coding([raw], labels)
    unknown = coding.labels.names[len(labels) :]
    if unknown:
        raise ReadError(
            f"{name} holds {', '.join(unknown[:5])}, which the model does not know.",
            hint=f"It knows {', '.join(labels.names[1:])}, as class ids 1 to {len(labels) - 1}.",
        )
    mask = decode_mask(raw, coding)
    if mask.shape != tuple(size):
        raise ReadError(
            f"{name} is {ImageSize(*mask.shape)}, its picture {size}.",
            hint="Give the mask that was drawn on this picture, not resized.",
        )
    return mask


def show_metrics(truth: Mask, prediction: Mask, labels: LabelSet, settings: ProjectSettings, *, key: str) -> None:
    """Each figure with its name and how it is averaged; more of them when the person unfolds them."""
    matrix = ConfusionMatrix(len(labels))
    matrix.add(truth, prediction)
    figures = (matrix.mean_iou_foreground, matrix.mean_iou, matrix.micro_iou, matrix.pixel_accuracy)
    for column, (name, text), value in zip(st.columns(4), _HELP.items(), figures, strict=True):
        column.metric(name, score(value), help=text, border=True)
    rows: list[dict[str, Any]] = [
        {"Label": label_text(name), "IoU": score(iou), "Dice": score(dice)}
        for name, iou, dice in zip(labels.names, matrix.iou(), matrix.dice(), strict=True)
    ]
    left, right = st.columns(2)
    left.dataframe(rows[1:] + rows[:1], hide_index=True, width="stretch")
    with right:
        show_confusion(matrix.counts, labels, key=f"confusion-{key}")
    more = st.expander("More figures", icon=":material/table_chart:", key=f"more-{key}", on_change="rerun")
    if more.open:
        with more:
            found = _measured(truth, prediction, labels, settings, key=key)
            show_figures(found, labels)
            show_meanings(found)


def _measured(truth: Mask, prediction: Mask, labels: LabelSet, settings: ProjectSettings, *, key: str) -> Json:
    """Remembered: on a large picture the borders take seconds. key: names the prediction."""
    key = f"{key}:{hashlib.blake2b(truth.tobytes()).hexdigest()}:{settings.pixel_size}:{settings.unit}"
    found = _figures.get(key)
    if found is None:
        with st.spinner("Measuring borders and objects"):
            scores = Scores(labels, ScoreConfig(pixel_size=settings.pixel_size, unit=settings.unit))
            scores.add("", truth, prediction)
            found = scores.to_json()
        _figures.put(key, found, 1)
    return found
