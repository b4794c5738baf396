"""What a Project holds, as a table that opens 5,000 pictures at once: sizes, states, pixels and objects a class.

SQLite, derived from the files; delete index.sqlite and it is rebuilt. A row is made anew when the stamp (time, bytes)
of its picture or Annotation, or the Project's labels or preset, changed.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from os import scandir
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from core.annotation.checks import findings_of
from core.annotation.labels import IGNORE
from core.annotation.raster import annotation_to_mask, class_pixels
from core.annotation.shapes import Annotation
from core.errors import UserError
from core.files import natural_key
from core.images import MAX_PIXELS, ImageSize, probe_image
from core.project.sample import Sample, list_samples, stamp_of

if TYPE_CHECKING:
    from core.project.project import Project

SCHEMA: Final = 5
Result = TypeVar("Result")
_CREATE: Final = """
    CREATE TABLE IF NOT EXISTS sample (
        name TEXT PRIMARY KEY, stamp TEXT NOT NULL, image TEXT NOT NULL, digest TEXT NOT NULL, row TEXT NOT NULL
    )
"""


@dataclass(frozen=True)
class SampleRow:
    """One Sample at a glance. `pixels` and `objects` are by class id; 255 is what is drawn as not labelled."""

    name: str
    image: str  # file name in images/
    stamp: str  # changes with the picture, the Annotation or the labels; a key for caches
    digest: str  # sha256 of the picture's bytes
    state: str
    version: int
    author: str
    time: str
    height: int
    width: int
    annotation_size: tuple[int, int] | None  # height, width
    pixels: dict[int, int]
    objects: dict[int, int]
    shapes: int | None  # how many; None without a readable Annotation
    findings: dict[str, int]  # kind of core/annotation/checks.py: how many shapes
    unknown_labels: tuple[str, ...]
    error: str  # why picture or Annotation cannot be read; empty when both can

    @property
    def size(self) -> ImageSize:
        return ImageSize(self.height, self.width)

    @property
    def picture_stamp(self) -> str:
        """The part of `stamp` that changes with the picture only."""
        return self.stamp.partition("/")[0]


class Index:
    """The table of one Project."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._path = project.folder / "index.sqlite"

    def refresh(self, *, names: set[str] | None = None, progress: Callable[[int, int], None] | None = None) -> int:
        """Bring the rows up to date with the files; returns how many were made anew.

        names: look at these Samples only.  progress(done, total) is called now and then.
        """
        return self._rebuilt_if_damaged(lambda: self._refresh(names, progress))

    def _refresh(self, names: set[str] | None, progress: Callable[[int, int], None] | None) -> int:
        stamps = self._stamps()
        made: list[tuple[str, str, str, str, str]] = []
        with self._open() as db:
            known = dict(db.execute("SELECT name, stamp FROM sample"))
            if names is None and (gone := [(name,) for name in known.keys() - stamps.keys()]):
                db.executemany("DELETE FROM sample WHERE name = ?", gone)
                db.commit()
            wanted = stamps.keys() if names is None else stamps.keys() & names
            stale = sorted((name for name in wanted if known.get(name) != stamps[name][1]), key=natural_key)
            for done, name in enumerate(stale, start=1):
                sample, stamp = stamps[name]
                row = self._make_row(sample, stamp, _row_of(db, name))
                made.append((name, stamp, row.image, row.digest, _dump(row)))
                if len(made) == 50 or done == len(stale):  # others write, too: none shall wait while a row is made
                    db.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?)", made)
                    db.commit()
                    made.clear()
                if progress is not None:
                    progress(done, len(stale))
        return len(stale)

    def rows(self) -> list[SampleRow]:
        """All rows in natural order of names, as of the last refresh."""
        return self._rebuilt_if_damaged(self._rows)

    def _rows(self) -> list[SampleRow]:
        with self._open() as db:
            found = [
                _load(name, stamp, text) for name, stamp, text in db.execute("SELECT name, stamp, row FROM sample")
            ]
        return sorted(found, key=lambda row: natural_key(row.name))

    def stale_count(self) -> int:
        """How many rows a refresh would make anew."""
        stamps = self._stamps()
        known = self._rebuilt_if_damaged(self._known)
        return sum(known.get(name) != stamp for name, (_, stamp) in stamps.items())

    def _known(self) -> dict[str, str]:
        with self._open() as db:
            return dict(db.execute("SELECT name, stamp FROM sample"))

    # ---------------------------------------------------------------------------------------------------- making

    def _stamps(self) -> dict[str, tuple[Sample, str]]:
        settings = self._project.settings
        made_for = json.dumps([settings.labels.to_json(), settings.preset])
        labels = hashlib.sha256(made_for.encode()).hexdigest()[:8]
        images, annotations = _stamps_in(self._project.images), _stamps_in(self._project.annotations)
        return {
            sample.name: (
                sample,
                f"{images.get(sample.image.name, '')}/{annotations.get(sample.name + '.json', '')}/{labels}",
            )
            for sample in list_samples(self._project.images)
        }

    def _make_row(self, sample: Sample, stamp: str, before: SampleRow | None) -> SampleRow:
        project, error = self._project, ""
        size, digest = ImageSize(0, 0), ""
        annotation: Annotation | None = None
        try:
            if before is not None and before.height and before.picture_stamp == stamp.partition("/")[0]:
                size, digest = before.size, before.digest  # a stroke shall not cost reading a large picture
            else:
                with sample.image.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = probe_image(sample.image).size
        except (UserError, OSError) as problem:
            error = str(problem)
        try:
            annotation = project.read_annotation(sample.name)
        except UserError as problem:
            error = error or str(problem)
        pixels, objects, unknown = _content(annotation, project)
        saved = stamp_of(annotation)
        return SampleRow(
            name=sample.name,
            image=sample.image.name,
            stamp=stamp,
            digest=digest,
            state=saved.state,
            version=saved.version,
            author=saved.author,
            time=saved.time,
            height=size.height,
            width=size.width,
            annotation_size=tuple(annotation.size) if annotation else None,  # type: ignore[arg-type]
            pixels=pixels,
            objects=objects,
            shapes=len(annotation.shapes) if annotation else None,
            findings=_findings(annotation, size, project.settings.preset),
            unknown_labels=unknown,
            error=error,
        )

    # -------------------------------------------------------------------------------------------------- database

    def _rebuilt_if_damaged(self, work: Callable[[], Result]) -> Result:
        """What `work` gives; where the table turns out to be damaged, it begins anew."""
        try:
            return work()
        except sqlite3.OperationalError:
            raise  # locked, or a full disk
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            return work()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            db = self._connect()
        except sqlite3.DatabaseError:  # damaged: it is only a cache
            self._path.unlink(missing_ok=True)
            db = self._connect()
        with closing(db):
            yield db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=30)
        try:
            if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
                db.execute("DROP TABLE IF EXISTS sample")
                db.execute(f"PRAGMA user_version = {SCHEMA}")
            db.execute("PRAGMA synchronous = OFF")  # a lost cache is rebuilt
            db.execute(_CREATE)
            db.commit()
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db


