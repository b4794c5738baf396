"""Pictures on their way into a Project: each file once, stacks page by page, with the groups that a list names."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.annotation.labels import Color
from core.annotation.shapes import Annotation
from core.errors import ReadError, UserError, WriteError
from core.files import safe_name
from core.formats.note import NoteKind
from core.formats.source import Source, SourceFile
from core.images import MAX_PIXELS, guarded, probe_image
from core.project.import_report import ImportNote, ImportReport
from core.project.project import Project
from core.project.sample import stamp_of

Progress = Callable[[int, int, str], None]
MAX_PAGES: Final = 10_000
_REDUCED_OR_MASK: Final = 0b101  # NewSubfileType: a smaller copy of another page, or its transparency
_ORIENTATION: Final = 274


@dataclass
class Intake:
    """One import while it goes on: where it goes, what came in so far, and what is to be said about it."""

    project: Project
    author: str
    progress: Progress
    groups: Mapping[str, str] = field(default_factory=dict)
    total: int = 0
    done: int = 0
    pictures: int = 0
    annotations: int = 0
    notes: list[ImportNote] = field(default_factory=list)
    labels_added: list[str] = field(default_factory=list)
    mapping: Mapping[str, str | None] = field(default_factory=dict)  # label found -> label here, None: left out
    _samples: dict[SourceFile, tuple[str, ...]] = field(default_factory=dict)
    _annotated: dict[str, str] = field(default_factory=dict)  # Sample -> the file that its annotation came from

    def note(self, kind: NoteKind, name: str, text: str, many: str = "") -> None:
        self.notes.append(ImportNote(kind, name, text, many))

    def failed(self, name: str, error: UserError) -> None:
        """A file that cannot be used costs only itself; a disk that refuses ends the import."""
        if isinstance(error, WriteError):
            raise WriteError(
                f"{error.message} The import stopped after {self.pictures} pictures; they are safe.", hint=error.hint
            ) from error
        self.note("error", name, str(error))

    def step(self, name: str) -> None:
        self.done += 1
        self.progress(min(self.done, self.total), self.total, name)

    def report(self) -> ImportReport:
        return ImportReport(self.pictures, self.annotations, tuple(self.notes), tuple(self.labels_added))

    # ------------------------------------------------------------------------------------------------------ pictures

    def add(self, file: SourceFile) -> tuple[str, ...]:
        """The Samples of a picture file, added when this is the first time; none when it cannot be used."""
        if file not in self._samples:
            self._samples[file] = ()
            try:
                self._samples[file] = self.add_bytes(file.read(), file.name)
            except UserError as error:
                self.failed(file.name, error)
        return self._samples[file]

    def add_bytes(self, data: bytes, name: str) -> tuple[str, ...]:
        """The Samples of a picture: one, or one for each page of a stack. Raises ReadError, WriteError."""
        path = PurePosixPath(name)
        if probe_image(data, name=path.name).pages > 1:
            pages = guarded(path.name, lambda: _full_pages(data, path.name))
            if len(pages) > 1:
                return self._add_stack(data, pages, path)
        return (self._add_one(data, path.name, name, self.groups.get(path.stem)),)

    def _add_stack(self, data: bytes, pages: list[int], path: PurePosixPath) -> tuple[str, ...]:
        group = self.groups.get(path.stem, safe_name(path.stem))
        names = [
            self._add_one(page, f"{path.stem}_p{number:04}.tif", path.name, group)
            for number, page in enumerate(_single_pages(data, pages, path.name), start=1)
        ]
        self.note(
            "assumed",
            path.name,
            f"a stack of {len(names)} pages became {len(names)} pictures of one group",
            "# stacks became one picture a page, each stack a group",
        )
        return tuple(names)

    def _add_one(self, data: bytes, filename: str, name: str, group: str | None) -> str:
        added = self.project.add_image(data, filename=filename, group=group)
        if added.existed:
            self.note(
                "duplicate",
                name,
                f"the very same picture is in the project as {added.sample} and was not added again",
                "# pictures are in the project already and were not added again",
            )
        else:
            self.pictures += 1
            if added.renamed:
                self.note(
                    "renamed",
                    name,
                    f"another picture of this name is in the project; this one came in as {added.sample}",
                    "# pictures had the name of another picture and came in under a new one",
                )
        return added.sample

    # --------------------------------------------------------------------------------------- annotations and labels

    def learn_labels(self, names: Iterable[str]) -> None:
        """Add labels that the Project does not know, at its end; those that are mapped under their name here."""
        known = self.project.settings.labels
        names = [name for name in (self.mapping.get(name, name) for name in names) if name is not None]
        new = known.with_names(names).names[len(known) :]
        if not new:
            return
        self.project.add_labels(new)
        self.labels_added += new

    def learn_colors(self, colors: Mapping[str, Color]) -> None:
        """Give labels that came new with this import the colours that they have where they come from."""
        for name, color in colors.items():
            if name in self.labels_added and name not in self.mapping:
                self.project.recolor_label(name, color)

    def _mapped(self, annotation: Annotation) -> Annotation:
        """With the labels of this Project, and without those that are left out."""
        if not self.mapping:
            return annotation
        named = ((shape, self.mapping.get(shape.label, shape.label)) for shape in annotation.shapes)
        shapes = tuple(replace(shape, label=label) for shape, label in named if label is not None)
        return replace(annotation, shapes=shapes)

    def save(self, sample: str, annotation: Annotation, file: str) -> None:
        """Save an Annotation as the newest of its Sample; nothing is saved when it is the one that is there."""
        annotation = self._mapped(annotation)
        if sample in self._annotated:
            self.note(
                "duplicate",
                file,
                f"{self._annotated[sample]} was for the same picture; this later one is used",
                "# annotations are for pictures that had one in this import already; the later ones are used",
            )
        elif self._is_unchanged(sample, annotation):
            self.note(
                "duplicate",
                file,
                "the same annotation is in the project already",
                "# annotations are in the project already",
            )
            return
        self.project.save_annotation(
            sample,
            annotation,
            author=self.author,
            state=stamp_of(annotation).state,
            source="import",
            what=f"Imported from {file}",
        )
        self._annotated[sample] = file
        self.annotations += 1

    def _is_unchanged(self, sample: str, annotation: Annotation) -> bool:
        try:
            there = self.project.read_annotation(sample)
        except ReadError:
            return False  # damaged: the save keeps it in the history
        return there is not None and (there.size, there.shapes, there.flags) == (
            annotation.size,
            annotation.shapes,
            annotation.flags,
        )


# ----------------------------------------------------------------------------------------------------------- stacks


def _full_pages(data: bytes, name: str) -> list[int]:
    """The pages of a TIFF that are pictures of their own: no smaller copies, no transparency."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        if len(tiff.pages) > MAX_PAGES:
            raise ReadError(f"{name} has {len(tiff.pages)} pages; the limit is {MAX_PAGES}.", hint="Split it.")
        tags = [page.aspage().tags.get(254) for page in tiff.pages]
        return [number for number, tag in enumerate(tags) if not (tag and int(tag.value) & _REDUCED_OR_MASK)]


