"""Fix it: scribbles over a Prediction, what they change, and the way into the Project."""

from typing import Final

import streamlit as st

from core.annotation.edit import paint_strokes
from core.annotation.labels import LabelSet
from core.annotation.overlay import overlay
from core.annotation.raster import Mask
from core.images import RGB, encode_jpeg
from core.inference.predict import Prediction
from core.project.draft import draft_path, remove_draft
from core.project.project import Project
from pages.ui import session
from pages.ui.charts import label_text
from pages.ui.correction import changes, save_correction
from pages.ui.frame import escape, shown_errors
from pages.ui.pictures import Picture
from pages.ui.scribble import Zoom, view_of
from pages.ui.scribble_panel import scribble_panel
from pages.ui.words import count
from pages.ui.zoom import mask_part, picture_part

_CANVAS: Final = 600  # pixels of the screen
_PREVIEW: Final = 300  # a side of the corrected picture


def choose_fix(key: str) -> bool:
    """The switch; off again after each save."""
    saves = st.session_state.get(f"saves-{key}", 0)
    return st.toggle(
        "Fix it", key=f"fix-{key}-{saves}", help="Paint what is missing, erase what is wrong, and save it."
    )


@st.fragment
def show_fix(
    project: Project, picture: Picture, image: RGB, prediction: Prediction, labels: LabelSet, *, key: str, drafted: str
) -> None:
    """The canvas, and beside it the corrected mask, what was changed, and the way to save. A stroke renews only this.

    key: names picture, page, model and what its mask is made by; `drafted` the first three: strokes that are not saved
    are found again whatever thresholds, clean-up or backend have become.
    """
    version = st.session_state.setdefault(f"version-{key}", _version(project, picture))
    draft = draft_path(project, f"predictions/{drafted}")
    left, right = st.columns([3, 1])
    with shown_errors():
        with left:
            strokes = scribble_panel(
                image, prediction.mask, labels, key=key, draft=draft, base_version=0, width=_CANVAS
            )
        corrected = paint_strokes(prediction.mask, strokes)
        with right:
            _show_corrected(image, corrected, labels)
            pixels = _show_changes(prediction.mask, corrected, labels)
            save = st.button("Save as correction", type="primary", icon=":material/save:", key=f"save-{key}")
        if save:
            sample = save_correction(project, picture, prediction, corrected, labels, base_version=version)
            remove_draft(draft)
            session.SCRIBBLES.clear()
            del st.session_state[f"version-{key}"]
            st.session_state[f"saves-{key}"] = st.session_state.get(f"saves-{key}", 0) + 1
            session.SAVED.set(f"{sample} is in the project as done, with {count(pixels, 'pixel')} changed.")
            st.rerun()


def _version(project: Project, picture: Picture) -> int:
    return project.annotation_version(picture.sample) if picture.sample is not None else 0


def _show_corrected(image: RGB, corrected: Mask, labels: LabelSet) -> None:
    view = view_of(image, Zoom(), canvas_width=_PREVIEW, canvas_height=_PREVIEW)
    opacity = max(session.OPACITY.get(), 30) / 100
    shown = overlay(picture_part(image, view), mask_part(corrected, view), labels, opacity=opacity)
    st.image(encode_jpeg(shown), caption="The corrected mask", width=view.canvas_width)


def _show_changes(before: Mask, after: Mask, labels: LabelSet) -> int:
    """What the strokes changed, by class; returns the number of pixels."""
    changed = changes(before, after, labels)
    pixels = sum(change.added for change in changed)
    if changed:
        st.markdown(f"**{count(pixels, 'pixel')} changed**, {100 * pixels / after.size:.2f} % of the picture")
        st.markdown("\n".join(f"- {escape(label_text(c.label))} +{c.added:,} −{c.removed:,}" for c in changed))
    else:
        st.caption("Nothing is changed. A prediction that is right may be saved as it is: it teaches, too.")
    return pixels
