"""Taking the labels of a Project out, in any format that can be written; each export is read again and compared."""

import os
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from core.annotation.raster import Mask, annotation_to_mask
from core.errors import ConfigError, ReadError, UserError
from core.files import write_error
from core.formats import FORMATS
from core.formats.dataset import ExportItem, Format, Part
from core.formats.labelme import fit_annotation
from core.formats.note import Note
from core.formats.source import SourceFile, open_source
from core.images import ImageInfo
from core.project.import_report import ImportReport, about
from core.project.project import Project
from core.project.sample import Sample, stamp_of
from core.project.split import read_split

Progress = Callable[[int, int, str], None]
_STORED: Final = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")  # packed already
PARTS: Final[tuple[Part, ...]] = ("train", "val", "test")


@dataclass(frozen=True)
class ExportReport:
    """pixel_iou: of what the file gives when it is read again with what is drawn here: hits over hits, misses and false
    alarms of all labels and pictures together; 1.0 when not a pixel differs."""

    format: str
    pictures: int
    shapes: int
    pixel_iou: float
    losses: tuple[Note, ...] = ()
    unfinished: int = 0  # pictures that were left out since they are not done

    def sentences(self) -> list[str]:
        same = "not one pixel differs" if self.pixel_iou == 1 else "some pixels differ"
        first = (
            f"{self.pictures:,} {'picture' if self.pictures == 1 else 'pictures'} with {self.shapes:,} "
            f"{'shape was' if self.shapes == 1 else 'shapes were'} written as {FORMATS[self.format].title} and "
            f"read again: pixel IoU {floored(self.pixel_iou)} over all labels and pictures together, {same}."
        )
        told = ImportReport(0, 0, tuple(about("", self.losses))).sentences()[1:]
        if self.unfinished:
            told.append(f"Left out, since they are not done: {self.unfinished:,}.")
        return [first, *told]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "pictures": self.pictures,
            "shapes": self.shapes,
            "pixel_iou": self.pixel_iou,
            "unfinished": self.unfinished,
            "losses": ImportReport(0, 0, tuple(about("", self.losses))).sentences()[1:],
        }


def floored(iou: float) -> str:
    """Four digits, never rounded up: 1.0000 is said of what is equal in all pixels only."""
    return f"{int(iou * 10_000) / 10_000:.4f}"


def exports_folder(project: Project) -> Path:
    """Where the app keeps exports until a person has fetched them."""
    return project.folder / "exports"


def model_exports_folder(project: Project) -> Path:
    """The same for models."""
    return exports_folder(project) / "models"


