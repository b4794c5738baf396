"""Figures as people say them."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime


def duration(seconds: float) -> str:
    """ "20 s", "4 min", "2 h 10 min": no more exact than a person needs."""
    if seconds < 57.5:
        return f"{max(5, round(seconds / 5) * 5)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(round(minutes / 10) * 10, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 picture", "4 pictures"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def memory(size: int) -> str:
    """Bytes as "1.2 GB", "430 MB", "3 MB", "12 kB"."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{round(size / 1e6, -1 if size >= 1e8 else 0):.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def score(value: float | None) -> str:
    """A metric of 0..1."""
    return "-" if value is None else f"{value:.3f}"


def moment(iso: str) -> str:
    """An ISO time as "23 Nov 14:05"; as it stands when it is none."""
    try:
        return f"{datetime.fromisoformat(iso):%d %b %H:%M}"
    except ValueError:
        return iso


def listed(names: list[str], most: int = 5) -> str:
    """ "a, b and 3 more"."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """Things by their keys, with what they are called; those of one name with their keys behind it.

    Of options that look alike a Streamlit box gives back the first, whichever was chosen.
    """
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else f"{name} ({key})" for key, name in names.items()}
