"""Correct a Mask by scribbling: what to paint, how wide, how near, undo. Shared by Annotate and Predict.

The strokes are in picture coordinates and survive each change of zoom. All of them are written to a draft file at once,
so a reload loses none; the session only remembers which of them the canvas holds.
"""

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal

import streamlit as st

from core.annotation.edit import Stroke, paint_strokes
from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.overlay import IGNORE_COLOR, overlay
from core.annotation.raster import Mask
from core.images import RGB, ImageSize, encode_jpeg
from core.project.draft import Draft, read_draft, write_draft
from pages.ui import session
from pages.ui.charts import hex_of
from pages.ui.frame import escape
from pages.ui.scribble import ERASER, View, scribble, view_of
from pages.ui.views import swatch
from pages.ui.zoom import choose_zoom, mask_part, picture_part

_HEIGHT: Final = 540
_FEW: Final = 8  # labels that fit in a row of buttons
_WIDEST: Final = 200  # picture pixels
_numbers: Final = itertools.count()
_STEP: Final = 20  # per cent that an arrow moves the part in view


@dataclass
class _Scribbles:
    """The strokes over one Mask. Those before `shown` are part of the background, the others are on the canvas."""

    key: str
    strokes: list[Stroke]
    shown: int
    mask: Mask  # with the strokes before `shown`
    view: View | None = None
    canvas: int = field(default_factory=_numbers.__next__)  # each number is an empty canvas
    parts: tuple[int, RGB, Mask] | None = None  # the canvas, and the picture and Mask under it at its size
    opacity: int | None = None  # that `background` was made with
    background: bytes = b""


def scribble_panel(
    image: RGB, mask: Mask, labels: LabelSet, *, key: str, draft: Path, base_version: int, width: int = 700
) -> list[Stroke]:
    """Show a canvas over `image` and `mask` and its controls; return all strokes drawn since `mask` was saved.

    key: names picture and saved version; with another one the panel begins anew.  draft: the file that keeps the
    strokes; those that it holds over `base_version` are shown again.  The caller removes it when it has saved.
    width: of the canvas at most, in pixels of the screen.
    Call it inside a fragment: then a stroke renews only that. Raises ReadError for a damaged draft, WriteError.
    """
    now = _scribbles(mask, key, draft, base_version)
    left, right = st.columns([width, 250], gap="medium")
    with right:
        class_id, brush = _choose_class(labels), _choose_width(max(image.shape[:2]))
        view = _choose_view(image, key, width)
        opacity = _choose_opacity()
    if view != now.view:
        _fix_on_background(now)
        now.view = view
    with left:
        background, canvas = _background(image, labels, now, view, opacity), f"{key}-canvas-{now.canvas}"
        drawn = scribble(background, view, labels, key=canvas, class_id=class_id, brush=brush)
    strokes = [*now.strokes[: now.shown], *drawn]
    if strokes != now.strokes:
        now.strokes = strokes
        write_draft(draft, base_version, tuple(strokes))
    undo = partial(_undo, mask, now, draft, base_version)
    right.button(
        "Undo", on_click=undo, disabled=not strokes, icon=":material/undo:", shortcut="ctrl+z", key=f"undo-{key}"
    )
    return strokes


def _background(image: RGB, labels: LabelSet, now: _Scribbles, view: View, opacity: int) -> bytes:
    """The JPEG under the canvas, made again only when something in it changed."""
    if now.parts is None or now.parts[0] != now.canvas:
        now.parts = (now.canvas, picture_part(image, view), mask_part(now.mask, view))
        now.opacity = None
    if now.opacity != opacity:
        _, picture, mask = now.parts
        now.background = encode_jpeg(overlay(picture, mask, labels, opacity=opacity / 100), quality=90)
        now.opacity = opacity
    return now.background


