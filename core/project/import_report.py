"""What an import did, as numbers and in plain words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from core.formats.note import Note, NoteKind

# In this order they are told: what needs the person first.
_ORDER: Final[tuple[NoteKind, ...]] = (
    "error",
    "lost",
    "unmatched",
    "ignored",
    "clipped",
    "assumed",
    "turned",
    "renamed",
    "duplicate",
)
_NAMES_SHOWN: Final = 3


class ImportNote(NamedTuple):
    """One thing to know about one file.  text: a clause about it.  many: the same for several, # their number."""

    kind: NoteKind
    name: str
    text: str
    many: str = ""


@dataclass(frozen=True)
class ImportReport:
    """pictures: those that came new. annotations: those that were saved."""

    pictures: int
    annotations: int
    notes: tuple[ImportNote, ...] = ()
    labels_added: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """The report in words, what is alike told once with the names of the first files."""
        came = f"{_count(self.pictures, 'picture')} and {_count(self.annotations, 'annotation')} came in."
        told = [came if self.pictures or self.annotations else "Nothing new came in."]
        if self.labels_added:
            one = len(self.labels_added) == 1
            told.append(f"{'New label' if one else 'New labels'}: {_listed(self.labels_added, 12)}.")
        for kind in _ORDER:
            told += _grouped(note for note in self.notes if note.kind == kind)
        return list(map(_writable, told))

    def to_json(self) -> dict[str, Any]:
        return {
            "pictures": self.pictures,
            "annotations": self.annotations,
            "labels_added": list(self.labels_added),
            "sentences": self.sentences(),
            "notes": [
                {"kind": note.kind, "name": _writable(note.name), "text": _writable(note.text)} for note in self.notes
            ],
        }


def about(name: str, notes: Iterable[Note]) -> list[ImportNote]:
    """What a reader said about the file `name`."""
    return [ImportNote(note.kind, name, note.text, note.many) for note in notes]


def _writable(text: str) -> str:
    """`text` with a question mark for half of a letter pair, which no terminal and no page can show."""
    return text.encode("utf-8", errors="replace").decode()


def _grouped(notes: Iterable[ImportNote]) -> list[str]:
    groups: dict[str, list[ImportNote]] = {}
    for note in notes:
        groups.setdefault(note.many or note.text, []).append(note)
    return [_told(group) for group in groups.values()]


def _told(group: list[ImportNote]) -> str:
    first = group[0]
    text = first.text if len(group) == 1 or not first.many else first.many.replace("#", f"{len(group):,}")
    names = tuple(dict.fromkeys(note.name for note in group if note.name))
    text = text.rstrip(".")
    base = first.name.rpartition("/")[2]
    if base and text.startswith(base):
        text = first.name + text[len(base) :]  # the folder too: files of one name may lie in several
    if re.match(r"[a-z]+,? ", text):  # a word, not the name of a file
        text = text[0].upper() + text[1:]
    if not names or (len(names) == 1 and names[0] in text):
        return f"{text}."
    return f"{text} ({_listed(names, _NAMES_SHOWN)})."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(names: tuple[str, ...], most: int) -> str:
    more = len(names) - most
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more:,} more"
