"""Annotate: import, then the editor: choose a picture, draw, correct, save, next."""

import streamlit as st

from core.project.project import Project
from pages.ui import frame
from pages.ui.cached import rows_of
from pages.ui.editor.surface import show_editor
from pages.ui.import_form import import_form
from pages.ui.person import author
from pages.ui.running_import import import_of


def annotate_page(project: Project) -> None:
    rows = rows_of(project)
    unread = import_of(project) is not None  # one goes on, or its report was not closed yet
    above, below = st.container(), st.container()
    if rows:
        with below:
            _show_editor(project, {row.name for row in rows})
    place = above if unread or not rows else below  # in the way only while it matters
    with place, st.expander("Import pictures and labels", icon=":material/upload:", expanded=unread or not rows):
        import_form(project)
    if not rows:
        st.info("This project has no picture yet. Import some above; labels that you already have come in with them.")


def _show_editor(project: Project, names: set[str]) -> None:
    sample = st.query_params.get("sample")
    if sample is not None and sample not in names:
        st.warning(f"There is no picture {frame.escape(sample)} in this project. It may have been removed.")
        sample = None
    show_editor(project.folder.name, sample=sample, author=author(), stamp=str(len(names)))


frame.run(annotate_page, "Annotate")
