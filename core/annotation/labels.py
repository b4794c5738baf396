"""Labels and their ids, one table a Project: id 0 is background, 1..n the labels in order, 255 "not labelled"."""

import colorsys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from core.errors import ConfigError, ReadError

BACKGROUND: Final = "_background_"  # Labelme's own names
IGNORE: Final = "__ignore__"
IGNORE_ID: Final = 255
MAX_LABELS: Final = 250

Color = tuple[int, int, int]

# Okabe and Ito's palette (2008), made to stay distinct for colour-blind people, from the loudest on dark pictures on.
_COLORS: Final[tuple[Color, ...]] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)


@dataclass(frozen=True)
class Label:
    """One class: its name and the colour it has everywhere."""

    name: str
    color: Color


@dataclass(frozen=True)
class LabelSet:
    """The labels of a Project in order; the index is the class id. The first is always background."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        names = [label.name for label in self.labels]
        if not names or names[0] != BACKGROUND:
            raise ConfigError(f"The first label must be {BACKGROUND}.")
        if len(names) > MAX_LABELS:
            raise ConfigError(f"{len(names) - 1} labels are too many; {MAX_LABELS - 1} is the most.")
        for name in names:
            if not name.strip() or name != name.strip() or any(ord(c) < 32 for c in name):
                raise ConfigError(f"{name!r} cannot be a label.", hint="Use letters, digits, spaces; no line breaks.")
            if name == IGNORE:
                raise ConfigError(f"{IGNORE} is not a label: what is drawn with it counts nowhere.")
        doubles = {name for name in names if names.count(name) > 1}
        if doubles:
            raise ConfigError(f"The label {sorted(doubles)[0]!r} is there twice.")

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """A LabelSet of foreground names in order, each with the colour of its place."""
        drawn = [name for name in names if name not in (BACKGROUND, IGNORE)]
        foreground = (Label(name, color_of(i)) for i, name in enumerate(drawn, start=1))
        return cls((Label(BACKGROUND, (0, 0, 0)), *foreground))

    def with_names(self, names: Iterable[str]) -> "LabelSet":
        """This set with further labels at its end; those that it has are left as they are."""
        known = set(self.names) | {IGNORE}
        new = [name for name in dict.fromkeys(names) if name not in known]
        start = len(self.labels)
        return LabelSet((*self.labels, *(Label(name, color_of(i)) for i, name in enumerate(new, start=start))))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def foreground(self) -> tuple[Label, ...]:
        return self.labels[1:]

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def id_of(self, name: str) -> int:
        """Class id of `name`; IGNORE is 255. Raises KeyError for a name that is not here."""
        if name == IGNORE:
            return IGNORE_ID
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(name) from None

    def to_json(self) -> list[dict[str, Any]]:
        return [{"name": label.name, "color": "#{:02x}{:02x}{:02x}".format(*label.color)} for label in self.labels]

    @classmethod
    def from_json(cls, value: list[dict[str, Any]]) -> Self:
        return cls(tuple(Label(item["name"], parse_color(item["color"])) for item in value))


def color_of(class_id: int) -> Color:
    """The colour of a class id: the same in every Project and every picture."""
    if class_id == 0:
        return (0, 0, 0)
    if class_id <= len(_COLORS):
        return _COLORS[class_id - 1]
    hue = (class_id * 0.618034) % 1.0  # golden ratio: neighbours in the list lie far apart on the colour wheel
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.55 + 0.4 * (class_id % 2), 0.95)
    return (round(red * 255), round(green * 255), round(blue * 255))


def parse_color(text: str) -> Color:
    """#rrggbb as (r, g, b). Raises ConfigError."""
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        raise ConfigError(f"{text!r} is not a colour.", hint="Write it as #rrggbb.") from None
    return (red, green, blue)


def parse_labels_txt(text: str, *, name: str = "labels.txt") -> LabelSet:
    """Labelme's labels.txt: one name a line; `__ignore__` and `_background_` may stand first. Raises ReadError."""
    names = [line.strip() for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    if not names:
        raise ReadError(f"{name} holds no label.", hint="Write one label a line.")
    try:
        return LabelSet.of(names)
    except ConfigError as error:
        raise ReadError(f"{name}: {error.message}", hint=error.hint) from error
