"""One picture's way through a model: its bytes in, the answer's bytes out, and where the seconds went."""

import time
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import ReadError
from core.images import MAX_PIXELS, probe_image, read_image
from core.inference.backend import Backend
from core.inference.predict import predict
from core.inference.rows import Cancelled
from core.networks.card import ModelCard
from core.serving.api_formats import Answered, AnswerFormat
from core.serving.refusals import RefusedError
from core.serving.served import LoadedModel


class Seconds(NamedTuple):
    """Of reading the picture, of predicting, of the network within that, of writing the answer."""

    read: float
    predict: float
    network: float
    write: float


class Predicted(NamedTuple):
    body: bytes
    seconds: Seconds


def answer_picture(
    model: LoadedModel, picture: BinaryIO, *, file_name: str, format: AnswerFormat, stopped: Callable[[], bool]
) -> Predicted:
    """The Prediction of the picture in the file `picture`, in `format`. For the thread of the model's queue.

    Raises RefusedError: 413 too many pixels, 415 no picture, 422 a broken one, 503 the model cannot be loaded;
    Cancelled.
    """
    if stopped():
        raise Cancelled
    backend = _Timed(model.backend())
    clock = time.perf_counter
    started = clock()
    picture.seek(0)
    data = picture.read()
    _check(data, file_name)
    try:
        image = read_image(data, intensity=backend.card.intensity, name=file_name)
    except ReadError as error:
        raise RefusedError(422, error.message, hint=error.hint) from error
    read = clock()
    prediction = predict(image, backend, cancelled=stopped)
    predicted = clock()
    body = format.write(Answered(prediction, image, data, file_name, model.name, backend.card.labels))
    return Predicted(body, Seconds(read - started, predicted - read, backend.seconds, clock() - predicted))


def _check(data: bytes, file_name: str) -> None:
    try:
        size = probe_image(data, name=file_name).size
    except ReadError as error:
        status = 413 if "megapixels" in error.message else 415
        raise RefusedError(status, error.message, hint=error.hint) from error
    if size.pixels > MAX_PIXELS:
        limit = f"the limit is {MAX_PIXELS // 1_000_000} megapixels"
        raise RefusedError(
            413, f"{file_name} is {size} = {size.pixels / 1e6:.0f} megapixels; {limit}.", hint="Send it in parts."
        )


class _Timed:
    """A Backend that counts the seconds it computes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.seconds = 0.0

    @property
    def card(self) -> ModelCard:
        return self._backend.card

    @property
    def multiple_of(self) -> int:
        return self._backend.multiple_of

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        started = time.perf_counter()
        try:
            return self._backend.logits(batch)
        finally:
            self.seconds += time.perf_counter() - started
