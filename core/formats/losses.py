"""What an export could not hold, counted, so that thousands of shapes are one sentence."""

from collections import Counter
from typing import NamedTuple

from core.formats.note import Note


class Loss(NamedTuple):
    """A clause about one, and the same for several with # where their number stands."""

    one: str
    many: str


class Losses:
    """Counts the losses of an export while it is written."""

    def __init__(self) -> None:
        self._counts: Counter[Loss] = Counter()

    def add(self, loss: Loss, times: int = 1) -> None:
        if times:
            self._counts[loss] += times

    def unknown_label(self, label: str) -> None:
        """A shape whose label the labels of the export do not have."""
        told = f"of the label {label!r}, which the project does not have,"
        self.add(Loss(f"a shape {told} was left out", f"# shapes {told} were left out"))

    def notes(self) -> tuple[Note, ...]:
        """One note of the kind "lost" for each loss, in the order in which they were met."""
        return tuple(
            Note("lost", loss.one if count == 1 else loss.many.replace("#", f"{count:,}"))
            for loss, count in self._counts.items()
        )