def _single_pages(data: bytes, pages: Iterable[int], name: str) -> Iterator[bytes]:
    """Each page as a TIFF of its own, lossless, in its own depth."""
    for number in pages:
        pixels, orientation = guarded(f"Page {number + 1} of {name}", partial(_page_pixels, data, number))
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer,
            pixels,
            photometric="rgb" if pixels.ndim == 3 and pixels.shape[2] in (3, 4) else "minisblack",
            compression="zlib",
            metadata=None,
            extratags=[(_ORIENTATION, "H", 1, orientation, True)] if orientation != 1 else [],
        )
        yield buffer.getvalue()


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are too many")


def _page_pixels(data: bytes, number: int) -> tuple[NDArray[Any], int]:
    """Pixels as stored, and the page's orientation. Pillow knows more compressions, tifffile more kinds of numbers."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.seek(number)
            _check_size(picture.height, picture.width)
            orientation = int(picture.getexif().get(_ORIENTATION, 1))
            if picture.mode in ("L", "RGB", "RGBA", "F", "I") or picture.mode.startswith("I;16"):
                return np.asarray(picture), orientation
            return np.asarray(picture.convert("L" if picture.mode == "1" else "RGB")), orientation
    except UnidentifiedImageError:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            page = tiff.pages[number].aspage()
            _check_size(page.imagelength, page.imagewidth)
            pixels = np.asarray(page.asarray())
            separate = pixels.ndim == 3 and int(page.planarconfig) == 2
            tag = page.tags.get(_ORIENTATION)
            return np.moveaxis(pixels, 0, -1) if separate else pixels, int(tag.value) if tag else 1


# ----------------------------------------------------------------------------------------------------------- groups


def read_groups(source: Source) -> tuple[dict[str, str], list[ImportNote]]:
    """Stem -> group from a groups.csv or manifest.csv with a column stem, and group or a note that says "group 108"."""
    groups: dict[str, str] = {}
    notes: list[ImportNote] = []
    for file in source.files:
        if file.base.casefold() not in ("groups.csv", "manifest.csv"):
            continue
        try:
            rows = csv.DictReader(io.StringIO(file.read().decode("utf-8-sig")))
            for row in rows:
                group = row.get("group") or _group_in_note(row.get("note"))
                if row.get("stem") and group:
                    groups[str(row["stem"])] = group
        except (ReadError, UnicodeDecodeError, csv.Error) as error:
            notes.append(ImportNote("error", file.name, f"{file.name} cannot be used as a list of groups: {error}"))
    return groups, notes


def _group_in_note(note: object) -> str | None:
    found = re.search(r"\bgroup (\w+)", note) if isinstance(note, str) else None
    return f"group {found[1]}" if found else None
