"""Bringing pictures and labels into a Project: files, a zip, a folder; it ends with a report in words."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.formats import FORMATS
from core.formats.source import Source, open_source, source_of_uploads
from core.project.project import Project
from pages.ui import session
from pages.ui.frame import escape
from pages.ui.import_preview import show_preview
from pages.ui.progress import show_failure, show_progress
from pages.ui.running_import import Request, RunningImport, begin_look, forget_import, import_of

_WAYS: Final = {
    "files": "Files or a zip",
    "folder": "A folder, uploaded",
    "path": "A folder on this computer",
}
_LINES_SHOWN: Final = 12
_PATIENCE: Final = 1.0  # seconds that a page waits for a short import before it shows a bar


def import_form(project: Project) -> None:
    """The whole block: the form, or the look or import that goes on, or what it found until that is closed."""
    going = import_of(project)
    if going is not None and not going.over.is_set():
        show_progress(going, key=f"import-{project.folder.name}")
        return
    if going is not None and not show_failure(going, forget=partial(forget_import, project)):
        if going.preview is not None:
            show_preview(project, going, going.preview)
        else:
            _show_report(project, going)
        return
    key = f"{project.folder.name}-{session.UPLOADS.get()}"
    way = st.segmented_control(
        "Bring in", list(_WAYS), format_func=_WAYS.__getitem__, default="files", required=True, key=f"way-{key}"
    )
    given = _choose(way, key)
    with st.expander("Masks or pictures in another folder, format"):
        format_name = st.selectbox(
            "Format",
            ["auto", *FORMATS],
            format_func=lambda name: FORMATS[name].title if name in FORMATS else "Found by content",
            key=f"format-{key}",
        )
        folder = st.text_input(
            "Folder of the pictures on this computer, when it is another one than that of the labels",
            key=f"images-{key}",
        )
    if st.button("Look at it", type="primary", icon=":material/visibility:", disabled=given is None, key=f"look-{key}"):
        assert given is not None
        forget_import(project)
        elsewhere = partial(_open_path, folder) if folder.strip() else None
        begun = begin_look(project, Request(given, elsewhere, format_name))
        begun.over.wait(_PATIENCE)
        if begun.failure is None:  # else the form stays as it is, to be mended
            session.UPLOADS.set(session.UPLOADS.get() + 1)
        st.rerun()
    st.caption("Nothing is written before you have seen what would come in.")


def _show_report(project: Project, going: RunningImport) -> None:
    with st.container(border=True, key="import-report"):
        st.markdown(f"**{escape(going.sentences[0])}**")
        lines = [f"- {escape(sentence)}" for sentence in going.sentences[1:]]
        st.markdown("\n".join(lines[:_LINES_SHOWN]))
        if len(lines) > _LINES_SHOWN:
            with st.expander(f"{len(lines) - _LINES_SHOWN} more"):
                st.markdown("\n".join(lines[_LINES_SHOWN:]))
        st.button("Close the report", key="close-report", on_click=forget_import, args=(project,))


def _choose(way: str, key: str) -> Callable[[], Source] | None:
    """What was given, to be opened when the import begins; None while nothing is."""
    if way == "path":
        path = st.text_input(
            "Folder, zip or file on this computer",
            placeholder="/home/me/pictures",
            help="The fastest way: nothing is uploaded. Folders in it are read, too.",
            key=f"path-{key}",
        )
        return partial(_open_path, path) if path.strip() else None
    uploads: Sequence[UploadedFile] = st.file_uploader(
        "Pictures, with their labels if you have some",
        accept_multiple_files="directory" if way == "folder" else True,
        key=f"upload-{way}-{key}",
        help="Pictures: JPEG, PNG, TIFF, BMP, WebP. Labels: "
        + ", ".join(format.title for name, format in FORMATS.items() if name != "images")
        + ". Or a zip of these.",
    )
    return (lambda: source_of_uploads([(file.name, file) for file in uploads])) if uploads else None


def _open_path(text: str) -> Source:
    return open_source(Path(text.strip()).expanduser())
