"""Predictions of pictures, made once and kept: a change of opacity or view must not predict again."""

import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import streamlit as st

from core.errors import UserError
from core.inference.predict import Prediction, predict
from core.networks.card import CARD_FILE, WEIGHTS_FILE, ModelCard
from pages.ui.cached import Shelf, backend_of, stamp_of
from pages.ui.frame import show_error
from pages.ui.pictures import Picture
from pages.ui.words import duration


class _Packed(NamedTuple):
    """A Prediction as it waits: masks shrink a hundredfold."""

    shape: tuple[int, int]
    mask: bytes
    confidence: bytes


_packed: Final = Shelf[_Packed](limit=400_000_000)
_open: Final = Shelf[Prediction](limit=200_000_000)
_failed: Final = Shelf[UserError](limit=1000)


def prediction_of(
    picture: Picture, model: Path, card: ModelCard, progress: Callable[[float], None] | None = None
) -> Prediction:
    """The Prediction of a picture, from the shelf or made now. Raises ReadError for what cannot be used."""
    key = _key(picture, model)
    found = _open.get(key)
    if found is not None:
        return found
    packed = _packed.get(key)
    if packed is not None:
        prediction = _unpack(packed)
    else:
        backend = backend_of(model)
        prediction = predict(picture.decoded(card.intensity), backend, progress=progress)
        packed = _pack(prediction)
        _packed.put(key, packed, len(packed.mask) + len(packed.confidence))
    _open.put(key, prediction, 2 * prediction.mask.size)
    return prediction


def predict_all(pictures: Sequence[Picture], model: Path, card: ModelCard) -> list[Picture]:
    """Predict those that are not yet, with a bar; returns those that could be. A bad one costs only itself."""
    waiting = [picture for picture in pictures if not _is_known(picture, model)]
    if waiting:
        bar = st.progress(0.0, "Loading the model; the first time takes some seconds.")
        backend_of(model)
        started = time.monotonic()
        for done, picture in enumerate(waiting):

            def show(share: float, name: str = picture.name, done: int = done) -> None:
                part = min((done + share) / len(waiting), 1.0)
                left = (time.monotonic() - started) * (1 - part) / max(part, 1e-6)
                counted = f" ({done + 1} of {len(waiting)})" if len(waiting) > 1 else ""
                rest = f", about {duration(left)} left" if part > 0 and left > 3 else ""
                bar.progress(part, f"Predicting {name}{counted}{rest}")

            show(0.0)
            try:
                prediction_of(picture, model, card, show)
            except UserError as error:
                _failed.put(_key(picture, model), error, 1)
        bar.empty()
    good = []
    for picture in pictures:
        problem = _failed.get(_key(picture, model))
        if problem is None:
            good.append(picture)
        else:
            show_error(problem)
    return good


def _is_known(picture: Picture, model: Path) -> bool:
    key = _key(picture, model)
    return _packed.get(key) is not None or _failed.get(key) is not None


def _key(picture: Picture, model: Path) -> str:
    return f"{picture.id}:{model.resolve()}:{stamp_of(model / WEIGHTS_FILE)}:{stamp_of(model / CARD_FILE)}"


def _pack(prediction: Prediction) -> _Packed:
    height, width = prediction.mask.shape
    mask, confidence = (zlib.compress(np.ascontiguousarray(part).data, 1) for part in prediction)
    return _Packed((height, width), mask, confidence)


def _unpack(packed: _Packed) -> Prediction:
    mask, confidence = (
        np.frombuffer(zlib.decompress(part), np.uint8).reshape(packed.shape)
        for part in (packed.mask, packed.confidence)
    )
    return Prediction(mask, confidence)
