"""The current model's prediction as Shapes that the editor offers. Nothing is written.

One prediction at a time: two at once on the same cores would take several times as long. The model stays loaded, and
answers are kept, so that going back to a picture costs nothing.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.errors import ConfigError
from core.images import read_image
from core.inference import load_backend
from core.inference.backend import Backend
from core.inference.predict import predict
from core.inference.suggest import suggest_shapes
from core.networks.card import CARD_FILE, WEIGHTS_FILE
from core.networks.runtime import share_cores
from core.project.project import Project
from core.serving.answers import answering, project_of, sample_of
from core.serving.wire import shape_to_wire

_KEPT_BYTES: Final = 64_000_000
_WAITING: Final = 3  # requests that wait for their turn; each holds a thread that tiles and saves need as well

Stamp = tuple[int, int]  # time of change, bytes


class _Key(NamedTuple):
    """A picture and a model as their files are now."""

    picture: Path
    picture_stamp: Stamp
    model: Path
    model_stamps: tuple[Stamp, Stamp]


class _Made(NamedTuple):
    """What was computed: the Shapes as JSON, the labels among them, the seconds it took, what was left out."""

    shapes: bytes
    labels: frozenset[str]
    seconds: float
    note: str


class Suggester:
    """The model that was used last, and the latest answers."""

    def __init__(self, load: Callable[[Path], Backend] = load_backend) -> None:
        self._load = load
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(1 + _WAITING)
        self._backend: tuple[tuple[Path, tuple[Stamp, Stamp]], Backend] | None = None
        self._made: OrderedDict[_Key, _Made] = OrderedDict()

    def answer(self, project: Project, sample: str) -> bytes:
        """The JSON answer for a Sample. Raises ConfigError without a model or when many wait, ReadError."""
        model = project.current_model()
        if model is None:
            raise ConfigError(
                "This project has no model yet.", hint="Train once, then the model suggests shapes to correct."
            )
        picture = project.sample(sample).image
        key = _Key(picture, _stamp(picture), model, (_stamp(model / CARD_FILE), _stamp(model / WEIGHTS_FILE)))
        if not self._places.acquire(blocking=False):
            raise ConfigError("The model is busy with other pictures.", hint="Try again in a moment.")
        try:
            with self._turn:
                if key not in self._made:
                    self._keep(key, self._make(key))
                self._made.move_to_end(key)
                made = self._made[key]
        finally:
            self._places.release()
        missing = sorted(made.labels - set(project.settings.labels.names))
        named = f"The project does not have yet: {', '.join(missing)}." if missing else ""
        rest = {"model": _name(model), "seconds": made.seconds, "note": f"{made.note} {named}".strip()}
        return b'{"shapes":' + made.shapes + b"," + _json(rest)[1:]

    def _make(self, key: _Key) -> _Made:
        started = time.perf_counter()
        backend = self._backend_of(key)
        image = read_image(key.picture, intensity=backend.card.intensity)
        shapes, note = suggest_shapes(predict(image, backend), backend.card.labels)
        text = _json([shape_to_wire(shape) for shape in shapes])
        return _Made(text, frozenset(shape.label for shape in shapes), round(time.perf_counter() - started, 2), note)

    def _backend_of(self, key: _Key) -> Backend:
        wanted = key.model, key.model_stamps
        if self._backend is None or self._backend[0] != wanted:
            self._backend = None  # the old one's memory is free before the new one needs some
            share_cores()
            self._backend = wanted, self._load(key.model)
        return self._backend[1]

    def _keep(self, key: _Key, made: _Made) -> None:
        self._made[key] = made
        while len(self._made) > 1 and sum(len(kept.shapes) for kept in self._made.values()) > _KEPT_BYTES:
            self._made.popitem(last=False)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)  # reading it says what is wrong
    return status.st_mtime_ns, status.st_size


def _name(model: Path) -> str:
    """What people call a Checkpoint: the folder of the Run that it is the best of, or its own."""
    return model.parent.name if model.name == "best" else model.name


_SUGGESTER: Final = Suggester()


def _suggest(request: Request, body: Mapping[str, Any]) -> Response:
    project = project_of(request)
    return Response(_SUGGESTER.answer(project, sample_of(request, project)), media_type="application/json")


ROUTES: Final[tuple[BaseRoute, ...]] = (
    Route("/api/projects/{project}/samples/{sample}/suggest", answering(_suggest), methods=["POST"]),
)
