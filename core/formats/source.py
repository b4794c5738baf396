"""The files of an import, wherever they come from: a folder, a zip archive, one file, or a browser's upload.

Nothing is unpacked to disk. What a name or a size makes unsafe is refused file by file, and said in `Source.refused`.
"""

import io
import json
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, Final

from core.errors import ReadError
from core.files import natural_key
from core.images import IMAGE_SUFFIXES

MAX_FILE: Final = 2 << 30  # bytes, one file unpacked; 20,000 x 20,000 pixels are 1.2 GB
MAX_TOTAL: Final = 20 << 30
MAX_FILES: Final = 200_000
MAX_RATIO: Final = 200  # unpacked to packed; real pictures stay under 20
RATIO_MATTERS_FROM: Final = 50 << 20
_ZIP_MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_CHUNK: Final = 1 << 20
_CLUTTER: Final = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class SourceFile:
    """One file. `name` is relative, with slashes; `read` gives its bytes anew each time, or raises ReadError."""

    name: str
    size: int
    read: Callable[[], bytes]

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def base(self) -> str:
        """The name without its folder."""
        return self.name.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """In small letters, with its dot."""
        return PurePosixPath(self.name).suffix.lower()


@dataclass(frozen=True)
class Source:
    """The files of one import in natural order, and a sentence for each that was refused.

    root: the folder on this disk that names are relative to; None for an archive and for uploads.
    """

    title: str
    files: tuple[SourceFile, ...]
    refused: tuple[str, ...] = ()
    root: Path | None = None

    def pictures(self) -> list[SourceFile]:
        """The files that are named as pictures; a file without any suffix counts when it begins as one."""
        return [file for file in self.files if file.suffix in PICTURE_SUFFIXES or _is_nameless_picture(file)]

    def with_suffix(self, suffix: str) -> list[SourceFile]:
        return [file for file in self.files if file.suffix == suffix]


PICTURE_SUFFIXES: Final = (*IMAGE_SUFFIXES, ".jpe", ".jfif", ".gif")


def open_source(path: Path) -> Source:
    """The files of a folder (with its subfolders), a zip archive, or one file; a Labelme file brings its picture along.

    Raises ReadError when there is nothing at `path`, or an archive is damaged or far too large.
    """
    try:
        if path.is_dir():
            return _folder_source(path)
        with path.open("rb") as file:
            head = file.read(4)
        if head in _ZIP_MAGIC:
            return _source(path.name, *_open_zip(path, path.name, ""))
        return replace(_source(path.name, _one_file(path), []), root=path.parent)
    except FileNotFoundError as error:
        raise ReadError(f"{path} is not there.", hint="Check the path.") from error
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}.", hint="Check its rights.") from error


def source_of_uploads(items: Sequence[tuple[str, bytes | BinaryIO]]) -> Source:
    """Files from a browser. A zip among them is opened; its files lie in a folder of its name if it is not alone.

    Files of equal name (a browser drops the folders) are told apart by a numbered folder: b.png, 2/b.png.
    """
    files: list[SourceFile] = []
    refused: list[str] = []
    for name, content in items:
        clean = _clean_name(name) or PureWindowsPath(name).name or "unnamed"
        size = len(content) if isinstance(content, bytes) else content.seek(0, io.SEEK_END)
        if _first_bytes(content) in _ZIP_MAGIC:
            archive = io.BytesIO(content) if isinstance(content, bytes) else content
            prefix = "" if len(items) == 1 else PurePosixPath(clean).stem + "/"
            try:
                inside, said = _open_zip(archive, clean, prefix)
            except ReadError as error:
                refused.append(str(error))
                continue
            files += inside
            refused += said
        else:
            files.append(SourceFile(clean, size, partial(_read_upload, content)))
    title = items[0][0] if len(items) == 1 else f"{len(items)} files"
    return _source(title, files, refused)


def is_picture_source(source: Source) -> bool:
    """Whether a Source holds pictures."""
    return bool(source.pictures())


def _source(title: str, files: Iterable[SourceFile], refused: list[str]) -> Source:
    """Leave out clutter and nested archives, tell equal names apart, sort."""
    kept: dict[str, SourceFile] = {}
    refused = list(refused)
    for file in files:
        parts = file.name.split("/")
        if any(part.startswith(".") or part.casefold() in _CLUTTER for part in parts):
            continue
        if file.suffix == ".zip":
            refused.append(f"{file.name} is an archive inside of {title} and was not opened; import it by itself.")
            continue
        name, number = file.name, 1
        while name in kept:
            number += 1
            name = f"{number}/{file.name}"
        kept[name] = SourceFile(name, file.size, file.read)
    return Source(title, tuple(sorted(kept.values(), key=lambda file: natural_key(file.name))), tuple(refused))


# ---------------------------------------------------------------------------------------------------- files on disk


