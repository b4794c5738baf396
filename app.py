"""The server: pages and our own HTTP routes on one port, behind one guard. `streamlit run app.py` starts all."""

import streamlit as st
from starlette.middleware import Middleware

from core.networks.runtime import share_cores
from core.serving.guard import Guard
from core.serving.routes import ROUTES
from pages.ui.editor.surface import ROUTES as EDITOR_FILES

share_cores()  # before torch comes in with the first prediction: a training may run beside it
app = st.App("pages/ui/shell.py", routes=[*ROUTES, *EDITOR_FILES], middleware=[Middleware(Guard)])
