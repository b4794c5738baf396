"""Deploy: how fast a model is here, taking it along, and asking it from other programs."""

import streamlit as st

from core.project.project import Project
from pages.ui import frame
from pages.ui.api_panel import show_api
from pages.ui.back_ends import show_back_ends
from pages.ui.model_export import show_model_export
from pages.ui.models import choose_model


def deploy_page(project: Project) -> None:
    model = choose_model(project)
    if model is None:
        return
    with st.container(border=True):
        st.subheader("On this machine", anchor=False)
        with frame.shown_errors():
            show_back_ends(project, model)
    with st.container(border=True):
        st.subheader("Take it along", anchor=False)
        with frame.shown_errors():
            show_model_export(project, model)
    with st.container(border=True):
        st.subheader("Ask it from other programs", anchor=False)
        with frame.shown_errors():
            show_api(project, model)


frame.run(deploy_page, "Deploy")
