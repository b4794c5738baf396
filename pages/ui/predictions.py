"""Predictions of pictures, made once by a thread and kept: neither a click nor another threshold predicts again.

The thread works for all sessions, one picture after the other, and drops what no page has asked for lately: a closed
tab leaves no work behind.
"""

import hashlib
import json
import queue
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import streamlit as st

from core.errors import UserError
from core.inference.export import ClassArea, class_areas
from core.inference.predict import Prediction, Undecided, decided, predict_undecided
from core.inference.rows import Cancelled
from core.inference.uncertainty import picture_doubt
from core.networks.card import CARD_FILE, WEIGHTS_FILE, ModelCard
from pages.ui.cached import Shelf, backend_of, stamp_of, took
from pages.ui.frame import show_error
from pages.ui.pictures import Picture
from pages.ui.words import duration

PATIENCE = 1.5  # seconds that a page waits before it shows a bar
_REFRESH: Final = "1s"
_FORGET_AFTER: Final = 20.0  # seconds without a page that asks


class _Packed(NamedTuple):
    """What a network said as it waits: masks shrink a hundredfold, probabilities to a third."""

    shape: tuple[int, int]
    mask: bytes
    confidence: bytes
    probabilities: bytes


@dataclass
class _Job:
    """One picture to predict. `share` is what is done, `wanted` when a page asked for it last."""

    picture: Picture
    model: Path
    card: ModelCard
    share: float = 0.0
    made: float = field(default_factory=time.monotonic)
    wanted: float = field(default_factory=time.monotonic)

    def is_forgotten(self) -> bool:
        return time.monotonic() - self.wanted > _FORGET_AFTER

    def show(self, share: float) -> None:
        self.share = share


_packed: Final = Shelf[_Packed](limit=400_000_000)
_open: Final = Shelf[Undecided](limit=300_000_000)
_decided: Final = Shelf[Prediction](limit=200_000_000)
_failed: Final = Shelf[Exception](limit=1000)
_doubts: Final = Shelf[float](limit=100_000)  # of all that was predicted, also where the rest is no longer kept
_areas: Final = Shelf[list[ClassArea]](limit=100_000)
_jobs: Final[dict[str, _Job]] = {}
_waiting: Final = queue.SimpleQueue[str]()
_changed: Final = threading.Condition()  # guards _jobs and tells of each that ends
_threads: Final[list[threading.Thread]] = []


def predict_all(pictures: Sequence[Picture], model: Path, card: ModelCard) -> list[Picture] | None:
    """Those that could be predicted, with a sentence for each that could not; None, with a bar, while work goes on."""
    missing = [picture for picture in pictures if not _is_known(key_of(picture, model))]
    if missing:
        _request(missing, model, card)
        keys = [key_of(picture, model) for picture in missing]
        with st.spinner("Predicting", show_time=False), _changed:
            _changed.wait_for(lambda: all(_is_known(key) for key in keys), timeout=PATIENCE)
        if not all(_is_known(key) for key in keys):
            st.fragment(_show_progress, run_every=_REFRESH)(tuple(missing), model, card)
            return None
    good = []
    for picture in pictures:
        problem = _failed.get(key_of(picture, model))
        if problem is None:
            good.append(picture)
        elif isinstance(problem, UserError):
            show_error(problem)
        else:
            raise problem
    return good


def prediction_of(picture: Picture, model: Path, card: ModelCard) -> Prediction:
    """The Prediction of a picture by the thresholds and the clean-up of `card`. Raises ReadError for no picture.

    What the network says is on the shelf, or computed now.
    """
    key = f"{key_of(picture, model)}:{finish_of(card)}"
    found = _decided.get(key)
    if found is None:
        found = decided(undecided_of(picture, model, card), card)
        _decided.put(key, found, 2 * found.mask.size)
    return found


def undecided_of(picture: Picture, model: Path, card: ModelCard) -> Undecided:
    """What the network says of a picture, before thresholds and clean-up; from the shelf or computed now."""
    key = key_of(picture, model)
    found = _open.get(key)
    if found is None:
        packed = _packed.get(key)
        found = _unpack(packed) if packed else _make(_Job(picture, model, card))
        _open.put(key, found, _size(found))
    return found


def doubt_of(picture: Picture, model: Path, card: ModelCard) -> float:
    """0 to 1: how wrong the model itself expects its mask to be, see `picture_doubt`."""
    key = key_of(picture, model)
    found = _doubts.get(key)
    if found is None:
        found = _remember(key, undecided_of(picture, model, card))
    return found


