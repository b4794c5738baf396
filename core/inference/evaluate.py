"""A Backend measured on pictures with known masks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.errors import ReadError
from core.files import natural_key
from core.formats.class_table import FILE_NAMES, ClassTable, read_class_table
from core.formats.mask_coding import detect_coding
from core.formats.mask_png import MaskCoding, MaskSummary, RawMask, decode_mask, read_mask_file, summarise
from core.images import IMAGE_SUFFIXES, RGB, ImageSize, read_image
from core.inference.backend import Backend
from core.inference.predict import predict
from core.inference.rows import PredictConfig
from core.inference.scores import ScoreConfig, Scores
from core.networks.card import ModelCard

_MASK_SUFFIXES: Final = (*IMAGE_SUFFIXES, ".gif")


class Pair(NamedTuple):
    """A picture's file and its mask's."""

    image: Path
    mask: Path


@dataclass(frozen=True)
class Pairs:
    """Pairs in natural order of their names. unmatched: files that found no partner."""

    pairs: tuple[Pair, ...]
    unmatched: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)


def pair_files(images: Path, masks: Path) -> Pairs:
    """Pictures and masks of equal stem (a.jpg and a.png) of two folders; or two files, which are one Pair.

    Raises ReadError when a folder is missing, when two files of one have the same stem, or when nothing pairs.
    """
    if images.is_file() and masks.is_file():
        return Pairs((Pair(images, masks),))
    pictures, drawn = _by_stem(images, IMAGE_SUFFIXES), _by_stem(masks, _MASK_SUFFIXES)
    common = sorted(pictures.keys() & drawn.keys(), key=natural_key)
    if not common:
        raise ReadError(
            f"None of the {len(pictures)} pictures in {images} has a mask in {masks}.",
            hint="A picture and its mask have the same name up to the suffix: a.jpg and a.png.",
        )
    alone = [
        files[stem] for files in (pictures, drawn) for stem in sorted(files, key=natural_key) if stem not in common
    ]
    return Pairs(tuple(Pair(pictures[stem], drawn[stem]) for stem in common), tuple(alone))


def read_pairs(pairs: Iterable[Pair], card: ModelCard) -> Iterator[tuple[RGB, Mask]]:
    """Each picture, prepared as `card` says, with its Mask in class ids of the card's labels; one at a time.

    Raises ReadError for a file that cannot be read, for a mask of another size, and for classes the model has not.
    """
    pairs = list(pairs)
    coding = mask_coding([pair.mask for pair in pairs], card.labels)
    for pair in pairs:
        image = read_image(pair.image, intensity=card.intensity)
        mask = decode_mask(_read_mask(pair.mask), coding)
        if mask.shape != image.shape[:2]:
            raise ReadError(
                f"{pair.mask.name} is {ImageSize(*mask.shape)}, its picture {ImageSize(*image.shape[:2])}.",
                hint="Give the mask that was drawn on this picture, not resized.",
            )
        yield image, mask


def mask_coding(masks: Iterable[Path], labels: LabelSet) -> MaskCoding:
    """What the values of all `masks` mean as class ids of `labels`; `notes` say what was assumed.

    Values are class ids, named by a classes.csv beside the masks where there is one. 255 is "not labelled", but in a
    set of 0 and 255 alone it is the one label of a model of two classes. Raises ReadError for classes not in `labels`.
    """
    paths = list(masks)
    summaries = [summarise(_read_mask(path)) for path in paths]
    if len(labels) > 2 and not any(summary.coloured for summary in summaries) and _values(summaries) == {0, IGNORE_ID}:
        return MaskCoding("indexed", {0: 0, IGNORE_ID: IGNORE_ID}, labels)
    coding = detect_coding(summaries, labels, _class_table(paths[0]) if paths else None)
    unknown = coding.labels.names[len(labels) :]
    if unknown:
        raise ReadError(
            f"The masks hold {', '.join(unknown[:5])}, which the model does not know.",
            hint=f"It knows {', '.join(labels.names[1:])}, as class ids 1 to {len(labels) - 1}.",
        )
    return coding


def evaluate(
    backend: Backend,
    pairs: Iterable[tuple[RGB, Mask]],
    *,
    names: Iterable[str] = (),
    config: PredictConfig | None = None,
    scoring: ScoreConfig | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Predict each picture and count against its Mask.

    names: what the pictures are called, in the order of `pairs`; their numbers from 1 without. progress: told the
    number of pictures done.
    """
    scores = Scores(backend.card.labels, scoring)
    called = iter(names)
    for done, (image, truth) in enumerate(pairs, start=1):
        scores.add(next(called, str(done)), truth, predict(image, backend, config=config).mask)
        if progress is not None:
            progress(done)
    return scores


def _by_stem(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise ReadError(f"{folder} is not a folder.", hint="Give the folder of the pictures and that of the masks.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in found:
            raise ReadError(
                f"{folder} holds {found[path.stem].name} and {path.name}; it is not clear which to take.",
                hint="Remove one of the two.",
            )
        found[path.stem] = path
    return found


def _read_mask(path: Path) -> RawMask:
    try:
        return read_mask_file(path.read_bytes(), name=path.name)
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read ({error.strerror or error}).", hint="Check the file.") from error


def _values(summaries: Iterable[MaskSummary]) -> set[int]:
    return {value for summary in summaries for value in summary.counts}


def _class_table(mask: Path) -> ClassTable | None:
    """The class table in the folder of `mask` or in the folder above, as sets of pictures have it."""
    for folder in (mask.parent, mask.parent.parent):
        for name in FILE_NAMES:
            if (folder / name).is_file():
                return read_class_table((folder / name).read_bytes(), name=name)
    return None
