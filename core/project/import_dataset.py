"""Bringing a data set of any format into a Project: what a reader of core/formats gives, picture by picture."""

from functools import lru_cache
from pathlib import PurePosixPath

from core.errors import UserError
from core.files import safe_name
from core.formats import FORMATS
from core.formats.dataset import PictureAnnotation, SizeOf
from core.formats.labelme import fit_annotation
from core.formats.source import Source, SourceFile
from core.images import ImageInfo, probe_image
from core.project.import_pictures import Intake
from core.project.import_report import about
from core.project.picture_finder import PictureFinder, wanted_pictures
from core.project.split import Part, adopt_parts


def size_reader(finder: PictureFinder) -> SizeOf:
    """What the header of a picture says, by the name that a format has for it."""

    @lru_cache(maxsize=4096)
    def size_of(name: str) -> ImageInfo | None:
        found, _ = finder.find(name, beside="")
        try:
            return probe_image(found.read(), name=found.base) if found else None
        except UserError:
            return None  # said when the picture itself comes in

    return size_of


def import_dataset(intake: Intake, source: Source, images: Source | None, format: str) -> None:
    """Bring in what the reader of `format` finds. Raises ReadError, with nothing imported, when that is nothing."""
    read = FORMATS[format].read
    assert read is not None
    pictures, _ = wanted_pictures(format, source, images)
    finder = PictureFinder(pictures)
    reading = read(source, size_reader(finder))
    intake.total = len(pictures)
    intake.notes += about(source.title, reading.notes)
    parts: dict[str, Part] = {}
    used: set[SourceFile] = set()
    with intake.project.bulk():
        intake.learn_labels(label.name for label in reading.labels)
        intake.learn_colors({label.name: label.color for label in reading.labels if label.color})
        for item in reading.pictures:
            intake.step(item.picture)
            intake.notes += about(item.name, item.notes)
            picture, doubtful = finder.find(item.picture, beside=item.name)
            if picture is not None:
                used.add(picture)
            try:
                sample = _save(intake, item, picture, doubtful)
            except UserError as error:
                intake.failed(item.name, error)
                continue
            if sample is not None and item.part is not None:
                parts[sample] = item.part
        for picture in pictures:
            if picture not in used:
                intake.step(picture.name)
                intake.add(picture)
    kept = adopt_parts(intake.project, parts)
    if kept:
        intake.note("assumed", source.title, f"{kept} pictures stay in the part of the split that they had here")


def _save(intake: Intake, item: PictureAnnotation, picture: SourceFile | None, doubtful: str) -> str | None:
    """The Sample that took the annotation; None when there is no picture for it, which is said."""
    if picture is not None:
        samples = intake.add(picture)
        if not samples:
            return None  # it cannot be used; said already
        sample = samples[0]
        if doubtful:
            intake.note("assumed", item.name, f"{doubtful}; {picture.name} was taken")
        if len(samples) > 1:
            intake.note("assumed", item.name, f"its picture is a stack; the annotation was put on {sample}")
    else:
        sample = safe_name(PurePosixPath(item.picture).stem)
        if not intake.project.has_sample(sample):
            intake.note(
                "unmatched",
                item.picture,
                f"{item.picture} is annotated, but there is no such picture",
                "# annotated pictures are not there",
            )
            return None
    annotation, notes = fit_annotation(item.annotation, intake.project.image_info(sample), name=item.picture)
    intake.notes += about(item.picture, notes)
    intake.learn_labels(annotation.label_names)
    intake.save(sample, annotation, item.picture)
    return sample
