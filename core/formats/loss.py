"""What an export could not hold, counted: the same loss of a thousand Shapes is told once."""

from collections import Counter

from core.formats.note import Note


class Losses:
    """Counts losses; `notes` has one Note for each kind of loss, in the order in which they came first."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, one: str, many: str) -> None:
        """Count one loss.  many: the same for several, with # where the number stands."""
        self._counts[one, many] += 1

    def notes(self) -> tuple[Note, ...]:
        return tuple(
            Note("lost", one if count == 1 else many.replace("#", f"{count:,}"), many)
            for (one, many), count in self._counts.items()
        )
