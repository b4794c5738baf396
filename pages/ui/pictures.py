"""The pictures that Predict looks at: uploaded, of the Project, or of a folder on this machine."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.errors import ReadError
from core.files import natural_key
from core.images import IMAGE_SUFFIXES, RGB, ImageInfo, IntensityRule, probe_image, read_image
from core.project.index import SampleRow
from core.project.project import Project
from pages.ui.cached import Shelf, rows_of, stamp_of

FROM_UPLOAD: Final = "Upload"
FROM_PROJECT: Final = "From the project"
FROM_FOLDER: Final = "From a folder"
_MOST: Final = 500  # pictures of a folder at once
_FIRST: Final = 20
_decoded: Final = Shelf[RGB](limit=600_000_000)
_digests: Final = Shelf[str](limit=5000)
_infos: Final = Shelf[ImageInfo](limit=5000)


@dataclass(frozen=True)
class Picture:
    """One picture and its page. `key` stands for its bytes; sample: its name in the Project, where it is one.

    path: where it is a file, so that a large one is not read only to be refused.
    """

    name: str  # file name with suffix
    key: str
    read: Callable[[], bytes]
    page: int = 0
    sample: str | None = None
    path: Path | None = None

    @property
    def id(self) -> str:
        return f"{self.key}:{self.page}"

    def info(self) -> ImageInfo:
        """What its header says. Raises ReadError for what is not a picture."""
        info = _infos.get(self.key)
        if info is None:
            info = probe_image(self.path or self.read(), name=self.name)
            _infos.put(self.key, info, 1)
        return info

    def decoded(self, intensity: IntensityRule) -> RGB:
        """(H, W, 3), as a model with this rule sees it; the last few stay decoded. Raises ReadError."""
        key = f"{self.id}:{intensity}"
        image = _decoded.get(key)
        if image is None:
            image = read_image(self.path or self.read(), page=self.page, intensity=intensity, name=self.name)
            _decoded.put(key, image, image.nbytes)
        return image


def choose_source() -> str:
    """Where the pictures come from."""
    sources = [FROM_UPLOAD, FROM_PROJECT, FROM_FOLDER]
    return st.segmented_control("Pictures", sources, default=FROM_UPLOAD, required=True, key="predict-source")


def choose_pictures(project: Project, source: str) -> list[Picture]:
    """The inputs; an empty list, with what to do next, while nothing is chosen."""
    match source:
        case "Upload":
            return _uploaded()
        case "From the project":
            return _of_project(project)
        case _:
            return _of_folder()


def choose_page(picture: Picture) -> Picture:
    """The page to look at, asked for where there are several."""
    pages = picture.info().pages
    if pages < 2:
        return picture
    page = st.number_input(f"Page (1 to {pages})", 1, pages, 1, key=f"page-{picture.key}", width=180)
    return replace(picture, page=page - 1)


def _uploaded() -> list[Picture]:
    files = st.file_uploader(
        "Pictures of any size: JPEG, PNG, TIFF, BMP, WebP",
        accept_multiple_files=True,
        key="predict-upload",
        help="They stay on this machine. Nothing is added to the project until you save a correction.",
    )
    return [Picture(file.name, _digest(file), file.getvalue) for file in files]


def _digest(file: UploadedFile) -> str:
    """Of its bytes, made once an upload: the same picture uploaded again is known."""
    digest = _digests.get(file.file_id)
    if digest is None:
        digest = hashlib.sha256(file.getvalue()).hexdigest()
        _digests.put(file.file_id, digest, 1)
    return digest


def _of_project(project: Project) -> list[Picture]:
    rows = rows_of(project)
    waiting = [row for row in rows if row.state != "done"]
    if not rows:
        st.info("This project has no picture yet.")
        return []
    all_ = st.toggle("Also those that are labelled", value=not waiting, key=f"predict-all-{project.folder.name}")
    key = f"predict-samples-{project.folder.name}"
    taken = st.session_state.setdefault(f"{key}-kept", [])  # one that was labelled just now stays
    offered = {row.name: row for row in rows if all_ or row.state != "done" or row.name in taken}
    if not offered:
        st.info("All pictures of this project are labelled.")
        return []
    chosen = st.session_state.setdefault(key, [name for name in taken if name in offered])
    first = list(offered)[:_FIRST]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = st.multiselect(f"Pictures, {len(offered)} to choose from", list(offered), key=key)
        if not chosen:
            label = "Take all" if len(first) == len(offered) else f"Take the first {len(first)}"
            st.button(label, key="predict-first", on_click=_take, args=(key, first))
    st.session_state[f"{key}-kept"] = names
    return [_of_row(project, offered[name]) for name in names]


def _take(key: str, names: list[str]) -> None:
    st.session_state[key] = names


def _of_row(project: Project, row: SampleRow) -> Picture:
    path = project.images / row.image
    return Picture(row.image, row.digest or row.stamp, partial(_bytes, path), sample=row.name, path=path)


def _of_folder() -> list[Picture]:
    text = st.text_input("Folder on the machine where Maskloop runs", key="predict-folder", placeholder="/data/flights")
    if not text.strip():
        return []
    folder = Path(text.strip()).expanduser()
    if not folder.is_dir():
        raise ReadError(f"{folder} is not a folder on this machine.", hint="Check the path.")
    paths = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES), key=lambda p: natural_key(p.name)
    )
    if not paths:
        raise ReadError(f"There is no picture in {folder}.", hint=f"It looks for {', '.join(IMAGE_SUFFIXES)}.")
    if len(paths) > _MOST:
        st.caption(f"The first {_MOST} of {len(paths)} pictures. For all of them: `python -m core predict`.")
    return [Picture(path.name, f"{path}:{stamp_of(path)}", partial(_bytes, path), path=path) for path in paths[:_MOST]]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read ({error.strerror or error}).", hint="Was it moved?") from error