def export_labels(
    project: Project,
    format: str,
    target: Path,
    *,
    part: Part | None = None,
    with_pictures: bool = True,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the finished Annotations of `project` as a zip to `target`, read it again and compare.

    part: only these pictures of the split.  progress: is called with (steps done, in all, name); what it raises goes
    through and leaves nothing behind. Raises ConfigError for a format that cannot be written, ReadError when no picture
    is finished, WriteError.
    """
    kind = FORMATS.get(format)
    if kind is None or kind.write is None or kind.read is None:
        able = ", ".join(name for name, other in FORMATS.items() if other.write)
        raise ConfigError(f"{format!r} cannot be written.", hint=f"Choose of {able}.")
    export = _Export(project, kind, part, progress or (lambda done, total, name: None))
    if not export.samples:
        raise ReadError(
            "No picture is finished that could be taken out.", hint="Mark pictures as done on the Annotate page."
        )
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
                archive = _ZipArchive(opened)
                notes = kind.write(export.items(archive, with_pictures), project.settings.labels, archive)
            file.flush()
            os.fsync(file.fileno())
        iou = export.compared(Path(temporary))
        report = ExportReport(format, len(export.samples), export.shapes, iou, notes, export.unfinished)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise write_error(target, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return report


class _ZipArchive:
    def __init__(self, opened: zipfile.ZipFile) -> None:
        self._opened = opened
        self._names: set[str] = set()

    def add(self, name: str, data: bytes) -> None:
        if name in self._names:
            raise ConfigError(f"Two pictures would both be {name} in the export.", hint="Rename one of them.")
        self._names.add(name)
        stored = PurePosixPath(name).suffix.lower() in _STORED
        self._opened.writestr(name, data, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)


class _Export:
    """The Samples of one export, on their way out and back."""

    def __init__(self, project: Project, format: Format, part: Part | None, progress: Progress) -> None:
        self._project, self._format, self._progress = project, format, progress
        self._parts: Mapping[str, Part] = read_split(project.folder).assignments
        wanted = [s for s in project.samples() if part is None or self._parts.get(s.name) == part]
        self.samples = [s for s in wanted if stamp_of(project.read_annotation(s.name)).state == "done"]
        self.unfinished = len(wanted) - len(self.samples)
        self._by_name: dict[str, Sample] = {}  # A.png may lie beside a.png, so as written counts before folded
        for fold in (_composed, _folded):
            for name_of in (_file_name, _stem):
                for sample in self.samples:
                    self._by_name.setdefault(fold(name_of(sample)), sample)
        self.shapes = 0
        self._elsewhere: list[SourceFile] = []
        self._done = 0

    def items(self, archive: _ZipArchive, with_pictures: bool) -> Iterator[ExportItem]:
        for sample in self.samples:
            self._step(sample.name)
            annotation = self._project.read_annotation(sample.name)
            if annotation is None:
                raise ReadError(f"The annotation of {sample.name} is gone.", hint="Export again.")
            self.shapes += len(annotation.shapes)
            read = partial(_read, sample)
            item = ExportItem(sample.name, sample.image.name, annotation, self._parts.get(sample.name), read)
            path = self._format.picture_path(item)
            if with_pictures:
                archive.add(path, read())
            else:
                self._elsewhere.append(SourceFile(_composed(path), sample.image.stat().st_size, read))
            yield item

    def compared(self, archive: Path) -> float:
        """The pixel IoU of the archive as it is read with what is drawn."""
        assert self._format.read is not None
        hits = missed = 0
        left = {sample.name for sample in self.samples}
        source = open_source(archive)  # pictures that stayed at home are seen where they would be
        source = replace(source, files=(*source.files, *self._elsewhere))
        for found in self._format.read(source, self._size_of).pictures:
            sample = self._sample_of(found.picture)
            if sample is None or sample.name not in left:
                continue
            left.discard(sample.name)
            self._step(sample.name)
            truth = self._truth(sample.name)
            try:
                info = self._project.image_info(sample.name)
                drawn, _ = fit_annotation(found.annotation, info, name=found.picture)
            except UserError:
                missed += int(np.count_nonzero(truth))
                continue
            again = annotation_to_mask(drawn, self._project.settings.labels)
            if again.shape != truth.shape:  # drawn for a picture of another size
                missed += int(np.count_nonzero(truth))
                continue
            same = truth == again
            hits += int(np.count_nonzero(same & (truth != 0)))
            missed += int(np.count_nonzero(~same & (truth != 0)) + np.count_nonzero(~same & (again != 0)))
        missed += sum(int(np.count_nonzero(self._truth(name))) for name in left)
        return hits / (hits + missed) if hits + missed else 1.0

    def _truth(self, name: str) -> Mask:
        annotation = self._project.read_annotation(name)
        if annotation is None:
            raise ReadError(f"The annotation of {name} is gone.", hint="Export again.")
        return annotation_to_mask(annotation, self._project.settings.labels)

    def _sample_of(self, picture: str) -> Sample | None:
        base = PurePosixPath(picture).name
        names = (base, PurePosixPath(base).stem)
        found = (self._by_name.get(fold(name)) for fold in (_composed, _folded) for name in names)
        return next((sample for sample in found if sample is not None), None)

    def _size_of(self, picture: str) -> ImageInfo | None:
        sample = self._sample_of(picture)
        return self._project.image_info(sample.name) if sample else None

    def _step(self, name: str) -> None:
        self._done += 1
        total = 2 * len(self.samples)
        self._progress(min(self._done, total), total, name)


def _read(sample: Sample) -> bytes:
    try:
        return sample.image.read_bytes()
    except OSError as error:  # no fault of the disk that the export goes to
        raise ReadError(
            f"{sample.image.name} cannot be read: {error.strerror or error}.", hint="Is it gone?"
        ) from error


def _file_name(sample: Sample) -> str:
    return sample.image.name


def _stem(sample: Sample) -> str:
    return sample.image.stem


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)  # as archives are read; some disks take letters apart


def _folded(name: str) -> str:
    return _composed(name).casefold()
