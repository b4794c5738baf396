"""The pictures that other programs name: by a path of any system, or by a URL."""

import re
from pathlib import PureWindowsPath
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

_UPLOAD: Final = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before an uploaded file's name


def clean_path(text: str) -> str:
    """A path with slashes; of one that leads out of the folder, or is of another machine, the file name alone."""
    parts = PureWindowsPath(text.replace("\0", "")).as_posix().split("/")
    if ".." in parts or ":" in parts[0] or not parts[0]:
        parts = parts[-1:]
    name = "/".join(part for part in parts if part not in ("", ".", ".."))
    return name.encode("utf-8", errors="replace").decode()


def names_of_url(text: str) -> list[str]:
    """What the picture that a path or URL means may be called, the likeliest first: its path, its name, and the name
    without the prefix of an upload. Empty when nothing is left of it.
    """
    try:
        address = urlsplit(text)
        query = parse_qs(address.query).get("d", [""])[0]
    except ValueError:  # a bracket that opens an address of no kind
        return _names(text)
    if "local-files" in address.path and query:
        return _names(query)
    if len(address.scheme) > 1:  # one letter is a drive
        return _names(unquote(address.path).lstrip("/"))
    if text.startswith("/data/"):
        return _names(unquote(address.path).rpartition("/")[2])
    return _names(text)


def _names(path: str) -> list[str]:
    whole = clean_path(path)
    base = whole.rpartition("/")[2]
    return [name for name in dict.fromkeys((whole, base, _UPLOAD.sub("", base, count=1))) if name]
