"""Bringing pictures and labels into a Project: files, a zip, a folder; it ends with a report in words."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.errors import UserError
from core.formats import FORMATS
from core.formats.source import Source, open_source, source_of_uploads
from core.project.importing import import_source
from core.project.project import Project
from pages.ui import session
from pages.ui.frame import escape, show_error
from pages.ui.words import duration

_WAYS: Final = {
    "files": "Files or a zip",
    "folder": "A folder, uploaded",
    "path": "A folder on this computer",
}
_FORMAT_WORDS: Final = {
    "auto": "Found by content",
    "labelme": "Labelme JSON",
    "masks": "Mask pictures",
    "images": "Pictures only",
}
_LINES_SHOWN: Final = 12


def import_form(project: Project) -> None:
    """The whole block; the report of the last import stays until it is closed."""
    show_report()
    key = f"{project.folder.name}-{session.UPLOADS.get()}"
    way = st.segmented_control(
        "Bring in", list(_WAYS), format_func=_WAYS.__getitem__, default="files", required=True, key=f"way-{key}"
    )
    given = _choose(way, key)
    with st.expander("Masks or pictures in another folder, format"):
        format_name = st.selectbox(
            "Format",
            ["auto", *FORMATS],
            format_func=lambda name: _FORMAT_WORDS.get(name, name),
            key=f"format-{key}",
        )
        images = st.text_input(
            "Folder of the pictures on this computer, when it is another one than that of the labels",
            key=f"images-{key}",
        )
    if st.button("Import", type="primary", icon=":material/upload:", disabled=given is None, key=f"import-{key}"):
        assert given is not None
        try:
            _import(project, given(), open_source(Path(images).expanduser()) if images.strip() else None, format_name)
        except UserError as error:
            show_error(error)
            return
        session.UPLOADS.set(session.UPLOADS.get() + 1)
        st.rerun()


def show_report() -> None:
    """What the last import said, in this session."""
    sentences = session.IMPORT_REPORT.get()
    if not sentences:
        return
    with st.container(border=True, key="import-report"):
        st.markdown(f"**{escape(sentences[0])}**")
        lines = [f"- {escape(sentence)}" for sentence in sentences[1:]]
        st.markdown("\n".join(lines[:_LINES_SHOWN]))
        if len(lines) > _LINES_SHOWN:
            with st.expander(f"{len(lines) - _LINES_SHOWN} more"):
                st.markdown("\n".join(lines[_LINES_SHOWN:]))
        if st.button("Close the report", key="close-report"):
            session.IMPORT_REPORT.clear()
            st.rerun()


def _choose(way: str, key: str) -> Callable[[], Source] | None:
    """What was given, to be opened when the import begins; None while nothing is."""
    if way == "path":
        path = st.text_input(
            "Folder, zip or file on this computer",
            placeholder="/home/me/pictures",
            help="The fastest way: nothing is uploaded. Folders in it are read, too.",
            key=f"path-{key}",
        )
        return (lambda: open_source(Path(path.strip()).expanduser())) if path.strip() else None
    uploads: Sequence[UploadedFile] = st.file_uploader(
        "Pictures with their Labelme JSON or masks",
        accept_multiple_files="directory" if way == "folder" else True,
        key=f"upload-{way}-{key}",
        help="JPEG, PNG, TIFF, BMP, WebP; Labelme JSON; mask PNG; labels.txt; or a zip of these.",
    )
    return (lambda: source_of_uploads([(file.name, file) for file in uploads])) if uploads else None


def _import(project: Project, source: Source, images: Source | None, format_name: str) -> None:
    bar, started, shown = st.progress(0.0, "Reading"), time.monotonic(), 0.0

    def show(done: int, total: int, name: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if done < total and now - shown < 0.2:
            return
        shown = now
        left = (now - started) / max(done, 1) * (total - done)
        text = f"{done:,} of {total:,}" + (f", about {duration(left)} left" if left > 2 else "")
        bar.progress(min(done / max(total, 1), 1.0), text)

    report = import_source(project, source, images=images, format=format_name, author="import", progress=show)
    bar.empty()
    session.IMPORT_REPORT.set(report.sentences())
