"""A batch over many processes and machines, by Dask (`pip install -r requirements-fleet.txt`).

This process reads the pictures, writes the results and keeps the journal; workers get a picture's bytes and give its
results back, so they need no common disk. What they need: Maskloop, and the model at the same path. A worker that dies
costs only what it was at: Dask gives it to another one. Who can reach a scheduler can run programs on its workers: keep
it in a network that you trust.

On several machines:  dask scheduler
                      PYTHONPATH=<maskloop> dask worker tcp://<scheduler>:8786 --nworkers auto
"""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from core.errors import ConfigError, ReadError, UserError
from core.files import locked
from core.formats.source import Source
from core.inference import load_backend
from core.inference.backend import Backend
from core.inference.batch import LOCK_FILE, Batch, BatchProgress, Job, Page, failure_of, predict_pages
from core.inference.batch_journal import Failure
from core.inference.batch_plan import BatchConfig, model_fingerprint
from core.inference.batch_report import BatchReport
from core.networks.card import read_card

if TYPE_CHECKING:
    from distributed import Client, Future

INSTALL: Final = "Install it: .venv/bin/pip install -r requirements-fleet.txt"
_PATIENCE: Final = 60.0  # seconds without any worker, then it ends
_CONNECT: Final = 10.0  # seconds that a scheduler has to answer
_LOOK: Final = 1.0  # seconds between two looks at `cancelled` and at the workers
_loading: Final = threading.Lock()


class Model(NamedTuple):
    """Which model a worker loads. fingerprint: of what the coordinator sees in `folder`."""

    folder: Path
    backend: str
    fingerprint: str


class Outcome(NamedTuple):
    """What a worker made of a picture."""

    pages: tuple[Page, ...]
    failure: Failure | None
    seconds: float


def predict_fleet(
    source: Source | Sequence[Path],
    model: Path,
    out: Path,
    *,
    scheduler: str | None = None,
    workers: int = 2,
    backend: str = "torch",
    config: BatchConfig | None = None,
    progress: Callable[[BatchProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> BatchReport:
    """As `predict_batch`, on many processes: of the Dask `scheduler`, as tcp://host:8786, or `workers` started here.

    model: the folder of a Checkpoint or ensemble, at the same path on each machine.  backend: as in `load_backend`.
    In memory here are two pictures for each thread of a worker.
    Raises UserError where Dask is not installed or no worker can be reached, else as `predict_batch`.
    """
    if workers < 1:
        raise ConfigError(f"{workers} workers cannot predict.", hint="Choose at least 1.")
    card = read_card(model)
    asked = Model(model.resolve(), backend, model_fingerprint(card, model))
    config = config or BatchConfig()
    with _connected(scheduler, workers) as client:
        kind = _kind_of_backend(client, asked)
        batch = Batch(source, card, asked.fingerprint + kind, out, config, progress)
        with locked(out / LOCK_FILE, wait=False):
            jobs = batch.jobs()
            for job, outcome in _outcomes(client, jobs, asked, config, cancelled or (lambda: False)):
                if outcome.failure is not None:
                    batch.enter(job, (), outcome.failure, outcome.seconds)
                else:
                    batch.finish(job, outcome.pages, time.monotonic() - outcome.seconds)
            return batch.report(stopped=next(jobs, None) is not None)


# ---------------------------------------------------------------------------------------------------- the coordinator


def _outcomes(
    client: "Client", jobs: Iterator[Job], model: Model, config: BatchConfig, cancelled: Callable[[], bool]
) -> Iterator[tuple[Job, Outcome]]:
    """Each of `jobs` with what became of it, as they end. Once `cancelled`, takes no further one."""
    from distributed import wait

    flying: dict[Future, Job] = {}
    seen = time.monotonic()  # when there was a worker last
    while True:
        threads = sum(client.nthreads().values())
        seen = time.monotonic() if threads else seen
        if time.monotonic() - seen > _PATIENCE:
            raise UserError("All workers are gone.", hint="Start workers again; the same call goes on.")
        while len(flying) < max(2, 2 * threads) and not cancelled() and (job := next(jobs, None)) is not None:
            task = client.submit(work, model, job.picture.file.name, job.data, job.place, config, pure=False)
            flying[task] = job
        if not flying:
            return
        try:
            wait(list(flying), timeout=_LOOK, return_when="FIRST_COMPLETED")
        except TimeoutError:
            continue
        for task in [task for task in flying if task.done()]:
            yield flying.pop(task), _outcome(task)


def _outcome(task: "Future") -> Outcome:
    """What a task came to. Raises UserError when the model cannot be used or the scheduler is gone."""
    from distributed import KilledWorker

    if task.status not in ("finished", "error"):
        raise UserError("The scheduler is gone.", hint="Start it again; the same call goes on.")
    try:
        outcome: Outcome = task.result()
    except KilledWorker:
        message = "Each worker that began with this picture died."
        return Outcome((), Failure(message, "It may need more memory than they have; cut it.", again=True), 0.0)
    return outcome


@contextmanager
def _connected(scheduler: str | None, workers: int) -> "Iterator[Client]":
    """A Client of the scheduler at that address, or of a new one with `workers` processes, gone afterwards."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UserError("Dask is not installed here.", hint=INSTALL) from error
    # a picture is large for a task; that is meant
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
        if scheduler is None:
            with (
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
                ) as cluster,
                Client(cluster) as client,
            ):
                yield client
            return
        try:
            client = Client(scheduler, timeout=_CONNECT)
        except (OSError, ValueError) as error:  # TimeoutError is one
            hint = "Is it running, and may this machine reach it? The address looks like tcp://host:8786."
            raise UserError(f"The scheduler {scheduler} does not answer.", hint=hint) from error
        with client:
            yield client


def _kind_of_backend(client: "Client", model: Model) -> str:
    """What `describe` says on one of the workers. Raises UserError when there is none, or it cannot load the model."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE)
        kind: str = client.submit(describe, model, pure=False).result(timeout=10 * _PATIENCE)
    except TimeoutError as error:
        raise UserError("No worker answers.", hint="Start some: dask worker tcp://host:8786") from error
    except ImportError as error:
        hint = "Start it with PYTHONPATH=<the folder of Maskloop>, in an environment with its packages."
        raise UserError(f"A worker does not know Maskloop: {error}.", hint=hint) from error
    return kind


# --------------------------------------------------------------------------------------------------------- a worker


def work(model: Model, name: str, data: bytes, place: str, config: BatchConfig) -> Outcome:
    """What a worker does with one picture. Raises ReadError when its model cannot be used."""
    started = time.monotonic()
    backend = _loaded(model)
    try:
        pages, failure = tuple(predict_pages(name, data, place, backend, config)), None
    except Exception as error:  # the coordinator tells it, as of a batch
        pages, failure = (), failure_of(error)
    return Outcome(pages, failure, time.monotonic() - started)


def describe(model: Model) -> str:
    """The class of the backend, which may differ from machine to machine under one name."""
    return type(_loaded(model)).__name__


def _loaded(model: Model) -> Backend:
    with _loading:  # a worker of several threads loads it once
        return _load(model)


@functools.lru_cache(maxsize=1)
def _load(model: Model) -> Backend:
    """The model, loaded once a process. Raises ReadError when it is another one than the coordinator's."""
    if model_fingerprint(read_card(model.folder), model.folder) != model.fingerprint:
        raise ReadError(
            f"{model.folder} is another model on this worker than where the batch was started.",
            hint="Copy the model to each machine, at the same path.",
        )
    return load_backend(model.folder, model.backend)
