"""Which part of a picture is looked at, and that part at the size of the screen."""

from typing import Final

import cv2
import numpy as np
import streamlit as st

from core.annotation.raster import Mask
from core.images import RGB, ImageSize
from pages.ui.scribble import View, Zoom

_FACTORS: Final = (1, 2, 4, 8, 16)
_SMALLEST: Final = 64  # picture pixels a side: nobody needs to look closer
_BACKGROUND_WEIGHT: Final = 0.5  # a thin line that covers a third of a screen pixel shall be seen


def choose_zoom(size: ImageSize, *, key: str) -> Zoom:
    """All of the picture, or a part of it; kept by `key`."""
    factors = [factor for factor in _FACTORS if factor == 1 or min(size) / factor >= _SMALLEST]
    if len(factors) == 1:
        return Zoom()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        factor = st.segmented_control(
            "Zoom",
            factors,
            default=1,
            required=True,
            format_func=lambda factor: "all" if factor == 1 else f"{factor}x",
            key=f"zoom-{key}",
        )
        if factor == 1:
            return Zoom()
        across = st.slider("Left to right", 0, 100, 50, key=f"across-{key}", format="%d %%", width=260)
        down = st.slider("Top to bottom", 0, 100, 50, key=f"down-{key}", format="%d %%", width=260)
    half = 0.5 / factor  # the ends of the sliders are the edges of the picture
    return Zoom(float(factor), half + down / 100 * (1 - 2 * half), half + across / 100 * (1 - 2 * half))


def picture_part(image: RGB, view: View) -> RGB:
    """The part of `image` that `view` names, at the canvas's size; enlarged pixels stay squares."""
    method = cv2.INTER_NEAREST_EXACT if view.canvas_width > view.width else cv2.INTER_AREA
    part = cv2.resize(_cut(image, view), (view.canvas_width, view.canvas_height), interpolation=method)
    return np.ascontiguousarray(part, dtype=np.uint8)


def mask_part(mask: Mask, view: View) -> Mask:
    """The same of a Mask. Where it is shrunk the class that covers most of a screen pixel is shown, background last."""
    part, size = _cut(mask, view), (view.canvas_width, view.canvas_height)
    if view.canvas_width >= view.width:
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    shown = np.zeros((view.canvas_height, view.canvas_width), np.uint8)
    most = np.full(shown.shape, -1.0, np.float32)
    pixels = cv2.calcHist([part], [0], None, [256], [0, 256])  # several times faster than bincount
    for class_id in np.flatnonzero(pixels):
        covered = cv2.resize((part == class_id).view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
        weight = covered.astype(np.float32) * (_BACKGROUND_WEIGHT if class_id == 0 else 1.0)
        shown[weight > most] = class_id
        np.maximum(most, weight, out=most)
    return shown


def _cut(array: np.ndarray, view: View) -> np.ndarray:
    return np.ascontiguousarray(array[view.top : view.top + view.height, view.left : view.left + view.width])
