"""The editor in the page: the only place that knows the browser component.

The JavaScript lies beside this file and is served as it is, by a route of its own, under an address that changes with
its content: a browser keeps it until it changes. Pictures, shapes and strokes go over core/serving's routes, not
through Streamlit; the component only learns which Project and picture to show.
"""

import hashlib
from pathlib import Path
from typing import Final

import streamlit as st
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

_FOLDER: Final = Path(__file__).parent
_FILES: Final = (*sorted(_FOLDER.glob("*.js")), _FOLDER / "editor.css")
_DIGEST: Final = hashlib.sha256(b"".join(path.read_bytes() for path in _FILES)).hexdigest()[:12]

_LOADER: Final = """
export default async function (component) {
  const root = component.parentElement.querySelector('.maskloop-editor');
  const home = location.pathname.replace(/\\/annotate(\\/.*)?$/, '/'); // where the app is served, maybe below a prefix
  const { mount } = await import(new URL(`${home}editor/DIGEST/main.js`, location.href).href);
  mount(root, component.data);
}
""".replace("DIGEST", _DIGEST)

# Streamlit leaves 128 pixels free above a page and 160 below it: on a laptop the editor would have to be scrolled.
_ROOM: Final = "<style>[data-testid=stMainBlockContainer] {padding-top: 4.75rem; padding-bottom: 1rem}</style>"


class _EditorFiles(StaticFiles):
    """Only scripts: not this Python file. They may be kept for good, since their address changes with them."""

    async def get_response(self, path: str, scope: dict) -> object:  # type: ignore[override]
        answer = await super().get_response(path if path.endswith(".js") else "-", scope)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


ROUTES: Final[tuple[BaseRoute, ...]] = (Mount(f"/editor/{_DIGEST}", _EditorFiles(directory=_FOLDER)),)


def show_editor(project: str, *, sample: str | None, author: str, stamp: str) -> None:
    """Mount the editor on a Project.

    project: its folder's name.  sample: the picture to begin with.  stamp: when it changes, the list is read anew.
    """
    st.html(_ROOM)
    _component()(key=f"editor-{project}", data={"project": project, "sample": sample, "author": author, "stamp": stamp})


def _component() -> "st.components.v2.types.ComponentRenderer":
    return st.components.v2.component(
        "maskloop_editor",
        html='<div class="maskloop-editor" data-status="loading"></div>',
        css=(_FOLDER / "editor.css").read_text(encoding="utf-8"),
        js=_LOADER,
    )
