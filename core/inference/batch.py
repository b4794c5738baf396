"""A folder or a zip of pictures through a Backend: their files, a journal to go on from, and one report.

<out>/<folders of the picture>/<its name>.png, _overlay.jpg, .json   as `export.py` writes them
<out>/journal.jsonl                                                  see batch_journal.py
<out>/report.html, contact_sheet.jpg, areas.csv, failures.csv        see batch_report.py
"""

import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np

from core.annotation.labels import LabelSet
from core.annotation.overlay import overlay
from core.annotation.raster import Mask
from core.errors import UserError, WriteError
from core.files import locked, write_bytes
from core.formats.source import Source
from core.images import RGB, encode_jpeg, probe_image, read_image, shrink
from core.inference.backend import Backend
from core.inference.batch_journal import (
    Entry,
    Failure,
    Fingerprints,
    Journal,
    PageDone,
    fingerprint,
    page_stem,
)
from core.inference.batch_plan import BatchConfig, Picture, model_fingerprint, pictures_of, with_stems
from core.inference.batch_report import THUMBNAIL, BatchReport, thumbnail_path, write_report
from core.inference.export import ClassArea, Predicted, class_areas, prediction_files
from core.inference.predict import predict
from core.inference.rows import Cancelled
from core.networks.card import ModelCard

LOCK_FILE: Final = ".lock"


class BatchProgress(NamedTuple):
    """done: pictures that need nothing more, of `total`.  name: the last one.  seconds_left: None until it is known."""

    done: int
    total: int
    name: str
    seconds_left: float | None


class Page(NamedTuple):
    """A predicted page, not written yet. files: what is added to its stem, and the bytes.  thumbnail: a JPEG."""

    page: int | None
    files: tuple[tuple[str, bytes], ...]
    areas: tuple[ClassArea, ...]
    thumbnail: bytes


class Job(NamedTuple):
    """A picture to be predicted. data: the bytes of its file.  place: the picture, from the folder of its results."""

    picture: Picture
    data: bytes
    fingerprints: Fingerprints
    place: str


