"""Which picture belongs to which mask: by folders (images/ and masks/), else by names (a.jpg and a_mask.png)."""

import io
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from PIL import Image

from core.errors import ReadError
from core.formats.source import Source, SourceFile

_IMAGE_FOLDERS: Final = {"images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "rgb"}
_MASK_FOLDERS: Final = (  # the first that is there is taken
    "masks",
    "mask",
    "segmentationclass",
    "segmentationclasspng",
    "labels",
    "label",
    "gt",
    "groundtruth",
    "ground_truth",
    "annotations",
    "annot",
    "segmentation",
    "segmentations",
    "instances",
    "instance",
    "segmentationobject",
)
_DERIVED: Final = re.compile(r"masks?[_ -].+|.+[_ -](masks?|labels?|gt)|segmentation.+|.*visuali[sz]ations?|overlays?")
_MASK_ENDING: Final = re.compile(
    r"(.+?)[-_. ](?:masks?|labels?|gt|seg|segmentation|annotation|groundtruth|ground_truth|labelids)$", re.IGNORECASE
)
_LAST: Final = len(_MASK_FOLDERS)


@dataclass(frozen=True)
class MaskPair:
    """A picture and its mask. doubtful: why they were put together when their names differ; else ""."""

    image: SourceFile
    mask: SourceFile
    doubtful: str = ""


@dataclass(frozen=True)
class MaskPairs:
    """How the files of an import belong together. left_out: further folders of masks, of which only one is read."""

    pairs: tuple[MaskPair, ...]
    images_alone: tuple[SourceFile, ...]
    masks_alone: tuple[SourceFile, ...]
    left_out: tuple[SourceFile, ...] = ()


def is_mask_source(source: Source) -> bool:
    """Whether a Source holds at least one picture with a mask of its own."""
    return bool(pair_masks(source).pairs)


def in_mask_folder(file: SourceFile) -> bool:
    """Whether a file lies in a folder that is named as folders of masks are."""
    return _mask_part(file) is not None


def pair_masks(source: Source, images: Source | None = None) -> MaskPairs:
    """Pair the masks of `source` with its own pictures, or with those of `images`.

    First where the folders agree but for their "images" or "masks" and the names but for their suffix, then by the
    name alone where it is unique, then, doubtful, by a name with an ending such as _mask.
    """
    pictures = source.pictures()
    ranked = [(_rank(file), file) for file in pictures]
    best = min((rank for rank, _ in ranked if rank is not None), default=None)
    masks = [file for rank, file in ranked if rank is not None and rank == best]
    left_out = [file for rank, file in ranked if rank is not None and rank != best]
    plain = [file for rank, file in ranked if rank is None]
    if images is not None:
        return _pair([file for file in images.pictures() if _rank(file) is None], masks or plain, left_out)
    if masks:
        named = [file for file in plain if any(part.casefold() in _IMAGE_FOLDERS for part in file.folder.split("/"))]
        return _pair(named or plain, masks, left_out)
    return _pair_flat(plain)


def _pair(images: list[SourceFile], masks: list[SourceFile], left_out: Iterable[SourceFile]) -> MaskPairs:
    pairs: list[MaskPair] = []
    keys: list[tuple[Callable[[SourceFile], Hashable], str]] = [
        (lambda file: (_place(file), file.stem), ""),  # A.png may lie beside a.png
        (_place, ""),
        (lambda file: file.stem.casefold(), ""),
        (_bare_stem, "the names differ by an ending only"),
    ]
    for key, doubtful in keys:
        found = [MaskPair(image, mask, doubtful) for image, mask in _unique_matches(images, masks, key)]
        pairs += found
        taken = {id(file) for pair in found for file in (pair.image, pair.mask)}
        images = [file for file in images if id(file) not in taken]
        masks = [file for file in masks if id(file) not in taken]
    return MaskPairs(tuple(pairs), tuple(images), tuple(masks), tuple(left_out))


def _pair_flat(files: list[SourceFile]) -> MaskPairs:
    """Pictures and masks side by side in one folder: a.png with a_mask.png, or a.jpg with a one-channel a.png."""
    by_place = {(file.folder, file.stem.casefold()): file for file in files}
    endings: dict[int, MaskPair] = {}
    for file in files:
        ending = _MASK_ENDING.match(file.stem)
        image = by_place.get((file.folder, ending[1].casefold())) if ending else None
        if image is not None and id(image) not in endings:
            endings[id(image)] = MaskPair(image, file, "the names differ by an ending only")
    pairs = list(endings.values())
    if not pairs:
        photos = [file for file in files if file.suffix in (".jpg", ".jpeg")]
        drawn = [file for file in files if file.suffix == ".png"]
        same = _unique_matches(photos, drawn, _place)
        if same and _has_one_channel(same[0][1]):
            pairs = [MaskPair(photo, mask, "a JPEG and a PNG have the same name") for photo, mask in same]
    taken = {id(file) for pair in pairs for file in (pair.image, pair.mask)}
    return MaskPairs(tuple(pairs), tuple(file for file in files if id(file) not in taken), ())


def _unique_matches(
    images: list[SourceFile], masks: list[SourceFile], key: Callable[[SourceFile], Hashable]
) -> list[tuple[SourceFile, SourceFile]]:
    """Pictures and masks of equal key, where each side has exactly one; in the order of the pictures."""
    found: dict[Hashable, tuple[list[SourceFile], list[SourceFile]]] = {}
    for side, files in enumerate((images, masks)):
        for file in files:
            found.setdefault(key(file), ([], []))[side].append(file)
    return [(ours[0], theirs[0]) for ours, theirs in found.values() if len(ours) == 1 == len(theirs)]


def _place(file: SourceFile) -> tuple[str, str]:
    """The folder without the part that says images or masks, and the stem."""
    parts = [part for part in file.folder.split("/") if part.casefold() not in _IMAGE_FOLDERS]
    mask_part = _mask_part(file)
    return "/".join(part for part in parts if part != mask_part), file.stem.casefold()


def _bare_stem(file: SourceFile) -> str:
    ending = _MASK_ENDING.match(file.stem)
    return (ending[1] if ending else file.stem).casefold()


def _mask_part(file: SourceFile) -> str | None:
    """The innermost folder whose name says masks."""
    for part in reversed(file.folder.split("/")):
        folded = part.casefold()
        if folded in _IMAGE_FOLDERS:
            return None
        if folded in _MASK_FOLDERS or _DERIVED.fullmatch(folded):
            return part
    return None


def _rank(file: SourceFile) -> int | None:
    part = _mask_part(file)
    if part is None:
        return None
    return _MASK_FOLDERS.index(part.casefold()) if part.casefold() in _MASK_FOLDERS else _LAST


def _has_one_channel(file: SourceFile) -> bool:
    try:
        with Image.open(io.BytesIO(file.read())) as picture:
            return picture.mode in ("1", "L", "P", "I") or picture.mode.startswith("I;16")
    except (ReadError, OSError, ValueError, SyntaxError):
        return False
