"""A look at an import before anything is written: what is there, which labels, and what they would be called here."""

import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from core.annotation.labels import BACKGROUND, IGNORE, Color, Label, LabelSet, color_of
from core.annotation.overlay import overlay
from core.annotation.raster import annotation_to_mask
from core.annotation.shapes import Annotation
from core.errors import UserError
from core.formats import FORMATS
from core.formats.labelme import fit_annotation
from core.formats.note import Note
from core.formats.source import Source, SourceFile
from core.images import RGB, ImageInfo, probe_image, read_image, shrink
from core.project.import_dataset import size_reader
from core.project.import_pictures import Progress
from core.project.import_report import ImportReport, about
from core.project.importing import detect_format, left_out_notes, without_own_files
from core.project.picture_finder import PictureFinder, wanted_pictures
from core.project.project import Project

_EXAMPLES: Final = 3
_LARGE: Final = 64_000_000  # bytes of a file that is not read only to look at its header


@dataclass(frozen=True)
class FoundLabel:
    """A label of an import.  proposed: the Project's label that it seems to be, None when it is new."""

    name: str
    shapes: int
    color: Color
    proposed: str | None


@dataclass(frozen=True)
class Example:
    """One annotated picture, to be looked at."""

    picture: SourceFile
    annotation: Annotation  # upright


@dataclass(frozen=True)
class ImportPreview:
    """What an import would bring.  problems: in sentences, what is alike told once."""

    format: str
    pictures: int
    annotations: int
    labels: tuple[FoundLabel, ...] = ()
    problems: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def title(self) -> str:
        return FORMATS[self.format].title


def preview_source(
    project: Project,
    source: Source,
    *,
    images: Source | None = None,
    format: str = "auto",
    progress: Progress | None = None,
) -> ImportPreview:
    """Look at `source` as `import_source` would read it, and write nothing.

    All annotations are read, and the headers of pictures unless they are very large files. Raises ReadError when
    nothing can be read; what `progress` raises goes through, so it can cancel.
    """
    source = without_own_files(source)
    found = format if format != "auto" else detect_format(source, images)
    pictures, left_out = wanted_pictures(found, source, images)
    told = [Note("error", sentence) for sentence in (*source.refused, *(images.refused if images else ()))]
    read = FORMATS[found].read
    if read is None:
        return ImportPreview(found, len(pictures), 0, problems=_sentences("", told))
    headers = _Headers()
    finder = PictureFinder([*pictures, *left_out])
    reading = read(source, size_reader(finder, project))
    notes = about("", told) + about(source.title, reading.notes) + left_out_notes(left_out)
    shapes: Counter[str] = Counter()
    examples: list[Example] = []
    annotations = 0
    for item in reading.pictures:
        annotations += 1
        if progress is not None:
            progress(annotations, annotations + len(pictures), item.picture)
        shapes.update(shape.label for shape in item.annotation.shapes)
        notes += about(item.name, item.notes)
        picture, _ = finder.find(item.picture, beside=item.name)
        if picture is None:
            text = f"{item.picture or item.name} is annotated, but there is no such picture"
            notes += about(item.picture, [Note("unmatched", text, "# annotated pictures are not there")])
            continue
        try:
            info = headers.of(picture)
            fitted = fit_annotation(item.annotation, info, name=item.picture)[0] if info else None
        except UserError as error:
            if picture not in headers.broken:
                notes += about(item.name, [Note("error", str(error).rstrip("."))])
            continue
        if fitted is not None and fitted.shapes and len(examples) < _EXAMPLES:
            examples.append(Example(picture, fitted))
    for done, picture in enumerate(pictures, start=1):
        if progress is not None:
            progress(annotations + done, annotations + len(pictures), picture.name)
        with suppress(UserError):
            headers.of(picture)
    notes += [note for picture, error in headers.broken.items() for note in about(picture.name, [_broken(error)])]
    usable = sum(picture not in headers.broken for picture in pictures)
    colors = {label.name: label.color for label in reading.labels if label.color}
    names = dict.fromkeys((*(label.name for label in reading.labels), *shapes))
    labels = _labels([name for name in names if name not in (BACKGROUND, IGNORE)], shapes, colors, project)
    problems = tuple(ImportReport(0, 0, tuple(notes)).sentences()[1:])
    return ImportPreview(found, usable, annotations, labels, problems, tuple(examples))


class _Headers:
    """What the headers of pictures say; each is read once."""

    def __init__(self) -> None:
        self._known: dict[SourceFile, ImageInfo | None] = {}
        self.broken: dict[SourceFile, UserError] = {}

    def of(self, picture: SourceFile) -> ImageInfo | None:
        """None for a file that is too large to be read for a look. Raises UserError for one that is no picture."""
        if picture in self.broken:
            raise self.broken[picture]
        if picture not in self._known:
            try:
                large = picture.size > _LARGE
                self._known[picture] = None if large else probe_image(picture.read(), name=picture.base)
            except UserError as error:
                self.broken[picture] = error
                raise
        return self._known[picture]


def _broken(error: UserError) -> Note:
    return Note("error", str(error).rstrip("."))


def _labels(
    names: list[str], shapes: Mapping[str, int], colors: Mapping[str, Color], project: Project
) -> tuple[FoundLabel, ...]:
    here = project.settings.labels
    proposals = propose_labels(names, here)
    known = dict(zip(here.names, here.labels, strict=True))
    found, new = [], 0
    for name in names:
        same = proposals[name]
        color = known[same].color if same else colors.get(name, color_of(len(here) + new))
        new += same is None
        found.append(FoundLabel(name, shapes.get(name, 0), color, same))
    return tuple(found)


def propose_labels(names: list[str], labels: LabelSet) -> dict[str, str | None]:
    """For each name the label of `labels` that is spelled alike: the same, or but for case, spaces, - and _."""
    alike = {_plain(label.name): label.name for label in labels.foreground}
    return {name: name if name in labels.names[1:] else alike.get(_plain(name)) for name in names}


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def draw_example(example: Example, preview: ImportPreview, project: Project, *, side: int) -> RGB:
    """The example with its labels in the colours that they would have, its sides at most `side`. Raises ReadError."""
    labels = LabelSet((Label(BACKGROUND, (0, 0, 0)), *(Label(x.name, x.color) for x in preview.labels)))
    image = read_image(example.picture.read(), intensity=project.settings.intensity, name=example.picture.base)
    mask = annotation_to_mask(example.annotation, labels)
    return shrink(overlay(image, mask, labels, opacity=0.5), side)


def _sentences(title: str, notes: list[Note]) -> tuple[str, ...]:
    return tuple(ImportReport(0, 0, tuple(about(title, notes))).sentences()[1:])


def mapping_of(preview: ImportPreview, chosen: Mapping[str, str | None]) -> dict[str, str | None]:
    """The `mapping` for `import_source`: what a person chose for labels of the preview, else what it proposes."""
    mapping: dict[str, str | None] = {}
    for label in preview.labels:
        target = chosen.get(label.name, label.proposed or label.name)
        if target != label.name:
            mapping[label.name] = target
    return mapping