def _content(
    annotation: Annotation | None, project: "Project"
) -> tuple[dict[int, int], dict[int, int], tuple[str, ...]]:
    """Pixels and objects by class id, and the label names that the Project does not have."""
    if annotation is None:
        return {}, {}, ()
    labels = project.settings.labels
    known = {name: labels.id_of(name) for name in annotation.label_names if name in labels or name == IGNORE}
    pixels: dict[int, int] = {}
    if annotation.size.pixels <= MAX_PIXELS:  # of larger ones only the objects are counted
        counts = class_pixels(annotation_to_mask(annotation, labels), (*range(len(labels)), 255))
        pixels = {class_id: count for class_id, count in counts.items() if count}
    instances = {
        (known[shape.label], shape.group_id if shape.group_id is not None else f"shape {i}")
        for i, shape in enumerate(annotation.shapes)
        if shape.label in known
    }
    objects: dict[int, int] = {}
    for class_id, _ in instances:
        objects[class_id] = objects.get(class_id, 0) + 1
    return pixels, objects, tuple(name for name in annotation.label_names if name not in known)


def _findings(annotation: Annotation | None, size: ImageSize, preset: str) -> dict[str, int]:
    """How many Shapes each kind of finding has. Takes about as long as painting them, so each save can afford it."""
    if annotation is None or annotation.size != size:  # the report says that, and the rest would be wrong
        return {}
    return dict(Counter(found.kind for of_shape in findings_of(annotation.shapes, size, preset) for found in of_shape))


def _stamps_in(folder: Path) -> dict[str, str]:
    """The stamp of each file by its name; one that another process takes away meanwhile is left out."""
    stamps = {}
    try:
        with scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    stamps[entry.name] = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    except FileNotFoundError:
        return {}
    return stamps


def _row_of(db: sqlite3.Connection, name: str) -> SampleRow | None:
    """The row of a Sample as it was; None when there is none."""
    found = db.execute("SELECT stamp, row FROM sample WHERE name = ?", (name,)).fetchone()
    return None if found is None else _load(name, *found)


def _dump(row: SampleRow) -> str:
    value = {key: item for key, item in vars(row).items() if key not in ("name", "stamp")}
    return json.dumps(value, ensure_ascii=False)


def _load(name: str, stamp: str, text: str) -> SampleRow:
    value: dict[str, Any] = json.loads(text)
    value["pixels"] = {int(key): count for key, count in value["pixels"].items()}
    value["objects"] = {int(key): count for key, count in value["objects"].items()}
    value["unknown_labels"] = tuple(value["unknown_labels"])
    value["annotation_size"] = tuple(value["annotation_size"]) if value["annotation_size"] else None
    return SampleRow(name=name, stamp=stamp, **value)
