"""Correct and save the Annotation of one picture; what to do when somebody else saved it in between."""

import getpass

import streamlit as st

from core.annotation.edit import merge_edited, paint_strokes
from core.annotation.shapes import Annotation
from core.errors import ReadError, StaleSaveError
from core.images import ImageSize
from core.project.draft import Draft, draft_path, read_draft, remove_draft, write_draft
from core.project.project import Project
from core.project.sample import SampleState
from pages.ui import session
from pages.ui.cached import stamp_of
from pages.ui.frame import escape, show_error, shown_errors
from pages.ui.opened import Drawing, drawing_in, drawing_of, image_of
from pages.ui.picture_list import Choice, open_picture
from pages.ui.scribble_panel import scribble_panel
from pages.ui.words import count, moment


@st.fragment
def show_correction(project: Project, choice: Choice, version: int) -> None:
    """The canvas over the picture of `choice`, and the ways on. A stroke renews only this part.

    version: the one that is on the screen.
    """
    row, after = choice.row, choice.after
    with shown_errors():
        image = image_of(project, row.image)
        size = ImageSize(*image.shape[:2])
        drawing, draft = drawing_of(project, row.name, size), draft_path(project, row.name)
        key = f"{project.folder.name}-{row.name}-{version}-{stamp_of(project.annotation_path(row.name)):x}"
        if drawing.stamp.version != version:
            st.rerun()  # it was saved elsewhere while this part of the page was on the screen
        try:
            kept = read_draft(draft)
        except ReadError as error:
            show_steps(choice)
            show_error(error)
            st.button("Throw them away", key=f"damaged-{key}", on_click=_throw_away, args=(project, row.name))
            return
        if kept is not None and kept.base_version != version:
            show_steps(choice)
            _settle(project, row.name, drawing, kept, size)
            return
        actions = st.container(horizontal=True, vertical_alignment="center")
        with actions:
            show_steps(choice)
        labels = project.settings.labels
        strokes = scribble_panel(image, drawing.mask, labels, key=key, draft=draft, base_version=version)
        with actions:
            state = _choose_save(key, drawing, bool(strokes), after)
            if state is not None:
                edited = paint_strokes(drawing.mask, strokes)
                merged = merge_edited(drawing.annotation, edited, labels) if strokes else drawing.annotation
                _save(project, row.name, merged, state[0], version)
                if state[1] and after is not None:
                    open_picture(after)
                st.rerun()
            if strokes:
                st.caption(f"{count(len(strokes), 'stroke')} not saved yet", width="content")
                st.button(
                    "Throw away", type="tertiary", key=f"over-{key}", on_click=_throw_away, args=(project, row.name)
                )


def show_steps(choice: Choice) -> None:
    """Previous and next, with the keyboard. No callback: inside a fragment that would renew the fragment only."""
    steps = ("Previous", "arrow_back", "pageup", choice.before), ("Next", "arrow_forward", "pagedown", choice.after)
    with st.container(horizontal=True, width="content"):
        for label, icon, shortcut, name in steps:
            icon, key = f":material/{icon}:", f"step-{label}"
            if st.button(label, icon=icon, shortcut=shortcut, disabled=name is None, key=key) and name is not None:
                open_picture(name)
                st.rerun()


def author() -> str:
    """Who saves: the name of the account that the app runs under."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "someone"


def _choose_save(key: str, drawing: Drawing, changed: bool, after: str | None) -> tuple[SampleState, bool] | None:
    """The state to save with, and whether to go on to the next picture; None while nothing is chosen."""
    done = drawing.stamp.state == "done" and not changed
    if st.button(
        "Save",
        type="primary",
        icon=":material/save:",
        shortcut="ctrl+s",
        key=f"save-{key}",
        disabled=done,
        help="The picture counts as done: training learns from it. Without a label it teaches what background is.",
    ):
        return "done", False
    if st.button("Save and next", icon=":material/done_all:", shortcut="s", key=f"next-{key}", disabled=after is None):
        return "done", True
    if st.button("Not finished yet", shortcut="n", key=f"doing-{key}", help="Keep what is drawn; training waits."):
        return "doing", False
    return None


def _save(project: Project, sample: str, annotation: Annotation, state: SampleState, version: int | None) -> None:
    """Save over `version`; the draft has done its work then. A stale save leaves both, and the page asks."""
    try:
        saved = project.save_annotation(sample, annotation, author=author(), state=state, base_version=version)
    except StaleSaveError:
        return
    _throw_away(project, sample)
    session.SAVED.clear()
    st.toast(f"{escape(sample)} is saved as version {saved}.", icon=":material/check_circle:")


def _throw_away(project: Project, sample: str) -> None:
    session.SCRIBBLES.clear()
    remove_draft(draft_path(project, sample))


def _settle(project: Project, sample: str, theirs: Drawing, mine: Draft, size: ImageSize) -> None:
    """Somebody saved another version while strokes were drawn over an earlier one: the person chooses."""
    stamp = theirs.stamp
    who = escape(stamp.author or "Another program")
    st.warning(
        f"**{who} saved version {stamp.version} at {escape(moment(stamp.time))} while you were correcting version "
        f"{mine.base_version}.** Your {count(len(mine.strokes), 'stroke')} are kept; each version stays in the history."
    )
    with st.container(horizontal=True):
        if st.button("Put my strokes on theirs", type="primary", key="stale-both"):
            write_draft(draft_path(project, sample), stamp.version, mine.strokes)
            session.SCRIBBLES.clear()
            st.rerun()
        if st.button("Keep mine", key="stale-mine", help="Your version is saved on top of theirs."):
            _save(project, sample, _mine(project, sample, mine, size), "done", None)
            st.rerun()
        if st.button("Take theirs", key="stale-theirs", help="Your strokes are thrown away."):
            _throw_away(project, sample)
            st.rerun()


def _mine(project: Project, sample: str, mine: Draft, size: ImageSize) -> Annotation:
    """The version that the strokes were drawn over, with them."""
    path = project.history / sample / f"{mine.base_version}.json"
    if mine.base_version and not path.is_file():
        raise ReadError(
            f"Version {mine.base_version} of {sample} is not in the history any more.",
            hint="Put your strokes on the present version instead.",
        )
    base = drawing_in(project, path, size)
    labels = project.settings.labels
    return merge_edited(base.annotation, paint_strokes(base.mask, mine.strokes), labels)
