"""A whole folder of pictures with mask pictures as one data set, in and out."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from core.annotation.labels import IGNORE, LabelSet
from core.annotation.raster import annotation_to_mask, mask_to_shapes
from core.annotation.shapes import Annotation, MaskShape
from core.errors import ReadError, UserError
from core.formats.class_table import FILE_NAMES, ClassTable, read_class_table, write_class_table
from core.formats.dataset import Archive, ExportItem, LabelEntry, PictureAnnotation, Reading, SizeOf
from core.formats.losses import Loss, Losses
from core.formats.mask_coding import detect_coding
from core.formats.mask_folder import MaskPair, pair_masks
from core.formats.mask_png import MaskCoding, MaskSummary, decode_mask, read_mask_file, summarise, write_mask_png
from core.formats.note import Note
from core.formats.source import Source
from core.images import ImageSize

_OUTLINES = Loss(
    "a shape with points was written as the pixels that it covers",
    "# shapes with points were written as the pixels that they cover",
)
_OBJECTS = Loss(
    "a picture has several objects of one label; its mask holds the label only, not which pixels are one object",
    "# pictures have several objects of one label; their masks hold the label only, not which pixels are one object",
)


def read_mask_folder(source: Source, size_of: SizeOf) -> Reading:
    """The masks of a Source. Raises ReadError when there is no pair, or their values cannot be understood."""
    pairs = pair_masks(source).pairs
    if not pairs:
        raise ReadError(
            f"No picture in {source.title} has a mask of the same name.",
            hint="Put pictures into images/ and masks of equal names into masks/.",
        )
    notes: list[Note] = []
    readable: list[MaskPair] = []
    summaries: list[MaskSummary] = []
    for pair in pairs:
        try:
            summaries.append(summarise(read_mask_file(pair.mask.read(), name=pair.mask.name)))
            readable.append(pair)
        except UserError as error:
            notes.append(Note("error", str(error)))
    coding = detect_coding(summaries, LabelSet.of(()), table_of([source], notes))
    labels = tuple(LabelEntry(label.name) for label in coding.labels.foreground)
    return Reading(labels, _pictures(readable, coding), (*notes, *coding.notes))


def table_of(sources: Iterable[Source | None], notes: list[Note]) -> ClassTable:
    """The outermost table of classes in the sources, an empty one without any; one that is damaged is noted."""
    files = [file for source in sources if source for file in source.files if file.base.casefold() in FILE_NAMES]
    for file in sorted(files, key=lambda file: (file.name.count("/"), FILE_NAMES.index(file.base.casefold()))):
        try:
            return read_class_table(file.read(), name=file.name)
        except ReadError as error:
            notes.append(Note("error", str(error)))
    return ClassTable()


def _pictures(pairs: Iterable[MaskPair], coding: MaskCoding) -> Iterator[PictureAnnotation]:
    for pair in pairs:
        mask = decode_mask(read_mask_file(pair.mask.read(), name=pair.mask.name), coding)
        annotation = Annotation(size=ImageSize(*mask.shape), shapes=mask_to_shapes(mask, coding.labels))
        yield PictureAnnotation(pair.image.name, annotation, pair.mask.name)


def write_mask_folder(items: Iterable[ExportItem], labels: LabelSet, archive: Archive) -> tuple[Note, ...]:
    """masks/<picture>.png, indexed in the labels' colours, and classes.json; 255 is what is not labelled."""
    losses = Losses()
    for item in items:
        mask = annotation_to_mask(item.annotation, labels)
        archive.add(f"masks/{PurePosixPath(item.file_name).stem}.png", write_mask_png(mask, labels))
        drawn = [shape.label for shape in item.annotation.shapes]
        losses.add(_OUTLINES, sum(not isinstance(shape, MaskShape) for shape in item.annotation.shapes))
        losses.add(_OBJECTS, len(drawn) > len(set(drawn)))
        for label in drawn:
            if label not in labels and label != IGNORE:
                losses.unknown_label(label)
    archive.add("classes.json", write_class_table(labels))
    return losses.notes()
