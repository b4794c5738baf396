"""A whole Source of Labelme files as one data set, for a look before an import and for reading exports again."""

from pathlib import PurePosixPath

from core.annotation.labels import parse_labels_txt
from core.errors import ReadError, UserError
from core.formats.dataset import LabelEntry, PictureAnnotation, Reading, SizeOf
from core.formats.labelme import NotLabelmeError, read_labelme
from core.formats.note import Note
from core.formats.source import Source


def read_labelme_folder(source: Source, size_of: SizeOf) -> Reading:
    """Every Labelme file of a Source. Raises ReadError when there is none that can be read."""
    found: list[PictureAnnotation] = []
    notes: list[Note] = []
    for file in source.with_suffix(".json"):
        try:
            read = read_labelme(file.read(), name=file.name)
        except NotLabelmeError:
            continue
        except UserError as error:
            notes.append(Note("error", str(error)))
            continue
        picture = read.image_path or PurePosixPath(file.name).stem
        found.append(PictureAnnotation(picture, read.annotation, file.name, read.notes))
    if not found:
        broken = next((note.text for note in notes), "")
        raise ReadError(broken or f"{source.title} holds no Labelme file.", hint="Choose the JSON files, too.")
    return Reading(_labels(source), found, tuple(notes))


def _labels(source: Source) -> tuple[LabelEntry, ...]:
    """Those of the outermost labels.txt, in its order."""
    files = [file for file in source.files if file.base.casefold() == "labels.txt"]
    for file in sorted(files, key=lambda file: file.name.count("/")):
        try:
            labels = parse_labels_txt(file.read().decode("utf-8-sig"), name=file.name)
        except (UnicodeDecodeError, UserError):
            continue  # the import says so
        return tuple(LabelEntry(label.name) for label in labels.foreground)
    return ()
