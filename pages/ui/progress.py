"""How a page shows work that goes on in a thread: a bar with the time left, Stop, and why it failed."""

from collections.abc import Callable

import streamlit as st

from core.errors import UserError
from pages.ui.frame import show_error
from pages.ui.words import duration
from pages.ui.work import Work


def show_progress(work: Work, *, key: str) -> None:
    """The bar, looked at anew each second; when the work is over the page is drawn again."""
    st.fragment(_bar, run_every="1s")(work, key)


def show_failure(work: Work, *, forget: Callable[[], None]) -> bool:
    """Say why work that is over failed, once; False when it did not. A bug is raised."""
    if work.failure is None:
        return False
    forget()
    if not isinstance(work.failure, UserError):
        raise work.failure
    show_error(work.failure)
    return True


def _bar(work: Work, key: str) -> None:
    if work.over.is_set():
        st.rerun()
    left = work.seconds_left()
    text = work.what or (f"{work.done:,} of {work.total:,}" if work.total else "Reading")
    st.progress(
        min(work.done / max(work.total, 1), 1.0),
        text + (f", about {duration(left)} left" if left is not None and left > 2 else ""),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Stop", key=f"stop-{key}", on_click=work.stop.set)
        st.caption("You may leave this page: it goes on, and what it found waits here.", width="content")
