"""What Predict gives away: mask, overlay, Labelme file, and a zip of all pictures. Made only when clicked."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePath

import streamlit as st

from core.annotation.overlay import overlay
from core.files import safe_name
from core.formats.labelme import write_labelme
from core.formats.mask_png import write_mask_png
from core.images import encode_jpeg
from core.inference.export import Predicted, prediction_to_annotation, prediction_zip
from core.networks.card import ModelCard
from pages.ui.pictures import Picture
from pages.ui.predictions import prediction_of


def show_downloads(picture: Picture, pictures: Sequence[Picture], model: Path, card: ModelCard) -> None:
    """Buttons for the picture shown, and for all of them."""
    stem = safe_name(PurePath(picture.name).stem) + (f"_p{picture.page + 1:04}" if picture.page else "")
    single = (
        ("Mask (PNG)", f"{stem}.png", "image/png", _mask),
        ("Overlay (JPEG)", f"{stem}_overlay.jpg", "image/jpeg", _overlay),
        ("Labelme (JSON)", f"{stem}.json", "application/json", _labelme),
    )
    with st.container(horizontal=True):
        for label, name, kind, make in single:
            _button(label, name, kind, partial(make, picture, model, card), f"get-{kind}-{picture.id}")
        many = f"All {len(pictures)} pictures (zip)" if len(pictures) > 1 else "All of it (zip)"
        data = partial(_zip, tuple(pictures), model, card)
        _button(many, "predictions.zip", "application/zip", data, f"get-zip-{len(pictures)}")


def _button(label: str, name: str, kind: str, make: "partial[bytes]", key: str) -> None:
    st.download_button(label, make, file_name=name, mime=kind, key=key, on_click="ignore", icon=":material/download:")


def _mask(picture: Picture, model: Path, card: ModelCard) -> bytes:
    return write_mask_png(prediction_of(picture, model, card).mask, card.labels)


def _overlay(picture: Picture, model: Path, card: ModelCard) -> bytes:
    mask = prediction_of(picture, model, card).mask
    return encode_jpeg(overlay(picture.decoded(card.intensity), mask, card.labels))


def _labelme(picture: Picture, model: Path, card: ModelCard) -> bytes:
    annotation = prediction_to_annotation(prediction_of(picture, model, card), card.labels)
    return write_labelme(annotation, image_path=picture.name)


def _zip(pictures: Sequence[Picture], model: Path, card: ModelCard) -> bytes:
    def items() -> Iterator[Predicted]:
        for picture in pictures:  # one at a time: a hundred decoded pictures would fill the memory
            yield Predicted(picture.name, picture.decoded(card.intensity), prediction_of(picture, model, card))

    return prediction_zip(items(), card.labels)
