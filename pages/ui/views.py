"""A Prediction to look at: overlay, side by side, curtain, errors; the legend with areas."""

import base64
from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from core.annotation.labels import LabelSet
from core.annotation.overlay import FALSE_ALARM, HIT, MISS, colors, error_picture, overlay
from core.annotation.raster import Mask, count_objects
from core.images import RGB, ImageSize, encode_jpeg
from core.inference.export import class_areas
from core.project.project import ProjectSettings
from pages.ui import session
from pages.ui.cached import Shelf
from pages.ui.charts import hex_of, label_text
from pages.ui.curtain import show_curtain
from pages.ui.scribble import View, view_of
from pages.ui.zoom import choose_zoom, mask_part, picture_part

OVERLAY: Final = "Overlay"
MASK: Final = "Mask"
SIDE: Final = "Side by side"
CURTAIN: Final = "Curtain"
ERRORS: Final = "Errors"
_WIDTH: Final = 860  # of one picture on the screen, in pixels
_HEIGHT: Final = 760
_SIDE_WIDTH: Final = 600
_parts: Final = Shelf[tuple[RGB, Mask]](limit=100_000_000)
_legends: Final = Shelf[list[dict[str, Any]]](limit=500)


@st.fragment
def show_views(image: RGB, mask: Mask, labels: LabelSet, *, key: str, truth: Mask | None = None) -> None:
    """The picture and its mask in the view that the person chooses. Nothing larger than the screen is sent.

    key: names picture and mask, whose parts on the screen are remembered.
    """
    size = ImageSize(*mask.shape)
    names = [OVERLAY, MASK, SIDE, CURTAIN] + ([ERRORS] if truth is not None else [])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control("View", names, default=OVERLAY, required=True, key=f"view-{len(names)}")
        opacity = st.slider("Opacity", 0, 100, session.OPACITY.get(), format="%d %%", key="predict-opacity", width=160)
        session.OPACITY.set(opacity)
        zoom = choose_zoom(size, key=key)
    width, height = (_SIDE_WIDTH, _SIDE_WIDTH) if chosen == SIDE else (_WIDTH, _HEIGHT)
    view = view_of(image, zoom, canvas_width=width, canvas_height=height)
    picture, shown = _part(image, mask, view, key)
    over = overlay(picture, shown, labels, opacity=opacity / 100)
    if chosen == SIDE:
        left, right = st.columns(2)
        left.image(encode_jpeg(picture), width="stretch")
        right.image(encode_jpeg(over), width="stretch")
    elif chosen == MASK:
        st.image(encode_jpeg(colors(labels)[shown]), width=view.canvas_width)
    elif chosen == CURTAIN:
        with st.container(width=view.canvas_width):
            show_curtain(
                encode_jpeg(picture), encode_jpeg(over), key=f"curtain-{key}", under_name="picture", over_name="overlay"
            )
    elif chosen == ERRORS and truth is not None:
        wrong = error_picture(picture, mask_part(truth, view), shown, opacity=max(opacity, 1) / 100)
        st.image(encode_jpeg(wrong), width=view.canvas_width)
        show_swatches([("hit", hex_of(HIT)), ("miss", hex_of(MISS)), ("false alarm", hex_of(FALSE_ALARM))])
    else:
        st.image(encode_jpeg(over), width=view.canvas_width)


def _part(image: RGB, mask: Mask, view: View, key: str) -> tuple[RGB, Mask]:
    """What of both is on the screen; remembered, so that a change of opacity does not touch the whole picture."""
    found = _parts.get(f"{key}:{view}")
    if found is None:
        found = picture_part(image, view), mask_part(mask, view)
        _parts.put(f"{key}:{view}", found, 4 * found[1].size)
    return found


def show_legend(mask: Mask, labels: LabelSet, settings: ProjectSettings, *, key: str) -> None:
    """Colour, area and objects of each label; the area also in the Project's unit where its pixel size is known.

    key: names the mask, whose counts are remembered.
    """
    key = f"{key}:{settings.pixel_size}:{settings.unit}"
    rows = _legends.get(key)
    if rows is None:
        rows = _legend_rows(mask, labels, settings)
        _legends.put(key, rows, 1)
    show_legend_table(rows, objects="Connected regions, diagonal neighbours included.")


def show_legend_table(rows: Sequence[dict[str, Any]], *, objects: str) -> None:
    """Rows that `legend_row` made.  objects: what one object is, in words."""
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        column_config={
            "": st.column_config.ImageColumn(width=32),
            "Share": st.column_config.NumberColumn(format="%.2f %%"),
            "Pixels": st.column_config.NumberColumn(format="localized"),
            "Objects": st.column_config.TextColumn(help=objects, alignment="right"),
        },
    )


def legend_row(
    name: str, color: str, *, pixels: int, share: float, objects: int | None, settings: ProjectSettings
) -> dict[str, Any]:
    """One label in the legend: its area also in the Project's unit where its pixel size is known.  share: 0 to 1."""
    row: dict[str, Any] = {"": swatch(color), "Label": name, "Share": 100 * share, "Pixels": pixels}
    if settings.pixel_size is not None:
        row[f"Area in {settings.unit}²"] = pixels * settings.pixel_size**2
    row["Objects"] = "" if objects is None else f"{objects:,}"
    return row


def _legend_rows(mask: Mask, labels: LabelSet, settings: ProjectSettings) -> list[dict[str, Any]]:
    rows = [
        legend_row(
            label_text(area["name"]),
            hex_of(labels.labels[class_id].color),
            pixels=area["pixels"],
            share=area["share"],
            objects=count_objects(mask == class_id) if class_id else None,
            settings=settings,
        )
        for class_id, area in enumerate(class_areas(mask, labels))
    ]
    return rows[1:] + rows[:1]  # background last


def show_swatches(entries: Sequence[tuple[str, str]]) -> None:
    """A legend in one line: colours and what they mean."""
    with st.container(horizontal=True):
        for name, color in entries:
            st.markdown(f"![{name}]({swatch(color)}) {name}", width="content")


def swatch(color: str) -> str:
    """A small square of a colour as the address of a picture, for tables and Markdown."""
    square = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='14' height='14'>"
        f"<rect x='0.5' y='0.5' width='13' height='13' rx='3' fill='{color}' stroke='#888' /></svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(square.encode()).decode()
