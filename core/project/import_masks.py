"""Bringing mask pictures into a Project: first what the values of all of them mean, then pair by pair."""

from collections.abc import Iterable

import numpy as np

from core.annotation.raster import Mask, count_objects, mask_to_shapes
from core.annotation.shapes import Annotation
from core.errors import ReadError, UserError
from core.formats.mask_coding import detect_coding
from core.formats.mask_dataset import table_of
from core.formats.mask_folder import MaskPair, MaskPairs, pair_masks
from core.formats.mask_png import MaskCoding, MaskSummary, decode_mask, read_mask_file, summarise
from core.formats.note import Note
from core.formats.source import Source, SourceFile
from core.images import ImageInfo, ImageSize, turn_upright
from core.project.import_pictures import Intake
from core.project.import_report import about

_MANY_OBJECTS = 1000  # from here on one Shape a class: thousands of Shapes of a few pixels only slow a picture down


def import_masks(intake: Intake, source: Source, images: Source | None) -> None:
    """Bring in pictures with their masks. Raises ReadError, with nothing imported, when there is no pair at all or
    the values of the masks cannot be understood."""
    found = pair_masks(source, images)
    if not found.pairs:
        raise ReadError(
            f"No picture in {source.title} has a mask of the same name.",
            hint="Put pictures into images/ and masks of equal names into masks/, or name both folders.",
        )
    intake.total = 2 * len(found.pairs) + len(found.images_alone)
    readable, summaries = _summaries(intake, found.pairs)
    said: list[Note] = []
    coding = detect_coding(summaries, intake.project.settings.labels, table_of([source, images], said))
    intake.notes += about(source.title, (*said, *coding.notes))
    _say_what_is_alone(intake, found)
    with intake.project.bulk():
        for pair in found.pairs:
            intake.step(pair.image.name)
            samples = intake.add(pair.image)
            try:
                if samples and pair.mask in readable:
                    _import_pair(intake, pair, samples, coding)
            except UserError as error:
                intake.failed(pair.mask.name, error)
        for image in found.images_alone:
            intake.step(image.name)
            intake.add(image)


def _summaries(intake: Intake, pairs: Iterable[MaskPair]) -> tuple[set[SourceFile], list[MaskSummary]]:
    """The masks that can be read, and what `detect_coding` needs of them."""
    readable: set[SourceFile] = set()
    summaries: list[MaskSummary] = []
    for pair in pairs:
        intake.step(pair.mask.name)
        try:
            summaries.append(summarise(read_mask_file(pair.mask.read(), name=pair.mask.name)))
            readable.add(pair.mask)
        except UserError as error:
            intake.failed(pair.mask.name, error)
    return readable, summaries


def _import_pair(intake: Intake, pair: MaskPair, samples: tuple[str, ...], coding: MaskCoding) -> None:
    name = pair.mask.name
    if len(samples) > 1:
        raise ReadError(f"{name} is one mask for a stack of {len(samples)} pages.", hint="Save one mask a page.")
    info = intake.project.image_info(samples[0])
    mask = _fitted(intake, decode_mask(read_mask_file(pair.mask.read(), name=name), coding), name, info)
    if pair.doubtful:
        intake.note(
            "assumed",
            name,
            f"it was taken as the mask of {pair.image.name}: {pair.doubtful}",
            f"# masks were taken as those of pictures with other names: {pair.doubtful}",
        )
    objects = sum(count_objects(mask == class_id) for class_id in np.unique(mask) if class_id)
    shapes = mask_to_shapes(mask, coding.labels, split_objects=objects < _MANY_OBJECTS)
    intake.learn_labels(coding.labels.names)
    intake.save(samples[0], Annotation(size=info.size, shapes=shapes), name)


def _fitted(intake: Intake, mask: Mask, name: str, info: ImageInfo) -> Mask:
    """The mask upright. Raises ReadError when it is not of the picture's size; masks are never resized."""
    size = ImageSize(*mask.shape)
    if size == info.size:
        return mask
    if size == info.stored_size:
        intake.note("turned", name, "the mask fits the picture before its camera rotation and was turned with it")
        return turn_upright(mask, info.orientation)
    raise ReadError(
        f"{name} has {size} pixels, its picture {info.size}.",
        hint="Masks are not resized, that would move their edges. Export it in the size of the picture.",
    )


def _say_what_is_alone(intake: Intake, found: MaskPairs) -> None:
    for mask in found.masks_alone:
        intake.note(
            "unmatched",
            mask.name,
            "a mask has no picture and was left out",
            "# masks have no picture and were left out",
        )
    for image in found.images_alone:
        intake.note(
            "unmatched", image.name, "a picture has no mask and came in to do", "# pictures have no mask, still to do"
        )
    for mask in found.left_out:
        intake.note(
            "ignored",
            mask.name,
            "it lies in a second folder of masks and was left out",
            "# pictures lie in further folders of masks and were left out",
        )
