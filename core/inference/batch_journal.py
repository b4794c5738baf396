"""The journal of a batch: what became of each picture, one line of JSON each, only ever added to.

A batch that was killed goes on from it; a line that was cut off is dropped, and its picture done again.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from core.errors import ReadError
from core.files import safe_name, write_error
from core.inference.export import ClassArea

JOURNAL_FILE: Final = "journal.jsonl"
_ENDS: Final = (".png", ".jpg", ".json", ".jsonl", ".csv", ".html")  # of what a batch writes


class Fingerprints(NamedTuple):
    """What a result depends on; when one of the three changed, the picture is done again.

    picture: "" where its bytes could not be read.
    """

    picture: str
    model: str
    settings: str


class PageDone(NamedTuple):
    """What was written of one page. page: from 0 in a stack, None for a picture of one page.  files: from `out`."""

    page: int | None
    files: tuple[str, ...]
    areas: tuple[ClassArea, ...]


@dataclass(frozen=True)
class Failure:
    """Why a picture has no result. again: whether another try may go better; the batch makes it when it goes on.

    trace: of an error that nobody foresaw.
    """

    message: str
    hint: str = ""
    again: bool = False
    trace: str = ""


@dataclass(frozen=True)
class Entry:
    """What became of one picture. picture: its name in the Source.  stem: that of its files, a path from `out`."""

    picture: str
    stem: str
    fingerprints: Fingerprints
    seconds: float
    pages: tuple[PageDone, ...] = ()
    failure: Failure | None = None

    def holds(self, fingerprints: Fingerprints, out: Path) -> bool:
        """Whether this is still the result for `fingerprints`, and its files are still in `out`."""
        if self.fingerprints != fingerprints:
            return False
        if self.failure is not None:
            return not self.failure.again
        return all((out / name).is_file() for page in self.pages for name in page.files)

    def line(self) -> bytes:
        value = {
            "picture": self.picture,
            "stem": self.stem,
            "fingerprints": self.fingerprints._asdict(),
            "seconds": round(self.seconds, 4),
            "pages": [page._asdict() for page in self.pages],
            "failure": asdict(self.failure) if self.failure else None,
        }
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"  # zips may hold odd letters


def fingerprint(data: bytes) -> str:
    return sha256(data).hexdigest()


class Journal:
    """The journal in a folder; `entries`: the last one of each picture. One program writes to it at a time."""

    def __init__(self, out: Path) -> None:
        """Raises ReadError when there is one that cannot be read."""
        self.path = out / JOURNAL_FILE
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise ReadError(f"{self.path} cannot be read ({error.strerror}).", hint="Check its rights.") from error
        self._size = data.rfind(b"\n") + 1  # behind it: a line that was cut off
        found = (entry for line in data[: self._size].splitlines() if (entry := _entry(line)) is not None)
        self._entries = {entry.picture: entry for entry in found}

    @property
    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def add(self, entry: Entry) -> None:
        """Write `entry` and wait until the disk has it. Raises WriteError; the journal is then as it was."""
        line = entry.line()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if file.tell() != self._size:
                    file.truncate(self._size)
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    with suppress(OSError):
                        file.truncate(self._size)
                    raise
        except OSError as error:
            raise write_error(self.path, error) from error
        self._size += len(line)
        self._entries[entry.picture] = entry


def _entry(line: bytes) -> Entry | None:
    """The Entry in `line`; None when it is damaged or names files outside of the folder."""
    try:
        value = json.loads(line)
        entry = Entry(
            picture=_text(value["picture"]),
            stem=_text(value["stem"]),
            fingerprints=Fingerprints(**{key: _text(text) for key, text in value["fingerprints"].items()}),
            seconds=float(value["seconds"]),
            pages=tuple(_page(page) for page in value["pages"]),
            failure=_failure(value["failure"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    files = [name for page in entry.pages for name in page.files]
    own = all(name.startswith(entry.stem) for name in files)
    return entry if own and all(_is_inside(name) for name in (entry.stem, *files)) else None


def _is_inside(name: str) -> bool:
    parts = name.split("/")
    return not any(part in ("", ".", "..") for part in parts) and not any(sign in name for sign in "\\:\0")


def _page(value: dict[str, Any]) -> PageDone:
    areas = tuple(
        ClassArea(name=_text(area["name"]), pixels=int(area["pixels"]), share=float(area["share"]))
        for area in value["areas"]
    )
    page = value["page"]
    return PageDone(None if page is None else int(page), tuple(_text(name) for name in value["files"]), areas)


def _failure(value: dict[str, Any] | None) -> Failure | None:
    if value is None:
        return None
    message, hint, trace = (_text(value[key]) for key in ("message", "hint", "trace"))
    return Failure(message, hint, bool(value["again"]), trace)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def page_stem(stem: str, page: int | None) -> str:
    """The stem of a page's files. `safe_name` makes no "~", so no other picture's files can be called the same."""
    return stem if page is None else f"{stem}~p{page + 1:04d}"


def shown_name(picture: str, page: int | None) -> str:
    """What people call a page."""
    return picture if page is None else f"{picture}, page {page + 1}"


def stem_of(picture: str) -> str:
    """The path of a picture's files, without suffix, from its name in a Source."""
    path = PurePosixPath(picture)
    folders = [safe_name(part) for part in path.parts[:-1]]
    # a folder called a.png would stand where the mask of a picture a goes
    folders = [part.replace(".", "_") if part.lower().endswith(_ENDS) else part for part in folders]
    return "/".join([*folders, safe_name(path.stem)])
