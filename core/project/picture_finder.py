"""Which picture an annotation means, whatever folder it was written in."""

import posixpath
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from core.formats.source import SourceFile


class PictureFinder:
    """Finds pictures among files by the names that annotations have for them."""

    def __init__(self, pictures: Iterable[SourceFile]) -> None:
        self._by_name: dict[str, SourceFile] = {}
        self._by_base: dict[str, list[SourceFile]] = {}
        self._by_path_stem: dict[str, list[SourceFile]] = {}
        self._by_stem: dict[str, list[SourceFile]] = {}
        for picture in pictures:
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
            found = self._by_name.get(_folded(posixpath.normpath(name))) if path else None
            if found:
                return found, ""
        for candidates in (
            self._by_base.get(_folded(base), []),
            self._by_path_stem.get(_folded(posixpath.normpath(posixpath.join(folder, path))), []) if path else [],
            self._by_stem.get(_folded(base), []) if base else [],
        ):
            if len(candidates) == 1:
                return candidates[0], ""
        own = self._by_path_stem.get(_folded(posixpath.splitext(beside)[0]), [])
        if len(own) == 1:
            return own[0], f"it names {path or 'no picture'}, which is not there"
        return None, ""


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
