"""Which pictures an import means: by an annotation, whatever folder it was written in, and as pictures at all."""

import posixpath
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from core.formats.mask_folder import in_mask_folder, pair_masks
from core.formats.source import Source, SourceFile


class PictureFinder:
    """Finds pictures among files by the names that annotations have for them."""

    def __init__(self, pictures: Iterable[SourceFile]) -> None:
        self._exact: dict[str, SourceFile] = {}
        self._by_name: dict[str, SourceFile] = {}
        self._by_base: dict[str, list[SourceFile]] = {}
        self._by_path_stem: dict[str, list[SourceFile]] = {}
        self._by_stem: dict[str, list[SourceFile]] = {}
        for picture in pictures:
            self._exact.setdefault(picture.name, picture)  # on some disks A.png is not a.png
            self._by_name.setdefault(_folded(picture.name), picture)
            self._by_base.setdefault(_folded(picture.base), []).append(picture)
            self._by_path_stem.setdefault(_folded(posixpath.splitext(picture.name)[0]), []).append(picture)
            self._by_stem.setdefault(_folded(picture.stem), []).append(picture)

    def find(self, path: str, *, beside: str) -> tuple[SourceFile | None, str]:
        """The picture, and what is doubtful about it ("" when nothing is).

        path: as the annotation has it; it may lack the suffix.  beside: the file that names it. Looked for by its path
        from that file's folder and from the top, by its bare name beside the file, by its bare name anywhere if
        unique, by its stem if unique, at last by the file's own name.
        """
        folder = beside.rpartition("/")[0]
        base = PurePosixPath(path).name
        for name in (posixpath.join(folder, path), path, posixpath.join(folder, base)):
            name = posixpath.normpath(name)
            found = self._exact.get(name) or self._by_name.get(_folded(name)) if path else None
            if found:
                return found, ""
        for candidates in (
            self._by_base.get(_folded(base), []),
            self._by_path_stem.get(_folded(posixpath.normpath(posixpath.join(folder, path))), []) if path else [],
            self._by_stem.get(_folded(base), []) if base else [],
        ):
            if len(candidates) > 1:  # those that differ by more than capital letters
                candidates = [picture for picture in candidates if base in (picture.base, picture.stem)]
            if len(candidates) == 1:
                return candidates[0], ""
        own = self._by_path_stem.get(_folded(posixpath.splitext(beside)[0]), [])
        if len(own) == 1:
            return own[0], f"it names {path or 'no picture'}, which is not there"
        return None, ""


def wanted_pictures(format: str, source: Source, images: Source | None) -> tuple[list[SourceFile], list[SourceFile]]:
    """The pictures that an import of `format` brings in, and those that are other people's masks or Labelme's own
    exports and stay out.  images: where the pictures are, when they lie elsewhere."""
    if format == "masks":
        paired = pair_masks(source, images)
        return [*(pair.image for pair in paired.pairs), *paired.images_alone], []
    if format == "images":
        return [*source.pictures(), *(images.pictures() if images else ())], []
    if format != "labelme":
        pictures = (images or source).pictures()
        return [file for file in pictures if not in_mask_folder(file)], []  # its readers know what their masks are
    annotated = {file.folder for file in source.with_suffix(".json")}
    exports = tuple(
        file.folder + "/"
        for file in source.files
        if file.base in ("class_names.txt", "label_names.txt") and file.folder and file.folder not in annotated
    )
    wanted: list[SourceFile] = []
    left_out: list[SourceFile] = []
    for picture in (*source.pictures(), *(images.pictures() if images else ())):
        derived = in_mask_folder(picture) or picture.name.startswith(exports)
        (left_out if derived and picture.folder not in annotated else wanted).append(picture)
    return wanted, left_out


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
