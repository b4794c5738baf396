"""What several reruns of a page share: loaded models, the index, parsed curves. Keyed by what the files are now."""

import threading
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Final, Generic, TypeVar

import streamlit as st

from core.inference import load_backend
from core.inference.backend import Backend
from core.inference.bench import Bench, read_bench
from core.inference.exported import BENCH_FILE, exported_folder
from core.networks.card import CARD_FILE, WEIGHTS_FILE, is_ensemble
from core.networks.runtime import share_cores
from core.project.index import Index, SampleRow
from core.project.project import Project
from core.training.run import read_columns

T = TypeVar("T")
_SLOW_FROM: Final = 40  # new pictures: reading them takes long enough to be worth a bar


class Shelf(Generic[T]):
    """Values that may be forgotten: the ones used last are kept, up to `limit` bytes. Shared by all sessions."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: str, value: T, size: int) -> None:
        """Keep `value` of `size` bytes, at least until another comes."""
        with self._lock:
            self._values[key] = (value, size)
            self._values.move_to_end(key)
            while len(self._values) > 1 and sum(size for _, size in self._values.values()) > self._limit:
                self._values.popitem(last=False)


def backend_of(folder: Path) -> Backend:
    """The Checkpoint in `folder`, loaded once for all sessions. The first call may import torch.

    It is computed by the fastest backend that agrees, where the Deploy page has compared them, else by torch.
    """
    return _backend(str(folder.resolve()), stamp_of(folder / WEIGHTS_FILE), stamp_of(folder / CARD_FILE), took(folder))


def took(folder: Path) -> str:
    """The name of the backend that `backend_of` takes."""
    bench = bench_of(folder)
    return bench.best if bench is not None else "torch"


def bench_of(folder: Path) -> Bench | None:
    """What was measured for a Checkpoint on this machine; None also for an ensemble, whose members are asked alone."""
    if is_ensemble(folder):
        return None
    found = exported_of(folder) / BENCH_FILE
    return _bench(folder, stamp_of(folder / WEIGHTS_FILE), stamp_of(found)) if stamp_of(found) else None


def exported_of(folder: Path) -> Path:
    """Where its other forms are kept; the weights are read once for their digest."""
    return _exported(folder, stamp_of(folder / WEIGHTS_FILE), stamp_of(folder / CARD_FILE))


@lru_cache(maxsize=64)
def _exported(folder: Path, weights: int, card: int) -> Path:
    return exported_folder(folder)


@lru_cache(maxsize=64)
def _bench(folder: Path, weights: int, measured: int) -> Bench | None:
    return read_bench(folder)


@st.cache_resource(max_entries=3, show_spinner=False)
def _backend(folder: str, weights: int, card: int, name: str) -> Backend:
    share_cores()  # before torch is imported: beside a training a prediction is many times faster
    return load_backend(Path(folder), name)


def rows_of(project: Project) -> list[SampleRow]:
    """The index of a Project as its files are now; a bar where that takes long."""
    index = Index(project)
    stale = index.stale_count()
    if stale < _SLOW_FROM:
        if stale:
            index.refresh()
        return index.rows()
    bar = st.progress(0.0, "Reading the new pictures")

    def show(done: int, total: int) -> None:
        bar.progress(done / total, f"Reading picture {done} of {total}")

    index.refresh(progress=show)
    bar.empty()
    return index.rows()


def columns_of(path: Path) -> dict[str, list[float | None]]:
    """A Run's CSV as columns, parsed again only when it has grown. Not to be changed by the caller."""
    return _columns(path, stamp_of(path))


@lru_cache(maxsize=64)
def _columns(path: Path, stamp: int) -> dict[str, list[float | None]]:
    return read_columns(path)


def stamp_of(path: Path) -> int:
    """Changes whenever the file does; 0 when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return 0
    return status.st_mtime_ns ^ status.st_size << 1
