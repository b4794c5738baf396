"""A model for other programs: which form, how true the file is, and the file."""

from functools import partial
from typing import Final
from urllib.parse import quote

import streamlit as st

from core.networks.card import is_ensemble
from core.project.exporting import model_exports_folder
from core.project.project import Project
from pages.ui.frame import escape
from pages.ui.models import Model
from pages.ui.progress import show_failure, show_progress
from pages.ui.running_model import SUFFIXES, begin_model_export, export_work, forget_model_export
from pages.ui.words import memory

_TITLES: Final = {"package": "A package to take along (zip)", "onnx": "The network alone (ONNX)"}
_PURPOSES: Final = {
    "package": "Runs anywhere with a short script and onnxruntime, without Maskloop; the model inside carries what the "
    "QGIS plugin Deepness reads. Holds three of this project's pictures as examples.",
    "onnx": "For programs that take ONNX: any picture size that is a multiple of its step, normalised input, "
    "probabilities out.",
}


def show_model_export(project: Project, model: Model) -> None:
    """The whole block."""
    if is_ensemble(model.folder):
        st.info("An ensemble is several models and cannot be one file. Choose one of its models.")
        return
    going = export_work(project)
    if going is not None and not going.over.is_set():
        show_progress(going, key=f"model-export-{project.folder.name}")
        return
    if going is not None and not show_failure(going, forget=partial(forget_model_export, project)) and going.report:
        parity = going.report["parity"]
        st.success(
            f"Written and compared with the model: probabilities differ by at most {parity['max_difference']:.6f}, "
            f"the IoU of the masks is {parity['mask_iou']:.4f}.",
            icon=":material/check_circle:",
        )
    form = st.segmented_control(
        "Form",
        list(SUFFIXES),
        format_func=_TITLES.__getitem__,
        default="package",
        required=True,
        key="model-form",
        label_visibility="collapsed",
    )
    st.caption(_PURPOSES[form])
    if st.button("Make the file", key="model-export-now", icon=":material/inventory_2:"):
        begin_model_export(project, model.folder, form)
        st.rerun()
    folder = model_exports_folder(project)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix in SUFFIXES.values() and not path.name.startswith("."):
            address = f"/api/projects/{quote(project.folder.name)}/exports/models/{quote(path.name)}"
            label = f"{escape(path.name)}, {memory(path.stat().st_size)}"
            st.link_button(label, address, icon=":material/download:", type="tertiary")
