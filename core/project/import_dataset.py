"""Bringing a data set of any format into a Project: what a reader of core/formats gives, picture by picture."""

from functools import lru_cache
from pathlib import PurePosixPath

from core.errors import UserError
from core.files import safe_name
from core.formats import FORMATS
from core.formats.dataset import PictureAnnotation, SizeOf
from core.formats.labelme import fit_annotation
from core.formats.source import PICTURE_SUFFIXES, Source, SourceFile
from core.images import ImageInfo, probe_image
from core.project.import_pictures import Intake
from core.project.import_report import about
from core.project.picture_finder import PictureFinder, wanted_pictures
from core.project.project import Project
from core.project.split import Part, adopt_parts


def size_reader(finder: PictureFinder, project: Project) -> SizeOf:
    """What the header of a picture says, by the name that a format has for it; of one that came in before, too."""

    @lru_cache(maxsize=4096)
    def size_of(name: str) -> ImageInfo | None:
        found, _ = finder.find(name, beside="")
        try:
            if found is None:
                sample = sample_named(project, name)
                return project.image_info(sample) if sample else None
            return probe_image(found.read(), name=found.base)
        except UserError:
            return None  # said when the picture itself comes in

    return size_of


def sample_named(project: Project, picture: str) -> str | None:
    """The Sample that a format means by the name of a picture, which may lack the suffix."""
    path = PurePosixPath(picture)
    bare = path.stem if path.suffix.lower() in PICTURE_SUFFIXES else path.name
    # where a.jpg and a.png lie in the folder, the Sample of a.png has its whole name
    return next((name for name in (path.name, safe_name(bare)) if bare and project.has_sample(name)), None)


def import_dataset(intake: Intake, source: Source, images: Source | None, format: str) -> None:
    """Bring in what the reader of `format` finds. Raises ReadError, with nothing imported, when that is nothing."""
    read = FORMATS[format].read
    assert read is not None
    pictures, _ = wanted_pictures(format, source, images)
    finder = PictureFinder(pictures)
    reading = read(source, size_reader(finder, intake.project))
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
        known = sample_named(intake.project, item.picture)
        if known is None:
            intake.note(
                "unmatched",
                item.picture,
                f"{item.picture} is annotated, but there is no such picture",
                "# annotated pictures are not there",
            )
            return None
        sample = known
    if not item.annotation.shapes and any(note.kind in ("error", "unmatched") for note in item.notes):
        return sample  # nothing of it could be read, which does not mean that there is nothing: the picture waits
    if item.name == item.picture and intake.project.annotation_path(sample).exists():
        return sample  # no file says what is in the picture; that replaces nothing
    annotation, notes = fit_annotation(item.annotation, intake.project.image_info(sample), name=item.picture)
    intake.notes += about(item.picture, notes)
    intake.learn_labels(annotation.label_names)
    intake.save(sample, annotation, item.picture)
    return sample
