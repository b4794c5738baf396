"""Data set: the pictures with their labels over them, what they show, what is wrong with them, and the way out."""

from collections.abc import Sequence
from typing import Final

import streamlit as st
from plotly import graph_objects as go

from core.annotation.labels import IGNORE_ID
from core.project.index import SampleRow
from core.project.project import Project
from core.project.report import Problem, Report, make_report
from core.project.split import Split, read_split
from pages.ui import frame, session
from pages.ui.cached import rows_of
from pages.ui.export_form import export_form
from pages.ui.gallery import common_frame, thumbnail
from pages.ui.links import link
from pages.ui.words import count

_PER_PAGE: Final = 24
_COLUMNS: Final = 6
_PROBLEMS_SHOWN: Final = 30
_STATES: Final = {"done": "done", "review": "needs review", "doing": "doing", "todo": "to do"}
_PARTS: Final = {"train": "training", "val": "validation", "test": "test"}
_PROBLEM_WORDS: Final = {
    "unreadable": "cannot be read",
    "size_mismatch": "drawn for another size",
    "too_large": "too large to train on",
    "leak": "the same picture trains and validates",
    "unknown_label": "labels that the project does not have",
    "duplicate": "the same picture twice",
    "empty": "nothing is marked",
    "outside": "shapes outside of the picture",
    "crossing": "shapes that cross themselves",
    "few_points": "polygons of fewer than 3 points",
    "zero_area": "shapes without area",
    "sliver": "shapes thinner than a pixel",
    "partly_outside": "shapes over the edge of the picture",
    "coarse": "points too far apart in curves",
    "unfinished": "begun, not finished",
    "review": "needs review",
    "no_annotation": "no annotation yet",
}


def dataset_page(project: Project) -> None:
    rows = rows_of(project)
    if not rows:
        st.info("This project has no pictures yet.")
        link("projects", "Add pictures")
        return
    split = read_split(project.folder)
    report = make_report(rows, split, project.settings.labels)
    _summary(project, report)
    # Only the open tab is computed and sent: with thousands of pictures the three together take the browser a second.
    # The filters stay, since a widget that is not there forgets its place in the address.
    pictures, balance, problems, export = st.tabs(
        ["Pictures", "Balance and sizes", "Problems", "Export"], key="data-tab", bind="query-params"
    )
    with pictures:
        _gallery(project, rows, split, shown=bool(pictures.open))
    if balance.open:
        with balance:
            _balance(project, report)
    if problems.open:
        with problems:
            _problems(report.problems)
    if export.open:
        with export:
            _export(project, report)


