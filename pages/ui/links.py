"""The pages by name, and links between them that keep the open Project."""

from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import streamlit as st

from pages.ui import session

_PAGES: Final = Path(__file__).resolve().parents[1]


class PageEntry(NamedTuple):
    """A page as the navigation shows it."""

    file: Path
    title: str
    icon: str


PAGES: Final = {
    "projects": PageEntry(_PAGES / "projects.py", "Projects", ":material/folder_open:"),
    "annotate": PageEntry(_PAGES / "annotate.py", "Annotate", ":material/draw:"),
    "dataset": PageEntry(_PAGES / "dataset.py", "Data set", ":material/grid_view:"),
    "train": PageEntry(_PAGES / "train.py", "Train", ":material/model_training:"),
    "predict": PageEntry(_PAGES / "predict.py", "Predict", ":material/image_search:"),
    "deploy": PageEntry(_PAGES / "deploy.py", "Deploy", ":material/rocket_launch:"),
}


def link(page: str, label: str, *, icon: str | None = None, **query: str) -> None:
    """A link to another page of the open Project; `query` is what that page looks at, as sample="a"."""
    st.page_link(PAGES[page].file, label=label, icon=icon or PAGES[page].icon, query_params=_with_project(query))


def go(page: str, **query: str) -> NoReturn:
    """Open another page of the open Project now."""
    st.switch_page(PAGES[page].file, query_params=_with_project(query))


def url(page: str, **query: str) -> str:
    """The address of a page for a table's link column."""
    from urllib.parse import urlencode

    path = "" if page == "projects" else page
    return f"/{path}?{urlencode(_with_project(query))}"


def _with_project(query: dict[str, str]) -> dict[str, str]:
    project = session.PROJECT.get()
    return {"project": project, **query} if project else query
