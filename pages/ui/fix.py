"""Fix it: scribbles over a Prediction, what they change, and the way into the Project."""

from dataclasses import dataclass, field
from typing import Final

import streamlit as st

from core.annotation.edit import Stroke, paint_strokes
from core.annotation.labels import LabelSet
from core.annotation.overlay import overlay
from core.annotation.raster import Mask
from core.images import RGB, ImageSize, encode_jpeg
from core.inference.predict import Prediction
from core.project.project import Project
from pages.ui import session
from pages.ui.cached import Shelf
from pages.ui.charts import label_text
from pages.ui.correction import changes, save_correction
from pages.ui.frame import escape, shown_errors
from pages.ui.pictures import Picture
from pages.ui.scribble import ERASER, View, picture_of, scribble, view_of
from pages.ui.words import count
from pages.ui.zoom import choose_zoom, mask_part, picture_part

_WIDTH: Final = 600  # of each of the two pictures on the screen, in pixels
_HEIGHT: Final = 560
_backgrounds: Final = Shelf[bytes](limit=50_000_000)


@dataclass
class _Draft:
    """A correction that is not saved yet. `mask`: with the strokes of earlier views; `strokes`: those of this view."""

    mask: Mask
    base_version: int  # of the Sample's Annotation when the correction began
    canvas: int = 0  # counts the views: each gets an empty canvas
    view: View | None = None
    strokes: list[Stroke] = field(default_factory=list)


@st.fragment
def show_fix(
    project: Project, picture: Picture, image: RGB, prediction: Prediction, labels: LabelSet, *, key: str
) -> None:
    """The scribble canvas beside the corrected mask, and "Save as correction". A stroke renews only this part."""
    draft = _draft(project, picture, prediction, key)
    st.caption("Choose what to paint, then draw on the left picture. The right one shows the corrected mask.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        class_id = _choose_class(labels, key)
        brush = st.slider("Brush in picture pixels", 1, 200, _brush(image), key=f"brush-{key}", width=260)
    zoom = choose_zoom(ImageSize(*prediction.mask.shape), key=f"fix-{key}")
    view = view_of(image, zoom, canvas_width=_WIDTH, canvas_height=_HEIGHT)
    if view != draft.view:  # what was drawn so far becomes part of the mask, and the canvas is an empty one
        draft.mask = paint_strokes(draft.mask, draft.strokes)
        draft.strokes, draft.view, draft.canvas = [], view, draft.canvas + 1
    canvas = f"canvas-{key}-{draft.canvas}"
    left, right = st.columns(2)
    with left:
        background = _background(image, draft.mask, view, labels, canvas)
        draft.strokes = scribble(picture_of(background, view), view, labels, key=canvas, class_id=class_id, brush=brush)
    corrected = paint_strokes(draft.mask, draft.strokes)
    opacity = session.OPACITY.get() / 100
    shown = overlay(picture_part(image, view), mask_part(corrected, view), labels, opacity=opacity)
    right.image(encode_jpeg(shown), width=view.canvas_width)
    _offer_save(project, picture, prediction, corrected, draft, labels, key)


def _draft(project: Project, picture: Picture, prediction: Prediction, key: str) -> _Draft:
    name = f"draft-{key}"
    if name not in st.session_state:
        version = project.annotation_version(picture.sample) if picture.sample is not None else 0
        st.session_state[name] = _Draft(prediction.mask, version)
    draft: _Draft = st.session_state[name]
    return draft


def _background(image: RGB, mask: Mask, view: View, labels: LabelSet, canvas: str) -> bytes:
    """What is drawn on: the mask as it was when this view began; it must stay while strokes are drawn over it."""
    background = _backgrounds.get(canvas)
    if background is None:
        background = encode_jpeg(overlay(picture_part(image, view), mask_part(mask, view), labels))
        _backgrounds.put(canvas, background, len(background))
    return background


def _choose_class(labels: LabelSet, key: str) -> int:
    names = {i: label_text(label.name) for i, label in enumerate(labels.labels) if i}
    options = [*names, ERASER]
    return st.segmented_control(
        "Paint",
        options,
        default=options[0],
        required=True,
        format_func=lambda class_id: names.get(class_id, "Erase"),
        key=f"paint-{key}",
    )


def _offer_save(
    project: Project,
    picture: Picture,
    prediction: Prediction,
    corrected: Mask,
    draft: _Draft,
    labels: LabelSet,
    key: str,
) -> None:
    """What was changed, and the two ways on."""
    changed = changes(prediction.mask, corrected, labels)
    pixels = sum(change.added for change in changed)
    if changed:
        words = "; ".join(f"{escape(label_text(c.label))} +{c.added:,} −{c.removed:,}" for c in changed)
        st.markdown(f"**{count(pixels, 'pixel')} changed** ({100 * pixels / corrected.size:.2f} %): {words}")
    else:
        st.caption("Nothing is changed. A prediction that is right may be saved as it is: it teaches, too.")
    with st.container(horizontal=True), shown_errors():
        if st.button("Save as correction", type="primary", icon=":material/save:", key=f"save-{key}"):
            sample = save_correction(project, picture, prediction, corrected, labels, base_version=draft.base_version)
            draft.base_version = project.annotation_version(sample)
            session.SAVED.set(f"{sample} is in the project, done, with {count(pixels, 'pixel')} changed.")
            st.rerun()
        if changed and st.button("Start over", key=f"over-{key}"):
            st.session_state[f"draft-{key}"] = _Draft(prediction.mask, draft.base_version, draft.canvas)
            st.rerun(scope="fragment")


def _brush(image: RGB) -> int:
    """A first width: a fortieth of the picture, within what the slider has."""
    return min(200, max(2, round(max(image.shape[:2]) / 40)))