def areas_of(picture: Picture, model: Path, card: ModelCard) -> list[ClassArea]:
    """The area of each class in the Prediction, background first; remembered longer than the Prediction."""
    key = f"{key_of(picture, model)}:{finish_of(card)}"
    found = _areas.get(key)
    if found is None:
        found = class_areas(prediction_of(picture, model, card).mask, card.labels)
        _areas.put(key, found, 1)
    return found


def finish_of(card: ModelCard) -> str:
    """What names the thresholds and the clean-up of a card."""
    return json.dumps([dict(card.thresholds), card.clean_up.to_json()], sort_keys=True)


# ------------------------------------------------------------------------------------------------------------ page


def _show_progress(pictures: tuple[Picture, ...], model: Path, card: ModelCard) -> None:
    """The bar; when all is done the page takes over."""
    keys = [key_of(picture, model) for picture in pictures]
    if all(_is_known(key) for key in keys):
        st.rerun()
    _request(pictures, model, card)
    with _changed:
        jobs = [_jobs[key] for key in keys if key in _jobs]
    if not jobs:
        return
    done = len(keys) - len(jobs)
    share = (done + sum(job.share for job in jobs)) / len(keys)
    if share == 0:
        st.progress(0.0, "Loading the model; the first time takes some seconds.")
        return
    left = (time.monotonic() - min(job.made for job in jobs)) * (1 - share) / share
    now = next((job for job in jobs if job.share > 0), jobs[0]).picture.name
    counted = f", picture {done + 1} of {len(keys)}" if len(keys) > 1 else ""
    st.progress(min(share, 1.0), f"Predicting {now}{counted}, about {duration(left)} left")


def _request(pictures: Sequence[Picture], model: Path, card: ModelCard) -> None:
    """Put pictures into the queue, or say that they are still wanted."""
    with _changed:
        for picture in pictures:
            key = key_of(picture, model)
            if key in _jobs:
                _jobs[key].wanted = time.monotonic()
            elif not _is_known(key):
                _jobs[key] = _Job(picture, model, card)
                _waiting.put(key)
        if not _threads:
            thread = threading.Thread(target=_work, name="predict", daemon=True)
            _threads.append(thread)
            thread.start()


def _is_known(key: str) -> bool:
    return _doubts.get(key) is not None or _failed.get(key) is not None


# ---------------------------------------------------------------------------------------------------------- thread


def _work() -> None:
    while True:
        key = _waiting.get()
        job = _jobs[key]
        try:
            if not job.is_forgotten():
                found = _make(job)
                _open.put(key, found, _size(found))
        except Cancelled:
            pass
        except Exception as error:  # said, or raised, by the page that asked
            _failed.put(key, error, 1)
        finally:
            with _changed:
                del _jobs[key]
                _changed.notify_all()


def _make(job: _Job) -> Undecided:
    """Compute now, and keep it packed."""
    backend = backend_of(job.model)
    image = job.picture.decoded(job.card.intensity)
    found = predict_undecided(image, backend, progress=job.show, cancelled=job.is_forgotten)
    key, packed = key_of(job.picture, job.model), _pack(found)
    _packed.put(key, packed, sum(len(part) for part in packed[1:]))
    mask = decided(found, job.card).mask
    _areas.put(f"{key}:{finish_of(job.card)}", class_areas(mask, job.card.labels), 1)
    _remember(key, found)  # last: then it counts as done
    return found


def _remember(key: str, found: Undecided) -> float:
    doubt = picture_doubt(found.probabilities, found.mask)
    _doubts.put(key, doubt, 1)
    return doubt


def key_of(picture: Picture, model: Path) -> str:
    """What names what a network says: picture, page, the model as its files are now, and the backend."""
    stamps = f"{stamp_of(model / WEIGHTS_FILE)}:{stamp_of(model / CARD_FILE)}"
    text = f"{picture.id}:{model.resolve()}:{stamps}:{took(model)}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _pack(found: Undecided) -> _Packed:
    height, width = found.mask.shape
    mask, confidence, probabilities = (zlib.compress(np.ascontiguousarray(part).data, 1) for part in found)
    return _Packed((height, width), mask, confidence, probabilities)


def _unpack(packed: _Packed) -> Undecided:
    mask, confidence, probabilities = (
        np.frombuffer(zlib.decompress(part), np.uint8).reshape(-1, *packed.shape) for part in packed[1:]
    )
    return Undecided(mask[0], confidence[0], probabilities)


def _size(found: Undecided) -> int:
    return sum(part.size for part in found)