def _scribbles(mask: Mask, key: str, draft: Path, base_version: int) -> _Scribbles:
    """What this session has on the screen, else what the draft on disk holds."""
    now = session.SCRIBBLES.get()
    if isinstance(now, _Scribbles) and now.key == key:
        return now
    kept = read_draft(draft) or Draft(base_version)
    strokes = list(kept.strokes) if kept.base_version == base_version else []
    now = _Scribbles(key, strokes, len(strokes), paint_strokes(mask, strokes))
    session.SCRIBBLES.set(now)
    return now


def _fix_on_background(now: _Scribbles) -> None:
    """What was drawn on the canvas becomes part of the Mask in the background, and the canvas is an empty one."""
    now.mask = paint_strokes(now.mask, now.strokes[now.shown :])
    now.shown = len(now.strokes)
    now.canvas = next(_numbers)


def _undo(mask: Mask, now: _Scribbles, draft: Path, base_version: int) -> None:
    now.strokes.pop()
    now.mask, now.shown = paint_strokes(mask, now.strokes), len(now.strokes)
    now.canvas = next(_numbers)
    write_draft(draft, base_version, tuple(now.strokes))


def _choose_width(longest: int) -> int:
    """The brush's diameter; first a fiftieth of the picture's longest side."""
    widest = max(2, min(_WIDEST, longest // 4))
    first = max(1, min(widest, round(longest / 50)))
    return st.slider("Brush, in pixels", 1, widest, first, key=f"brush-{widest}-{first}")


def _choose_opacity() -> int:
    opacity = st.slider("Show the mask", 0, 100, session.OPACITY.get(), format="%d %%", key="scribble-opacity")
    session.OPACITY.set(opacity)
    return opacity


def _choose_class(labels: LabelSet) -> int:
    options = [*range(1, len(labels)), ERASER, IGNORE_ID]
    names = {i: escape(label.name) for i, label in enumerate(labels.labels) if i}
    names |= {ERASER: "Erase", IGNORE_ID: "Not labelled"}
    key = f"paint-{zlib.crc32('/'.join(labels.names).encode())}"
    if len(labels) > _FEW:
        plain = {i: label.name for i, label in enumerate(labels.labels)} | {ERASER: "Erase", IGNORE_ID: "Not labelled"}
        return st.selectbox("Paint", options, format_func=plain.__getitem__, key=key)
    marks = {i: f"![]({swatch(hex_of(label.color))}) " for i, label in enumerate(labels.labels)}
    marks |= {ERASER: ":material/ink_eraser: ", IGNORE_ID: f"![]({swatch(hex_of(IGNORE_COLOR))}) "}
    return st.radio(
        "Paint",
        options,
        format_func=lambda class_id: marks[class_id] + names[class_id],
        key=key,
        help="Not labelled: what you are not sure about. Training and metrics leave it out.",
    )


def _choose_view(image: RGB, key: str, width: int) -> View:
    """All of the picture or a part of it; the arrow keys move the part."""
    zoom = choose_zoom(ImageSize(*image.shape[:2]), key=key)
    if zoom.factor > 1:
        with st.container(horizontal=True, gap="xsmall"):
            for name, icon, slider, step in _ARROWS:
                move = partial(_move, f"{slider}-{key}", step)
                st.button("", icon=icon, key=f"go-{name}-{key}", on_click=move, shortcut=name, help=f"Move {name}")
    return view_of(image, zoom, canvas_width=width, canvas_height=_HEIGHT)


def _move(slider: str, step: int) -> None:
    st.session_state[slider] = min(100, max(0, st.session_state[slider] + step))


_ARROWS: Final[Sequence[tuple[Literal["left", "right", "up", "down"], str, str, int]]] = (
    ("left", ":material/arrow_back:", "across", -_STEP),
    ("right", ":material/arrow_forward:", "across", _STEP),
    ("up", ":material/arrow_upward:", "down", -_STEP),
    ("down", ":material/arrow_downward:", "down", _STEP),
)
