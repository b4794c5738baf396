"""Table of contents: what `app.py` runs first on each page."""

from pathlib import Path

import streamlit as st

from core.project.home import ensure_sample_project, samples_are_made
from pages.ui.links import PAGES

st.set_page_config(page_title="Maskloop", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide")

if not samples_are_made():
    with st.spinner("Making the sample projects; this happens once."):
        ensure_sample_project()

page = st.navigation(
    [
        st.Page(entry.file, title=entry.title, icon=entry.icon, url_path=name, default=name == "projects")
        for name, entry in PAGES.items()
    ],
    position="top",
)
page.run()
