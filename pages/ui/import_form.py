"""Bringing pictures and labels into a Project: files, a zip, a folder; it ends with a report in words."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.errors import UserError
from core.formats import FORMATS
from core.formats.source import Source, open_source, source_of_uploads
from core.project.project import Project
from pages.ui import session
from pages.ui.frame import escape, show_error
from pages.ui.import_preview import show_preview
from pages.ui.running_import import Request, RunningImport, begin_look, forget_import, import_of
from pages.ui.words import duration

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
        st.fragment(_show_progress, run_every="1s")(project, going)
        return
    if going is not None and not _show_failure(project, going):
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


def _show_progress(project: Project, going: RunningImport) -> None:
    """How far the import is; when it is over the page takes over."""
    if going.over.is_set():
        st.rerun()
    left = going.seconds_left()
    text = f"{going.done:,} of {going.total:,}" if going.total else "Reading"
    st.progress(
        min(going.done / max(going.total, 1), 1.0),
        text + (f", about {duration(left)} left" if left is not None and left > 2 else ""),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Stop", key=f"stop-import-{project.folder.name}", on_click=going.stop.set)
        st.caption("You may leave this page: it goes on, and what it found waits here.", width="content")


def _show_failure(project: Project, going: RunningImport) -> bool:
    """Say why an import failed, once; False when it did not."""
    if going.failure is None:
        return False
    forget_import(project)
    if not isinstance(going.failure, UserError):
        raise going.failure
    show_error(going.failure)
    return True


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
