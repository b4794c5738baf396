"""A Sample, and what its annotation file says of itself under our own key."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from core.annotation.shapes import Annotation
from core.files import now
from core.images import IMAGE_SUFFIXES

OWN_KEY: Final = "maskloop"  # our own top-level key in an annotation file
SampleState = Literal["todo", "doing", "review", "done"]  # only what is done trains
STATES: Final[tuple[SampleState, ...]] = get_args(SampleState)
_SETTLED: Final = 2_000_000_000  # nanoseconds; the coarsest clock of a file system ticks that long
Origin = Literal["person", "import", "model", "outside"]  # who or what made a state; outside: another program
ORIGINS: Final[tuple[Origin, ...]] = get_args(Origin)


class Sample(NamedTuple):
    """One picture of a Project. The name is the image file without its suffix."""

    name: str
    image: Path


class Stamp(NamedTuple):
    """Which save an Annotation is. A file that another program wrote has version 0 and counts as done."""

    version: int
    state: SampleState
    author: str
    time: str
    source: Origin = "person"


def stamp_of(annotation: Annotation | None) -> Stamp:
    """The Stamp of an Annotation, whatever the file says; state todo when there is none."""
    if annotation is None:
        return Stamp(0, "todo", "", "")
    value = annotation.extra.get(OWN_KEY)
    value = value if isinstance(value, dict) else {}
    version, state, source = value.get("version"), value.get("state"), value.get("source")
    version = version if isinstance(version, int) and version >= 0 else 0
    return Stamp(
        version=version,
        state=state if state in STATES else "done",
        author=str(value.get("author", "")),
        time=str(value.get("time", "")),
        source=source if source in ORIGINS else "person" if version else "outside",
    )


def stamped(
    annotation: Annotation, *, version: int, state: SampleState, author: str, source: Origin = "person"
) -> Annotation:
    """`annotation` as the save `version`, made now."""
    return with_stamp(annotation, Stamp(version, state, author, now(), source))


def with_stamp(annotation: Annotation, stamp: Stamp) -> Annotation:
    """`annotation` saying `stamp` of itself, under our own key behind all others."""
    own: dict[str, Any] = {"version": stamp.version, "state": stamp.state, "author": stamp.author, "time": stamp.time}
    if stamp.source != "person":
        own["source"] = stamp.source
    others = {key: item for key, item in annotation.extra.items() if key != OWN_KEY}
    return replace(annotation, extra={**others, OWN_KEY: own})


def samples_in(images: Path) -> Mapping[str, Sample]:
    """The pictures of a folder by name; listed anew only when the folder has changed. Not to be changed."""
    changed = os.stat(images).st_mtime_ns
    if time.time_ns() - changed < _SETTLED:  # another change may get the same time
        return _listed.__wrapped__(images, changed)
    return _listed(images, changed)


@lru_cache(maxsize=8)
def _listed(images: Path, _: int) -> Mapping[str, Sample]:
    return {sample.name: sample for sample in list_samples(images)}


def list_samples(images: Path) -> Iterator[Sample]:
    """The pictures of a folder. When two differ by suffix only, the later keeps its suffix in its name."""
    names: set[str] = set()
    with os.scandir(images) as entries:
        files = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    for file in files:
        stem, suffix = os.path.splitext(file)
        if suffix.lower() not in IMAGE_SUFFIXES:
            continue
        name = file if stem in names else stem
        names.add(name)
        yield Sample(name, images / file)
