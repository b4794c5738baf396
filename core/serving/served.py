"""The models that predictions can be asked of: their names, their cards, and those of them that are loaded."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import ReadError, UserError
from core.files import unused_name
from core.inference.backend import Backend
from core.networks.card import CARD_FILE, WEIGHTS_FILE, read_card
from core.project.home import list_projects
from core.project.project import Project
from core.serving.queue import TurnQueue
from core.serving.refusals import RefusedError

Load = Callable[[Path], Backend]
Stamp = tuple[int, int]  # time of change, bytes


class Served(NamedTuple):
    """A model by its name.  folder: of its Checkpoint or ensemble."""

    name: str
    folder: Path


def served_checkpoints(folders: Sequence[Path]) -> list[Served]:
    """Models by the names of their folders, Projects (their current models) by their own. Raises ReadError."""
    return _with_own_names([_served(folder) for folder in folders])


def served_projects() -> list[Served]:
    """The current models of all Projects in the home that have one, by the Projects' names."""
    found = []
    for folder in list_projects():
        try:
            project = Project.open(folder)
            model = project.current_model()
        except UserError:
            continue  # the page of Projects says what is wrong with it
        if model is not None:
            found.append(Served(project.settings.name, model))
    return _with_own_names(found)


def find_model(models: Sequence[Served], name: str | None) -> Served:
    """The model of that name, the first without one. Raises RefusedError, 404."""
    if not models:
        raise RefusedError(404, "There is no model here yet.", hint="Train one first.")
    for model in models:
        if name is None or model.name == name:
            return model
    known = ", ".join(model.name for model in models)
    raise RefusedError(404, f"There is no model {name!r}.", hint=f"Choose of {known}.")


def describe(model: Served) -> dict[str, Any]:
    """What a client needs to know of a model, as JSON. Raises ReadError."""
    card = read_card(model.folder)
    return {
        "name": model.name,
        "labels": card.labels.to_json(),
        "window": card.window,
        "multiple_of": card.network.multiple_of,
        "metrics": dict(card.metrics),
        "created": card.created,
    }


class LoadedModel:
    """A model's queue, and its Backend, which is loaded by the first that needs it."""

    def __init__(self, model: Served, load: Load, queue: TurnQueue) -> None:
        self.name, self.queue = model.name, queue
        self._folder, self._load = model.folder, load
        self._backend: Backend | None = None

    def backend(self) -> Backend:
        """Only for the thread of the queue. Raises RefusedError, 503, where it cannot be loaded."""
        if self._backend is None:
            try:
                self._backend = self._load(self._folder)
            except UserError as error:
                said = f"The model {self.name!r} cannot be loaded: {error.message}"
                raise RefusedError(503, said, hint=error.hint) from error
        return self._backend


class LoadedModels:
    """The models that were used last. One that is replaced on the disk is loaded again."""

    def __init__(self, load: Load, *, most: int, make_queue: Callable[[str], TurnQueue] = TurnQueue) -> None:
        self._load, self._most, self._make_queue = load, most, make_queue
        self._loaded: OrderedDict[tuple[Path, Stamp, Stamp], LoadedModel] = OrderedDict()
        self._turn = threading.Lock()

    def get(self, model: Served) -> LoadedModel:
        key = model.folder, _stamp(model.folder / CARD_FILE), _stamp(model.folder / WEIGHTS_FILE)
        with self._turn:
            if key not in self._loaded:
                self._drop_old(model.folder)
                self._loaded[key] = LoadedModel(model, self._load, self._make_queue(model.name))
            self._loaded.move_to_end(key)
            return self._loaded[key]

    def queues(self) -> list[tuple[str, TurnQueue]]:
        """Of the models that are loaded, by name."""
        with self._turn:
            return [(loaded.name, loaded.queue) for loaded in self._loaded.values()]

    def _drop_old(self, folder: Path) -> None:
        """What `folder` held before goes, and the models used longest ago."""
        old = [key for key in self._loaded if key[0] == folder]
        kept = [key for key in self._loaded if key[0] != folder]
        old += kept[: max(0, len(kept) + 1 - self._most)]
        for key in old:
            self._loaded.pop(key).queue.close()


def _served(folder: Path) -> Served:
    if (folder / "project.json").is_file():
        project = Project.open(folder)
        model = project.current_model()
        if model is None:
            raise ReadError(f"{folder} has no model yet.", hint="Train one first: python -m core train PROJECT.")
        return Served(project.settings.name, model)
    read_card(folder)  # raises ReadError for what is no model
    folder = folder.resolve()
    return Served(folder.parent.name if folder.name == "best" else folder.name, folder)


def _with_own_names(models: Sequence[Served]) -> list[Served]:
    used, named = set[str](), []
    for model in models:
        name = unused_name(model.name, used)
        used.add(name.casefold())
        named.append(model._replace(name=name))
    return named


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)  # loading it says what is wrong
    return status.st_mtime_ns, status.st_size
