"""The history of one picture's Annotation: who saved what when, and back to any of it."""

import streamlit as st

from core.errors import UserError
from core.project.history import Version, restore, versions
from core.project.project import Project
from pages.ui import session
from pages.ui.correct import author
from pages.ui.frame import escape, show_error
from pages.ui.words import count, moment

_SHOWN = 20


def show_versions(project: Project, sample: str) -> None:
    """A folded list, read only when it is opened."""
    folded = st.expander("History", icon=":material/history:", key=f"history-{sample}", on_change="rerun")
    if not folded.open:
        return
    with folded:
        found = versions(project, sample)
        if not found:
            st.caption("Nothing is saved yet.")
        for version in found[:_SHOWN]:
            _show(project, sample, version)
        if len(found) > _SHOWN:
            st.caption(
                f"{count(len(found) - _SHOWN, 'earlier version')} in the project's folder, history/{escape(sample)}"
            )


def _show(project: Project, sample: str, version: Version) -> None:
    name = f"Version {version.name}" if version.name.isdecimal() else escape(version.name)
    who = f"{escape(version.author)}, " if version.author else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{name}** · {who}{escape(moment(version.time))} · {count(version.shapes, 'shape')} · {version.state}",
            width="stretch",
        )
        if version.current:
            st.caption("on the screen", width="content")
        else:
            st.button(
                "Restore",
                key=f"restore-{sample}-{version.name}",
                on_click=_restore,
                args=(project, sample, version.name),
            )


def _restore(project: Project, sample: str, version: str) -> None:
    """Goes before the page is drawn, so that it shows the restored one. A draft stays and asks what to do."""
    try:
        number = restore(project, sample, version, author=author())
    except UserError as error:
        show_error(error)
        return
    session.SCRIBBLES.clear()
    st.toast(f"Version {escape(version)} is back, as version {number}.", icon=":material/history:")
