"""A quiet way from a Project's Runs to TensorBoard."""

import streamlit as st

from core.project.project import Project
from core.training.tensorboard import board_address, close_board, has_events, open_board
from pages.ui.frame import shown_errors


def show_board(project: Project) -> None:
    """A button that starts TensorBoard, then the link to it. Nothing where no Run has events."""
    if not has_events(project):
        return
    address = board_address(project)
    with shown_errors(), st.container(horizontal=True, vertical_alignment="center"):
        if address is not None:
            st.link_button("To TensorBoard", address, icon=":material/open_in_new:")
            if st.button("Close TensorBoard", type="tertiary", key="close-board"):
                close_board(project)
                st.rerun()
        elif st.button(
            "Open TensorBoard",
            type="tertiary",
            icon=":material/monitoring:",
            help="Curves and sample pictures of all runs, in the program that many know. It runs on this machine only.",
            key="open-board",
        ):
            with st.spinner("TensorBoard starts."):
                open_board(project)
            st.rerun()
