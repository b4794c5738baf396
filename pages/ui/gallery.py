"""Small pictures with their masks over them, kept as long as neither changes."""

from pathlib import Path

import numpy as np
import streamlit as st

from core.annotation.labels import LabelSet
from core.annotation.overlay import overlay
from core.errors import UserError
from core.images import RGB, encode_jpeg, shrink
from core.project.index import SampleRow
from core.project.project import Project

SIDE = 420  # longer side of a thumbnail in pixels


def thumbnail(project: Project, row: SampleRow, *, opacity: int, cut: bool = False) -> bytes:
    """JPEG of a Sample with its mask at `opacity` percent; of the bare picture where the mask cannot be drawn.

    cut: to its middle part of 4 by 3, so that several stand in line.  Raises ReadError when it cannot be read.
    """
    return _thumbnail(project.folder.as_posix(), row.name, row.stamp, opacity, project.settings.labels, cut)


@st.cache_data(max_entries=1500, show_spinner=False, hash_funcs={LabelSet: lambda labels: str(labels.to_json())})
def _thumbnail(folder: str, name: str, stamp: str, opacity: int, labels: LabelSet, cut: bool) -> bytes:
    project = Project.open(Path(folder))
    image = project.read_image(name)
    try:
        mask = project.read_mask(name)
    except UserError:  # of another size, or damaged: the Data set page lists it as a problem
        mask = None
    if mask is not None and opacity:
        image = overlay(image, mask, labels, opacity=opacity / 100)
    return encode_jpeg(shrink(_middle(image) if cut else image, SIDE), quality=85)


def _middle(image: RGB) -> RGB:
    """The largest part of 4 by 3 around the centre."""
    height, width = image.shape[:2]
    rows, columns = min(height, max(1, width * 3 // 4)), min(width, max(1, height * 4 // 3))
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(image[top : top + rows, left : left + columns])