def _folder_source(folder: Path) -> Source:
    files: list[SourceFile] = []
    refused: list[str] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            try:
                status = path.stat()
            except OSError as error:  # a link to nowhere
                refused.append(f"{relative} cannot be read: {error.strerror or error}.")
                continue
            if stat.S_ISREG(status.st_mode):
                files.append(SourceFile(relative, status.st_size, partial(_read_path, path)))
        if len(files) > MAX_FILES:
            raise _too_many(folder.name, len(files))
    return replace(_source(folder.name, files, refused), root=folder)


def _one_file(path: Path) -> list[SourceFile]:
    """`path` itself and, when it is a Labelme file, the picture that it names."""
    chosen = SourceFile(path.name, path.stat().st_size, partial(_read_path, path))
    named = _named_picture(path) if path.suffix.lower() == ".json" else None
    if named is None:
        return [chosen]
    return [chosen, SourceFile(named.name, named.stat().st_size, partial(_read_path, named))]


def _named_picture(path: Path) -> Path | None:
    try:
        value = json.loads(path.read_bytes())
        named = PureWindowsPath(value["imagePath"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # not Labelme; its reader will say so
    for candidate in (path.parent / named.as_posix(), path.parent / named.name):
        if named.name and candidate.is_file():
            return candidate
    return None


def _read_path(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ReadError(f"{path.name} has more than {_human(MAX_FILE)}.", hint="Cut it into smaller pictures.")
        return path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read: {error.strerror or error}.", hint="Check its rights.") from error


# ---------------------------------------------------------------------------------------------------------- uploads


def _read_upload(content: bytes | BinaryIO) -> bytes:
    if isinstance(content, bytes):
        return content
    content.seek(0)
    return content.read()


def _first_bytes(content: bytes | BinaryIO) -> bytes:
    if isinstance(content, bytes):
        return content[:4]
    content.seek(0)
    return content.read(4)


def _clean_name(name: str) -> str | None:
    """`name` with slashes and composed letters, without "." parts; None when it would lead out of the folder."""
    path = unicodedata.normalize("NFC", name.replace("\\", "/"))
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or PureWindowsPath(path).drive or "\0" in path:
        return None
    return "/".join(parts)


def _is_nameless_picture(file: SourceFile) -> bool:
    if file.suffix or file.size > MAX_FILE:
        return False
    try:
        head = file.read()[:12]
    except ReadError:
        return False
    return head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")) or head[8:] == b"WEBP"


# --------------------------------------------------------------------------------------------------------- archives


def _open_zip(place: Path | BinaryIO, title: str, prefix: str) -> tuple[list[SourceFile], list[str]]:
    """The members of a zip that may be read, and a sentence for each that may not."""
    try:
        archive = zipfile.ZipFile(place)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ReadError(
            f"{title} is a damaged archive ({error}).", hint="Pack or download it again; it may be cut off."
        ) from error
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) > MAX_FILES:
        raise _too_many(title, len(members))
    files: list[SourceFile] = []
    refused: list[str] = []
    total = 0
    for info in members:
        shown = _member_name(info)
        name = _clean_name(shown)
        reason = "its name leads out of the folder" if not name else _refusal(info)
        if reason or not name:
            refused.append(f"{shown} in {title} was refused: {reason}.")
            continue
        total += info.file_size
        if total > MAX_TOTAL:
            raise ReadError(
                f"{title} would unpack to more than {_human(MAX_TOTAL)}.", hint="Cut it into smaller archives."
            )
        files.append(SourceFile(prefix + name, info.file_size, partial(_read_member, archive, info, name)))
    return files, refused


def _refusal(info: zipfile.ZipInfo) -> str | None:
    """Why a member may not be read; None when it may."""
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link, not a file"
    if info.flag_bits & 0x1:
        return "it is encrypted; pack it without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is packed in an unusual way; pack it as an ordinary zip"  # bz2 and lzma unpack without a bound
    if info.file_size > MAX_FILE:
        return f"it would unpack to {_human(info.file_size)}, the limit is {_human(MAX_FILE)}"
    if info.file_size > RATIO_MATTERS_FROM and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"it would unpack from {_human(info.compress_size)} to {_human(info.file_size)}, as only a bomb does"
    return None


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    """The bytes of a member, never more than its header said."""
    parts: list[bytes] = []
    size = 0
    try:
        with archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > info.file_size:
                    raise ReadError(f"{name} holds more than the archive says.", hint="Pack it again.")
                parts.append(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ReadError(f"{name} is damaged inside the archive ({error}).", hint="Pack it again.") from error
    if size != info.file_size:
        raise ReadError(f"{name} is cut off inside the archive.", hint="Pack it again.")
    return b"".join(parts)


def _member_name(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: without the UTF-8 flag zipfile reads code page 437, and most packers mean another."""
    name = info.orig_filename
    if info.flag_bits & 0x800 or name.isascii():
        return name
    raw = name.encode("cp437")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if re.search("[\u2500-\u259f]", name):  # box-drawing signs in a file name: Chinese read wrongly
        try:
            return raw.decode("gb2312")
        except UnicodeDecodeError:
            pass
    return name


def _too_many(title: str, count: int) -> ReadError:
    return ReadError(f"{title} holds {count:,} files; the limit is {MAX_FILES:,}.", hint="Import it in parts.")


def _human(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MB"
