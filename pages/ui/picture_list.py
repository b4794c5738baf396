"""The pictures of a Project to choose from: states, filter, search, pages; the choice is in the address."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import streamlit as st

from core.project.index import SampleRow
from pages.ui import frame, session
from pages.ui.words import count

_ON_A_PAGE: Final = 14
_STATES: Final = {"todo": "to do", "doing": "doing", "review": "needs review", "done": "done"}
_ICONS: Final = {
    "todo": ":material/radio_button_unchecked:",
    "doing": ":material/clock_loader_40:",
    "review": ":material/rate_review:",
    "done": ":material/check_circle:",
}


class Choice(NamedTuple):
    """The picture that is open, and those before and after it in the list as it is filtered."""

    row: SampleRow
    before: str | None
    after: str | None


def open_picture(name: str) -> None:
    """Show this picture from the next run of the page on; the page of the list follows."""
    session.SAMPLE.set(name)
    session.LIST_PAGE.clear()
    st.query_params["sample"] = name


def choose_picture(rows: Sequence[SampleRow]) -> Choice:
    """The list of at least one picture, and the one that is open."""
    listed = _filtered(rows)
    row = _current(rows, listed)
    if not listed:
        st.caption("No picture fits the search and the filter.")
    else:
        _show_page(listed, row)
    order = {other.name: i for i, other in enumerate(rows)}
    at = order[row.name]
    before = [other.name for other in listed if order[other.name] < at]
    after = next((other.name for other in listed if order[other.name] > at), None)
    return Choice(row, before[-1] if before else None, after)


def _filtered(rows: Sequence[SampleRow]) -> list[SampleRow]:
    search = st.text_input("Search", key="list-search", placeholder="Search names", label_visibility="collapsed")
    words = (search or "").casefold()
    state = st.selectbox(
        "Show",
        ["all", *_STATES],
        format_func=lambda state: _STATES.get(state, "all").capitalize(),
        key="list-state",
        label_visibility="collapsed",
    )
    # not in the options: the box goes on showing the text that an option had when it was chosen
    counts = Counter(row.state for row in rows)
    st.caption(", ".join(f"{counts[state]:,} {word}" for state, word in _STATES.items() if counts[state]))
    return [row for row in rows if words in row.name.casefold() and state in ("all", row.state)]


def _current(rows: Sequence[SampleRow], listed: Sequence[SampleRow]) -> SampleRow:
    """The picture of the address, else that of the session, else the first that is to do."""
    names = {row.name: row for row in rows}
    wanted = st.query_params.get("sample") or session.SAMPLE.get()
    if wanted is not None and wanted not in names:
        st.warning(f"There is no picture {frame.escape(wanted)} in this project. It may have been removed.")
        wanted = None
    if wanted is None:
        wanted = next((row.name for row in listed if row.state != "done"), (listed or rows)[0].name)
        session.LIST_PAGE.clear()
    session.SAMPLE.set(wanted)
    if st.query_params.get("sample") != wanted:
        st.query_params["sample"] = wanted
    return names[wanted]


def _show_page(listed: Sequence[SampleRow], current: SampleRow) -> None:
    pages = -(-len(listed) // _ON_A_PAGE)
    place = next((i for i, row in enumerate(listed) if row.name == current.name), None)
    page = session.LIST_PAGE.get()
    page = min(pages - 1, (place or 0) // _ON_A_PAGE if page is None else page)
    shown = {row.name: row for row in listed[page * _ON_A_PAGE : (page + 1) * _ON_A_PAGE]}
    st.session_state["list-picture"] = current.name if current.name in shown else None
    st.radio(
        "Pictures",
        list(shown),
        format_func=lambda name: f"{_ICONS[shown[name].state]} {frame.escape(name)}",
        key="list-picture",
        on_change=_open_chosen,
        label_visibility="collapsed",
    )
    if pages > 1:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(
                "",
                icon=":material/chevron_left:",
                key="list-back",
                disabled=page == 0,
                on_click=session.LIST_PAGE.set,
                args=(page - 1,),
                help="Earlier in the list",
            )
            st.markdown(f"{page + 1} of {pages}", width="content")
            st.button(
                "",
                icon=":material/chevron_right:",
                key="list-on",
                disabled=page == pages - 1,
                on_click=session.LIST_PAGE.set,
                args=(page + 1,),
                help="Later in the list",
            )
    st.caption(count(len(listed), "picture"))


def _open_chosen() -> None:
    if st.session_state["list-picture"] is not None:
        open_picture(st.session_state["list-picture"])