def _summary(project: Project, report: Report) -> None:
    parts = f"{report.parts.get('train', 0):,} / {report.parts.get('val', 0):,}"
    figures = {
        "Pictures": f"{report.pictures:,}",
        "Done": f"{report.states['done']:,}",
        "Training / validation": parts if report.parts else "not decided",
        "Labels": str(len(project.settings.labels) - 1),
        "Problems": f"{len(report.problems):,}",
    }
    for column, (name, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(name, value, border=True)
    if not report.parts and report.states["done"]:
        st.caption("Which pictures train and which validate is decided, once and for all, at the first training.")


# ---------------------------------------------------------------------------------------------------------- gallery


def _gallery(project: Project, rows: Sequence[SampleRow], split: Split, *, shown: bool) -> None:
    """The filters and, where they are `shown`, the pictures that they leave."""
    chosen = _filtered(project, rows, split)
    if not chosen:
        st.info("No picture fits the search and the filters.")
        return
    pages = -(-len(chosen) // _PER_PAGE)
    opacity = session.OPACITY.get()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.caption(count(len(chosen), "picture"))
        page = st.pagination(pages, key="data-page", bind="query-params") if pages > 1 else 1
    if not shown:
        return
    on_page = chosen[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    shape = common_frame(on_page)
    for start in range(0, len(on_page), _COLUMNS):
        for column, row in zip(st.columns(_COLUMNS), on_page[start : start + _COLUMNS], strict=False):
            with column, frame.shown_errors():
                st.image(thumbnail(project, row, opacity=opacity, frame=shape), width="stretch")
            part = _PARTS.get(split.assignments.get(row.name, ""), "")
            with column:
                link("annotate", frame.escape(row.name), icon=":material/edit:", sample=row.name)
                st.caption(", ".join(filter(None, [_STATES[row.state], part])))


def _filtered(project: Project, rows: Sequence[SampleRow], split: Split) -> list[SampleRow]:
    """The rows that the filters leave; filters stand in the address, so a reload and a link keep them."""
    labels = project.settings.labels
    search, label, state, part, opacity = st.columns([2, 2, 2, 2, 2], vertical_alignment="bottom")
    text = search.text_input("Search", key="data-search", bind="query-params", placeholder="part of a name")
    names = ["any", *labels.names[1:]]
    shows = label.selectbox("Shows", names, key="data-label", bind="query-params")
    wanted = state.selectbox(
        "State", ["any", *_STATES], format_func=lambda s: _STATES.get(s, s), key="data-state", bind="query-params"
    )
    side = part.selectbox(
        "Part", ["any", *_PARTS], format_func=lambda s: _PARTS.get(s, s), key="data-part", bind="query-params"
    )
    opacity.slider("Opacity of the masks", 0, 100, session.OPACITY.get(), step=10, key=session.OPACITY.name)
    class_id = labels.id_of(shows) if shows in labels else None
    return [
        row
        for row in rows
        if text.casefold() in row.name.casefold()
        and (class_id is None or row.pixels.get(class_id))
        and wanted in ("any", row.state)
        and side in ("any", split.assignments.get(row.name))
    ]


# ---------------------------------------------------------------------------------------------------------- balance


def _balance(project: Project, report: Report) -> None:
    labels = project.settings.labels
    names = [label.name for label in labels.foreground]
    colors = ["#{:02x}{:02x}{:02x}".format(*label.color) for label in labels.foreground]
    total = sum(report.pixels.values()) or 1
    charts = {
        "Share of all pixels": ([100 * report.pixels[name] / total for name in names], "%{y:.2f} %"),
        "Objects": ([report.objects[name] for name in names], "%{y:,}"),
        "Pictures that show it": ([report.pictures_with[name] for name in names], "%{y:,}"),
    }
    if not names or total == 1:
        st.info("Nothing is marked yet, so there is nothing to count.")
        return
    for column, (title, (values, form)) in zip(st.columns(3), charts.items(), strict=True):
        bars = go.Bar(
            x=names, y=values, marker_color=colors, texttemplate=form, hovertemplate=f"%{{x}}: {form}<extra></extra>"
        )
        figure = go.Figure(bars)
        figure.update_layout(title=title, height=320, margin={"l": 10, "r": 10, "t": 40, "b": 10})
        column.plotly_chart(figure, width="stretch", key=f"balance-{title}")
    background = 100 * report.pixels[labels.names[0]] / total
    ignored = report.pixels.get("__ignore__", 0)
    words = f"Background is {background:.1f} % of the pixels of annotated pictures."
    st.caption(words + (f" {count(ignored, 'pixel')} are left out (id {IGNORE_ID})." if ignored else ""))
    st.markdown("**Sizes of the pictures**")
    sizes = [{"Width": s.width, "Height": s.height, "Pictures": n} for s, n in list(report.sizes.items())[:20]]
    st.dataframe(sizes, hide_index=True, width="content")


# ---------------------------------------------------------------------------------------------------------- export


def _export(project: Project, report: Report) -> None:
    if not report.states["done"]:
        st.info("No picture is done yet, so there are no labels to take out.")
        link("annotate", "Label pictures")
        return
    with frame.shown_errors():
        export_form(project, dict(report.parts))


# --------------------------------------------------------------------------------------------------------- problems


def _problems(problems: Sequence[Problem]) -> None:
    if not problems:
        st.success("Nothing is wrong that can be seen from here.", icon=":material/check_circle:")
        return
    by_kind: dict[str, list[Problem]] = {}
    for problem in problems:
        by_kind.setdefault(problem.kind, []).append(problem)
    for kind, found in by_kind.items():
        with st.expander(
            f"{_PROBLEM_WORDS[kind].capitalize()}: {count(len(found), 'picture')}", expanded=len(found) < 6
        ):
            for problem in found[:_PROBLEMS_SHOWN]:
                label = f"{frame.escape(problem.sample)}: {frame.escape(problem.text)}"
                link("annotate", label, icon=":material/arrow_forward:", sample=problem.sample)
            if len(found) > _PROBLEMS_SHOWN:
                st.caption(f"and {len(found) - _PROBLEMS_SHOWN:,} more")


frame.run(dataset_page, "Data set")
