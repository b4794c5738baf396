"""What a reader has to say about one file: what it turned, cut, left out or assumed."""

from typing import Literal, NamedTuple

NoteKind = Literal[
    "turned", "clipped", "ignored", "renamed", "unmatched", "duplicate", "assumed", "error", "lost"
]  # `lost`: an export could not hold it


class Note(NamedTuple):
    """A clause without a full stop.  many: the same for several, with # where the number stands; it groups notes."""

    kind: NoteKind
    text: str
    many: str = ""
