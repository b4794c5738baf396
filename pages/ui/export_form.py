"""Taking the labels out: the format, what goes with it, how true the file is, and the file."""

from datetime import datetime
from functools import partial
from typing import Final
from urllib.parse import quote

import streamlit as st

from core.formats import FORMATS
from core.formats.dataset import Part
from core.project.exporting import PARTS, ExportReport, exports_folder
from core.project.project import Project
from pages.ui.frame import escape
from pages.ui.progress import show_failure, show_progress
from pages.ui.running_export import Wish, begin_export, export_of, forget_export
from pages.ui.words import memory

_PATIENCE: Final = 1.0  # seconds that a page waits for a short export before it shows a bar
PURPOSES: Final = {
    "labelme": "Opens in Labelme. Keeps everything: shapes, holes, order, groups.",
    "coco": "For Detectron2, MMDetection, FiftyOne and most training code: polygons, and RLE where a shape has holes.",
    "labelstudio": "Tasks with polygons and brush masks, to import into Label Studio.",
    "cvat": "CVAT for images 1.1, to upload as annotations of a CVAT task.",
    "voc": "Pascal VOC: one picture of classes and one of objects for each picture.",
    "yolo": "For Ultralytics: a text file for each picture, and data.yaml.",
    "masks": "One PNG for each picture, its pixels the numbers of the labels; exact to the pixel.",
    "geojson": "For QGIS and other maps: on the Earth where the picture says where it lies, else in pixels.",
}
_PART_NAMES: Final = {"train": "training", "val": "validation", "test": "test"}


def export_form(project: Project, parts: dict[str, int]) -> None:
    """The whole block. parts: how many finished pictures each part of the split has."""
    going = export_of(project)
    if going is not None and not going.over.is_set():
        show_progress(going, key=f"export-{project.folder.name}")
        return
    if (
        going is not None
        and not show_failure(going, forget=partial(forget_export, project))
        and going.report is not None
    ):
        _show_report(project, going.report)
    choice, options = st.columns([2, 3])
    format = choice.selectbox(
        "Format", list(PURPOSES), format_func=lambda name: FORMATS[name].title, key="export-format", bind="query-params"
    )
    choice.caption(PURPOSES[format])
    part = options.segmented_control(
        "Pictures",
        ["all", *(part for part in PARTS if parts.get(part))],
        format_func=lambda part: _PART_NAMES.get(part, "all that are done"),
        default="all",
        required=True,
        key="export-part",
        help="Which pictures train and which validate stays as it is here in the formats that can say it.",
    )
    with_pictures = options.toggle("Put the pictures into the zip, too", True, key="export-pictures")
    if st.button("Export", type="primary", icon=":material/download:", key="export-now"):
        chosen: Part | None = next((known for known in PARTS if known == part), None)
        begin_export(project, Wish(format, chosen, with_pictures)).over.wait(_PATIENCE)
        st.rerun()
    st.caption("The file is read again and compared pixel for pixel, so you know what it holds.")
    _show_files(project)


def _show_report(project: Project, report: ExportReport) -> None:
    with st.container(border=True, key="export-report"):
        first, *more = report.sentences()
        icon = ":green[:material/check_circle:]" if report.pixel_iou == 1 else ":orange[:material/info:]"
        st.markdown(f"{icon} **{escape(first)}**")
        if more:
            st.markdown("\n".join(f"- {escape(sentence)}" for sentence in more))
        st.button("Close the report", key="close-export", on_click=forget_export, args=(project,))


def _show_files(project: Project) -> None:
    """What was exported and lies on the disk, newest first."""
    folder = exports_folder(project)
    found = sorted(folder.glob("*.zip"), key=lambda path: path.stat().st_mtime, reverse=True) if folder.is_dir() else []
    if not found:
        return
    st.markdown("**Ready to download**")
    for path in found:
        status = path.stat()
        name, made, remove = st.columns([5, 3, 1], vertical_alignment="center")
        address = f"/api/projects/{quote(project.folder.name)}/exports/{quote(path.name)}"
        name.link_button(escape(path.name), address, icon=":material/folder_zip:", type="tertiary")
        made.caption(f"{memory(status.st_size)}, {datetime.fromtimestamp(status.st_mtime):%d %b %H:%M}")
        remove.button(
            "Delete",
            key=f"delete-{path.name}",
            icon=":material/delete:",
            type="tertiary",
            help="Deletes this zip; your labels stay.",
            on_click=path.unlink,
            args=(True,),
        )
