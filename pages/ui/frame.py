"""The way into each page: the open Project, the switcher, and errors that a person can mend shown as words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from core.errors import UserError
from core.project.home import last_opened, list_projects, project_folder, remember_opened
from core.project.project import Project
from pages.ui import links, session
from pages.ui.words import told_apart


def run(page: Callable[[Project], None], title: str) -> None:
    """Show a page of the open Project, under its title, with a switcher beside it.

    The Project is the one of the address (?project=...), else the one of this session, else the one that was opened
    last on this machine, else the first. Without any, the page says where to make one.
    """
    with shown_errors():
        project = open_project()
        heading(title, project)
        if project is None:
            st.info("There is no project yet. A project is a folder of pictures with their labels.")
            links.link("projects", "Make a project")
            return
        page(project)


def heading(title: str, project: Project | None) -> None:
    """The page's title, and the Project that it is about."""
    left, right = st.columns([3, 1.4], vertical_alignment="bottom")
    left.title(title, anchor=False)
    names = told_apart({folder.name: _name(folder.name) for folder in list_projects()})
    if project is None or len(names) < 2:
        return
    current = project.folder.name
    key = f"switch-{title}-{current}"
    chosen = right.selectbox(
        "Project",
        list(names),
        index=list(names).index(current),
        format_func=names.__getitem__,
        key=key,
        label_visibility="collapsed",
    )
    if chosen != current:
        open_named(chosen)
        st.rerun()


def open_project() -> Project | None:
    """The open Project, remembered in session and address; None when there is none at all."""
    wanted = st.query_params.get("project") or session.PROJECT.get()
    folders = list_projects()
    if wanted is not None:
        try:
            folder = project_folder(wanted)
        except UserError as error:
            show_error(error)
            wanted = None
    if wanted is None:
        if not folders:
            session.PROJECT.clear()
            return None
        folder = last_opened() or folders[0]
    open_named(folder.name)
    return Project.open(folder)


def open_named(name: str) -> None:
    """Make the Project in the folder `name` the open one."""
    if session.PROJECT.get() != name:
        remember_opened(project_folder(name))
    if session.PROJECT.get() not in (name, None):
        for key in [key for key in st.query_params if key != "project"]:
            del st.query_params[key]
    session.PROJECT.set(name)
    if st.query_params.get("project") != name:
        st.query_params["project"] = name


@contextmanager
def shown_errors() -> Iterator[None]:
    """A UserError inside ends this part of the page with its message and hint; the rest goes on."""
    try:
        yield
    except UserError as error:
        show_error(error)


def show_error(error: UserError) -> None:
    st.error(f"**{escape(error.message)}** {escape(error.hint)}".strip(), icon=":material/error:")


def escape(text: str) -> str:
    """`text` so that Markdown shows it as it is: names of files and labels may hold any sign."""
    return "".join("\\" + sign if sign in r"\`*_{}[]<>()#+-!|~$:" else sign for sign in text)


@st.cache_data(max_entries=500, ttl=5, show_spinner=False)
def _name(folder: str) -> str:
    try:
        return Project.open(project_folder(folder)).settings.name
    except UserError:
        return folder
