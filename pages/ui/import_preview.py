"""What an import would bring, before anything is written: figures, labels and what they are called here, examples."""

from typing import Final

import streamlit as st

from core.project.preview import FoundLabel, ImportPreview, mapping_of
from core.project.project import Project
from pages.ui.frame import escape
from pages.ui.running_import import RunningImport, begin_import, forget_import
from pages.ui.words import count

_PATIENCE: Final = 1.0  # seconds that a page waits for a short import before it shows a bar
_LINES_SHOWN: Final = 6
_MANY: Final = 8  # labels that fit without scrolling
_LEAVE_OUT: Final = "leave out"
_AS_NEW: Final = "as a new label"


def show_preview(project: Project, going: RunningImport, preview: ImportPreview) -> None:
    """The preview of a look that is over, with the way to go on."""
    with st.container(border=True, key="import-preview"):
        found = f"{count(preview.pictures, 'picture')} and {count(preview.annotations, 'annotation')}"
        st.markdown(f"**{found}** in the format {escape(preview.title)}. Nothing is written yet.")
        if going.examples:
            for column, (name, data) in zip(st.columns(3), going.examples, strict=False):
                column.image(data, caption=escape(name), width="stretch")
        chosen = _choose_labels(project, preview) if preview.labels else {}
        _show_problems(preview)
        with st.container(horizontal=True):
            if st.button("Import", type="primary", icon=":material/upload:", key="import-now"):
                forget_import(project)
                begin_import(project, going.request, mapping_of(preview, chosen)).over.wait(_PATIENCE)
                st.rerun()
            st.button("Choose something else", key="import-other", on_click=forget_import, args=(project,))


def _choose_labels(project: Project, preview: ImportPreview) -> dict[str, str | None]:
    """What each label found is called here; None for those to leave out."""
    st.markdown(f"**{count(len(preview.labels), 'label')}**: what shall they be called here?")
    here = [label.name for label in project.settings.labels.foreground]
    chosen: dict[str, str | None] = {}
    with st.container(height=320 if len(preview.labels) > _MANY else "content", border=False):
        columns = st.columns(2)
        for i, label in enumerate(preview.labels):
            with columns[i % 2]:
                chosen[label.name] = _choose_label(label, here)
    return chosen


def _choose_label(label: FoundLabel, here: list[str]) -> str | None:
    """The name here: one of the Project's, the label's own as a new one, or none."""
    options = [*here, _LEAVE_OUT] if label.name in here else [_AS_NEW, *here, _LEAVE_OUT]
    answer = st.selectbox(
        f"{escape(label.name)} ({count(label.shapes, 'shape')})",
        options,
        index=options.index(label.proposed or _AS_NEW),
        key=f"map-{label.name}",
    )
    return None if answer == _LEAVE_OUT else label.name if answer == _AS_NEW else answer


def _show_problems(preview: ImportPreview) -> None:
    lines = [f"- {escape(sentence)}" for sentence in preview.problems]
    if lines:
        st.markdown("**To know before:**\n" + "\n".join(lines[:_LINES_SHOWN]))
    if len(lines) > _LINES_SHOWN:
        with st.expander(f"{len(lines) - _LINES_SHOWN} more"):
            st.markdown("\n".join(lines[_LINES_SHOWN:]))
