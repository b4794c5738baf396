"""How a test opens a page: through the shell, as the app does, at an address."""

from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

SHELL = str(Path(__file__).resolve().parents[2] / "pages" / "ui" / "shell.py")
Page = Callable[..., AppTest]  # the parts of the address after the page's name


def open_page(name: str, *, seconds: float = 30, **query: str) -> AppTest:
    """The page in pages/<name>.py at the address ?query; `seconds` is the longest a rerun may take."""
    app = AppTest.from_file(SHELL, default_timeout=seconds)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    if name != "projects":
        app.switch_page(f"../{name}.py").run()
    assert not app.exception
    return app
