"""Bringing pictures and annotations into a Project. Each file that fails costs only itself; all is said in a report."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from core.annotation.labels import parse_labels_txt
from core.errors import ConfigError, ReadError, UserError
from core.formats import FORMATS, detect
from core.formats.class_table import FILE_NAMES
from core.formats.labelme import LabelmeFile, NotLabelmeError, fit_to_picture, read_labelme
from core.formats.mask_folder import pair_masks
from core.formats.source import Source, SourceFile
from core.project.import_dataset import import_dataset, sample_named
from core.project.import_masks import import_masks
from core.project.import_pictures import Intake, Progress, read_groups
from core.project.import_report import ImportNote, ImportReport, about
from core.project.picture_finder import PictureFinder, wanted_pictures
from core.project.project import Project

_OWN_FOLDERS: Final = ("history/", "events/", "drafts/", "removed/", "runs/", "masks/", "cache/", "exports/")


def import_source(
    project: Project,
    source: Source,
    *,
    images: Source | None = None,
    format: str = "auto",
    author: str = "import",
    mapping: Mapping[str, str | None] | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Bring `source` into `project`.

    images: where its pictures are, when they lie elsewhere.  format: a name of FORMATS, or auto.  mapping: labels found
    -> labels here, None for those to leave out; others keep their names.  progress: is called with (files done, files
    in all, name). Raises ReadError when nothing can be read or the masks cannot be understood (then nothing came in),
    ConfigError for an unknown format, WriteError when the disk refuses (what came in stays).
    """
    if format not in ("auto", *FORMATS):
        raise ConfigError(f"There is no format {format!r}.", hint=f"Choose of auto, {', '.join(FORMATS)}.")
    source = without_own_files(source)
    found = format if format != "auto" else detect_format(source, images)
    groups, said = read_groups(source)
    if images is not None:
        groups |= read_groups(images)[0]
    told = progress or (lambda done, total, name: None)
    intake = Intake(project, author, told, groups, notes=said, mapping=mapping or {})
    for sentence in (*source.refused, *(images.refused if images else ())):
        intake.note("error", "", sentence)
    if found == "masks":
        import_masks(intake, source, images)
    elif found not in ("labelme", "images"):
        import_dataset(intake, source, images, found)
    else:
        with project.bulk():
            _import_labelme(intake, source, images, annotations=found == "labelme")
    return intake.report()


def detect_format(source: Source, images: Source | None) -> str:
    """The format of a Source whose pictures may lie elsewhere. Raises ReadError when nothing in it can be read."""
    found = detect(source)
    return "masks" if found == "images" and images is not None and pair_masks(source, images).pairs else found


def without_own_files(source: Source) -> Source:
    """`source` without what a Maskloop project keeps beside its pictures and annotations. Raises ReadError when it
    holds no file at all."""
    if not source.files:
        raise ReadError(f"{source.title} holds no file that can be read.", hint=" ".join(source.refused[:3]))
    homes = [file.name.removesuffix("project.json") for file in source.files if file.base == "project.json"]
    inner = tuple(home + part for home in homes for part in _OWN_FOLDERS)
    own = {home + name for home in homes for name in ("project.json", "split.json", "index.sqlite")}
    kept = tuple(file for file in source.files if file.name not in own and not file.name.startswith(inner))
    return Source(source.title, kept, source.refused)


# ---------------------------------------------------------------------------------------------------------- Labelme


def _import_labelme(intake: Intake, source: Source, images: Source | None, *, annotations: bool) -> None:
    """Labelme files with their pictures, then the pictures that have none."""
    wanted, left_out = wanted_pictures("labelme" if annotations else "images", source, images)
    files = source.with_suffix(".json") if annotations else []
    intake.total = len(wanted) + len(files)
    if annotations:
        _learn_labels_txt(intake, source)
    finder = PictureFinder([*wanted, *left_out])
    for file in files:
        intake.step(file.name)
        try:
            read = read_labelme(file.read(), name=file.name)
            _import_one(intake, read, finder)
        except NotLabelmeError:
            if file.base.casefold() not in FILE_NAMES:
                intake.note(
                    "ignored",
                    file.name,
                    f"{file.name} is JSON, but not Labelme's, and was left out",
                    "# JSON files are not Labelme's and were left out",
                )
        except UserError as error:
            intake.failed(file.name, error)
    for picture in wanted:
        intake.step(picture.name)
        intake.add(picture)
    intake.notes += left_out_notes(left_out)


def left_out_notes(pictures: Iterable[SourceFile]) -> list[ImportNote]:
    """What is said of pictures that are none."""
    text = "it lies in a folder of masks or exports and was left out"
    many = "# pictures lie in folders of masks or exports and were left out"
    return [ImportNote("ignored", picture.name, text, many) for picture in pictures]


def _import_one(intake: Intake, file: LabelmeFile, finder: PictureFinder) -> None:
    sample = _sample_for(intake, file, finder)
    if sample is None:
        return
    annotation, said = fit_to_picture(file, intake.project.image_info(sample))
    intake.notes += about(file.name, (*file.notes, *said))
    intake.learn_labels(annotation.label_names)
    intake.save(sample, annotation, file.name)


def _sample_for(intake: Intake, file: LabelmeFile, finder: PictureFinder) -> str | None:
    """The Sample of a Labelme file: a picture of the import, of the Project, or the one inside of the file."""
    picture, doubtful = finder.find(file.image_path, beside=file.name)
    if picture is not None:
        samples = intake.add(picture)
        if not samples:
            return None  # it cannot be used; said already
        if doubtful:
            intake.note("assumed", file.name, f"{doubtful}; {picture.name} was taken")
        if len(samples) > 1:
            intake.note("assumed", file.name, f"its picture is a stack; the annotation was put on {samples[0]}")
        return samples[0]
    for name in (file.image_path, PurePosixPath(file.name).stem):
        if (known := sample_named(intake.project, name)) is not None:
            return known
    if file.image_data:
        name = PurePosixPath(file.image_path).name or PurePosixPath(file.name).stem
        sample = intake.add_bytes(file.image_data, name)[0]
        intake.note(
            "assumed",
            file.name,
            "its picture is not there; the copy inside of the file (imageData) was taken, often a JPEG of it",
            "# pictures are not there; the copies inside of the files (imageData) were taken, often JPEGs of them",
        )
        return sample
    intake.note(
        "unmatched",
        file.name,
        f"{file.name} is for {file.image_path or 'a picture without a name'}, which is not there",
        "# annotations have no picture here",
    )
    return None


def _learn_labels_txt(intake: Intake, source: Source) -> None:
    """Take the labels and their order from a labels.txt, when the Project has none yet."""
    files = [file for file in source.files if file.base.casefold() == "labels.txt"]
    if not files or intake.project.settings.labels.foreground:
        return
    file = min(files, key=lambda file: file.name.count("/"))
    try:
        labels = parse_labels_txt(file.read().decode("utf-8-sig"), name=file.name)
        intake.learn_labels(labels.names)
    except UnicodeDecodeError:
        intake.note("error", file.name, f"{file.name} is not text in Unicode (UTF-8) and was left out")
    except UserError as error:
        intake.failed(file.name, error)