def predict_batch(
    source: Source | Sequence[Path],
    backend: Backend,
    out: Path,
    *,
    model: Path | None = None,
    config: BatchConfig | None = None,
    progress: Callable[[BatchProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> BatchReport:
    """Predict all pictures of `source` into the folder `out`, one after the other, and write one report.

    source: a Source, or paths of folders, archives and pictures.  model: where `backend` was loaded from, so that new
    weights are noticed.  A picture whose bytes, model and settings are those of an earlier batch in `out` is not done
    again. One that cannot be predicted is a Failure of the report. Asked to stop (`cancelled`), it ends with a report
    of what is done. In memory are one picture and the journal.

    Raises ReadError when there is no picture, ConfigError for an `out` that would overwrite pictures, and WriteError
    when the disk refuses (or another batch writes to `out`): what is done is kept, the next call goes on.
    """
    digest = model_fingerprint(backend.card, model) + type(backend).__name__
    batch = Batch(source, backend.card, digest, out, config or BatchConfig(), progress)
    with locked(out / LOCK_FILE, wait=False):
        try:
            for job in batch.jobs():
                if cancelled is not None and cancelled():
                    raise Cancelled
                started = time.monotonic()
                pages = predict_pages(job.picture.file.name, job.data, job.place, backend, batch.config, cancelled)
                batch.finish(job, pages, started)
        except Cancelled:
            return batch.report(stopped=True)
        return batch.report()


def predict_pages(
    name: str,
    data: bytes,
    place: str,
    backend: Backend,
    config: BatchConfig,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Page]:
    """Each page of the picture in `data`, predicted. name: for errors.  place: what its Labelme file shall open.

    Raises ReadError, Cancelled.
    """
    count = probe_image(data, name=name).pages
    for number in range(count):
        image = read_image(data, page=number, intensity=backend.card.intensity, name=name)
        prediction = predict(image, backend, config=config.predict, cancelled=cancelled)
        labels = backend.card.labels
        yield Page(
            page=None if count == 1 else number,
            files=tuple(prediction_files(Predicted(place, image, prediction), labels, config.formats)),
            areas=tuple(class_areas(prediction.mask, labels)),
            thumbnail=encode_jpeg(thumbnail(image, prediction.mask, labels), quality=80),
        )


def thumbnail(image: RGB, mask: Mask, labels: LabelSet) -> RGB:
    """The overlay, its longer side at most THUMBNAIL pixels."""
    small = shrink(image, THUMBNAIL)
    seen = cv2.resize(mask, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)
    return overlay(small, np.asarray(seen, np.uint8), labels, outline=False)


def failure_of(error: Exception) -> Failure:
    """What is said of a picture that raised `error`."""
    if isinstance(error, UserError):
        return Failure(error.message, error.hint)
    if isinstance(error, MemoryError):
        return Failure("There was not enough memory for this picture.", "Close other programs, or cut it.", again=True)
    trace = "".join(traceback.format_exception(error))
    return Failure(
        f"Something unexpected happened: {type(error).__name__}: {error}"[:500],
        "The journal has the details; please report them.",
        again=True,
        trace=trace[-4000:],
    )


class Batch:
    """What a batch has to do and has done; what `predict_batch` and `predict_fleet` have in common."""

    def __init__(
        self,
        source: Source | Sequence[Path],
        card: ModelCard,
        model: str,
        out: Path,
        config: BatchConfig,
        progress: Callable[[BatchProgress], None] | None,
    ) -> None:
        """model: its fingerprint. Raises ReadError, ConfigError."""
        self.config = config
        self._out, self._card, self._model, self._progress = out, card, model, progress
        pictures = pictures_of(source, out)
        self._refused = pictures.refused
        self._journal = Journal(out)
        self._pictures = with_stems(pictures.found, self._journal, out)
        self._reached: dict[str, Entry] = {}  # of this call, kept ones included
        self._computed = 0
        self._started = time.monotonic()
        self._time_left = _TimeLeft(picture.file.size for picture in self._pictures if not self._may_be_kept(picture))

    def jobs(self) -> Iterator[Job]:
        """The pictures that have to be predicted, each read when it is asked for."""
        for picture in self._pictures:
            try:
                data = picture.file.read()
            except (UserError, MemoryError) as error:
                failure = replace(failure_of(error), again=True)  # a network disk may be there again
                self._end(Entry(picture.file.name, picture.stem, self._fingerprints(""), 0.0, failure=failure))
                continue
            fingerprints = self._fingerprints(fingerprint(data))
            known = self._journal.entries.get(picture.file.name)
            if self.config.resume and known is not None and known.holds(fingerprints, self._out):
                self._tell(known)
                continue
            self._time_left.begin()
            yield Job(picture, data, fingerprints, self._place(picture))

    def finish(self, job: Job, pages: Iterable[Page], started: float) -> None:
        """Write `pages` as they come and enter them in the journal; an error among them costs this picture only.

        started: on the monotonic clock. Raises WriteError, Cancelled.
        """
        done: list[PageDone] = []
        failure = None
        try:
            for page in pages:
                done.append(self._write(job.picture.stem, page, first=not done))
        except (WriteError, Cancelled):
            raise
        except Exception as error:  # said in the report, with its trace in the journal
            failure = failure_of(error)
        self.enter(job, done, failure, time.monotonic() - started)

    def enter(self, job: Job, done: Sequence[PageDone], failure: Failure | None, seconds: float) -> None:
        """Enter what became of `job`. Raises WriteError."""
        name, stem = job.picture.file.name, job.picture.stem
        self._computed += 1
        self._time_left.add(job.picture.file.size)
        self._end(Entry(name, stem, job.fingerprints, seconds, tuple(done), failure))

    def report(self, *, stopped: bool = False) -> BatchReport:
        """Write the report of what was reached. Raises WriteError."""
        return write_report(
            self._out,
            [self._reached[picture.file.name] for picture in self._pictures if picture.file.name in self._reached],
            self._card,
            total=len(self._pictures),
            computed=self._computed,
            refused=self._refused,
            seconds=time.monotonic() - self._started,
            stopped=stopped,
        )

    def _write(self, stem: str, page: Page, *, first: bool) -> PageDone:
        stem_of_page = page_stem(stem, page.page)
        names = []
        for end, data in page.files:
            write_bytes(self._out / f"{stem_of_page}{end}", data)
            names.append(f"{stem_of_page}{end}")
        if first:
            write_bytes(thumbnail_path(self._out, stem), page.thumbnail, durable=False)
        return PageDone(page.page, tuple(names), page.areas)

    def _end(self, entry: Entry) -> None:
        self._journal.add(entry)
        self._tell(entry)

    def _tell(self, entry: Entry) -> None:
        self._reached[entry.picture] = entry
        if self._progress is not None:
            left = self._time_left.seconds
            self._progress(BatchProgress(len(self._reached), len(self._pictures), entry.picture, left))

    def _fingerprints(self, picture: str) -> Fingerprints:
        return Fingerprints(picture, self._model, self.config.fingerprint)

    def _may_be_kept(self, picture: Picture) -> bool:
        """Whether the journal has a result of the same model and settings; its bytes are not looked at yet."""
        known = self._journal.entries.get(picture.file.name)
        return self.config.resume and known is not None and known.fingerprints[1:] == self._fingerprints("")[1:]

    def _place(self, picture: Picture) -> str:
        """The picture's path from the folder of its files; its bare name where it lies in an archive."""
        if picture.path is None:
            return picture.file.base
        try:
            place = Path(os.path.relpath(picture.path, (self._out / picture.stem).resolve().parent)).as_posix()
        except ValueError:  # another drive of Windows
            place = picture.path.as_posix()
        return place.encode("utf-8", "replace").decode()  # a disk may hold names that are no text


class _TimeLeft:
    """How long the rest will take: as many bytes a second as until now."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._left = sum(sizes)
        self._done = 0
        self._started: float | None = None

    def begin(self) -> None:
        """Pictures are computed from now on."""
        if self._started is None:
            self._started = time.monotonic()

    def add(self, size: int) -> None:
        """A picture of `size` bytes was computed."""
        self._done += size
        self._left = max(0, self._left - size)

    @property
    def seconds(self) -> float | None:
        if self._started is None or not self._done:
            return None
        return (time.monotonic() - self._started) / self._done * self._left
