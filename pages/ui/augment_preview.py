"""How the training will vary the person's own pictures, before it begins."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from core.annotation.overlay import overlay
from core.networks.runtime import share_cores
from core.project.index import SampleRow
from core.project.project import Project
from core.training.config import TrainingConfig
from pages.ui.training_form import TrainingSet

_COUNT: Final = 8  # the first as it is
_COLUMNS: Final = 4
WORDS: Final = {
    "satellite": "All eight orientations; size by a quarter to a third; light, colour, noise, blur and sharpness.",
    "medical": "Mirrored, turned up to 30 degrees; size by a fifth; mild light, noise, blur and sharpness.",
    "cell": "All eight orientations; size by a third; light, stain, noise, blur and sharpness.",
    "industrial": "Mirrored, turned up to 15 degrees; size by a sixth; much light, noise, blur and sharpness.",
    "general": "Mirrored left to right, turned up to 15 degrees; size by a quarter; light, colour, noise, blur.",
    "none": "Not varied at all.",
}


def show_preview(project: Project, chosen: TrainingSet, config: TrainingConfig) -> None:
    """A folded part of the page; nothing is computed until it is opened."""
    key = f"varied-{project.folder.name}"
    part = st.expander(
        "How your pictures are varied", icon=":material/auto_awesome_mosaic:", key=key, on_change="rerun"
    )
    if part.open:
        with part:
            _preview(project, chosen, config, key)


def _preview(project: Project, chosen: TrainingSet, config: TrainingConfig, key: str) -> None:
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    names = _names(chosen.train)
    name = left.selectbox("Picture", names, key=f"{key}-picture", help="One that the training learns from.")
    again = st.session_state.setdefault(f"{key}-seed", 0)
    if right.button("Other variations", icon=":material/refresh:", key=f"{key}-again", width="stretch"):
        again = st.session_state[f"{key}-seed"] = again + 1
    st.caption(f"{WORDS[config.augment]} Labels move with their picture. The first tile is as it is.")
    with st.spinner("Varying"):
        pictures = _pictures(project, name, config, again)
    for first in range(0, _COUNT, _COLUMNS):
        for column, picture in zip(st.columns(_COLUMNS), pictures[first : first + _COLUMNS], strict=False):
            column.image(picture, width="stretch")


def _pictures(project: Project, name: str, config: TrainingConfig, seed: int) -> list:
    share_cores()  # before torch is imported, which comes with the library that varies
    from core.training.variation import varied_tiles

    labels, mask = project.settings.labels, project.read_mask(name)
    if mask is None:
        return []
    tiles = varied_tiles(project.read_image(name), mask, config, count=_COUNT, seed=seed)
    return [overlay(image, truth, labels, opacity=0.25) for image, truth in zip(tiles.images, tiles.masks, strict=True)]


def _names(rows: Sequence[SampleRow]) -> list[str]:
    """Those that show something first."""
    return [row.name for row in sorted(rows, key=lambda row: not any(row.objects.values()))]
