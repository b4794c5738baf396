"""Annotate: import, choose a picture, look at its Annotation, correct it, save, next."""

from typing import Any, Final

import streamlit as st

from core.annotation.labels import IGNORE
from core.errors import UserError
from core.images import ImageSize, encode_jpeg, shrink
from core.project.index import SampleRow
from core.project.project import Project, ProjectSettings
from pages.ui import frame, links
from pages.ui.cached import rows_of
from pages.ui.charts import hex_of
from pages.ui.correct import show_correction, show_steps
from pages.ui.import_form import import_form
from pages.ui.opened import drawing_of, image_of
from pages.ui.picture_list import Choice, choose_picture
from pages.ui.running_import import import_of
from pages.ui.versions import show_versions
from pages.ui.views import legend_row, show_legend_table
from pages.ui.words import moment

_ONLY_SHOWN: Final = 700  # pixels of the screen, where nothing can be drawn
_STATES: Final = {"todo": "to do", "doing": "not finished", "review": "needs review", "done": "done"}


def annotate_page(project: Project) -> None:
    rows = rows_of(project)
    unread = import_of(project) is not None  # one goes on, or its report was not closed yet
    with st.expander("Import pictures and labels", icon=":material/upload:", expanded=unread or not rows):
        import_form(project)
    if not rows:
        st.info("This project has no picture yet. Import some above; labels that you already have come in with them.")
        return
    left, right = st.columns([1, 4.2], gap="medium")
    with left:
        choice = choose_picture(rows)
        _show_legend(choice.row, project.settings)
    with right:
        _show_heading(choice.row, rows)
        with frame.shown_errors():
            _show_picture(project, choice)
        show_versions(project, choice.row.name)


def _show_heading(row: SampleRow, rows: list[SampleRow]) -> None:
    """What the picture is, and who saved it when."""
    saved = f", version {row.version} by {frame.escape(row.author)}, {moment(row.time)}" if row.version else ""
    place = next(i for i, other in enumerate(rows, start=1) if other.name == row.name)
    name = frame.escape(row.name)
    st.markdown(f"**{name}** · {row.size} · {_STATES[row.state]}{saved} · {place:,} of {len(rows):,}")


def _show_picture(project: Project, choice: Choice) -> None:
    row = choice.row
    try:
        image = image_of(project, row.image)
        drawing = drawing_of(project, row.name, ImageSize(*image.shape[:2]))
    except UserError as error:
        show_steps(choice)
        frame.show_error(error)
        with frame.shown_errors():
            st.image(encode_jpeg(shrink(image_of(project, row.image), _ONLY_SHOWN)))
        return
    if row.unknown_labels:
        names = ", ".join(frame.escape(name) for name in row.unknown_labels)
        st.info(f"It has labels that this project does not have: {names}. They are kept, not shown and not learned.")
    if len(project.settings.labels) < 2:
        show_steps(choice)
        st.info("Without labels there is nothing to draw. Name them in the project's settings.")
        links.link("projects", "Name the labels")
        st.image(encode_jpeg(shrink(image, _ONLY_SHOWN)))
        return
    show_correction(project, choice, drawing.stamp.version)


def _show_legend(row: SampleRow, settings: ProjectSettings) -> None:
    """Colour, objects and area of what is saved for this picture."""
    rows = _legend_rows(row, settings)
    if rows:
        show_legend_table(rows, objects="Shapes of the annotation.")
    else:
        st.caption("Nothing is drawn on this picture yet.")


def _legend_rows(row: SampleRow, settings: ProjectSettings) -> list[dict[str, Any]]:
    labels = settings.labels
    rows: list[dict[str, Any]] = []
    for class_id, pixels in sorted(row.pixels.items()):
        if class_id == 0:
            continue
        known = labels.labels[class_id] if class_id < len(labels) else None
        rows.append(
            legend_row(
                known.name if known else "not labelled" if class_id == labels.id_of(IGNORE) else f"{class_id}",
                hex_of(known.color) if known else "#808080",
                pixels=pixels,
                share=pixels / max(1, row.size.pixels),
                objects=row.objects.get(class_id, 0),
                settings=settings,
            )
        )
    return rows


frame.run(annotate_page, "Annotate")
