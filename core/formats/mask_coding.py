"""What the values of a whole set of mask pictures mean. Never guessed in silence: a note says what was assumed, and
where it cannot be known a ReadError says what would help."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from core.annotation.labels import BACKGROUND, IGNORE, IGNORE_ID, MAX_LABELS, LabelSet
from core.annotation.overlay import IGNORE_COLOR
from core.errors import ConfigError, ReadError
from core.formats.class_table import ClassTable, pack
from core.formats.mask_png import MaskCoding, MaskKind, MaskSummary, RawMask, summarise
from core.formats.note import Note

FEW: Final = 20  # more values than this are object numbers or soft edges, not classes
PURE_SHARE: Final = 0.9  # of the pixels of a mask with soft edges
_MIDDLE: Final = 128
_BRIGHT: Final = 100  # a single value from here on is "white", not a class id
_VOID_NAMES: Final = {"ignore", IGNORE, "void", "unlabelled", "unlabeled", "not labelled", "unknown"}
_SAVE_AS_PNG: Final = "Save the masks as PNG with class ids 0, 1, 2, ... as values."
_NAME_COLOURS: Final = "Put a classes.csv beside the masks, with the columns name and color (#rrggbb)."


@dataclass
class _Meaning:
    """A coding while it is being found: the name of each code's label."""

    kind: MaskKind
    names: dict[int, str]
    other: str | None = None
    notes: list[Note] = field(default_factory=list)

    def assume(self, text: str) -> "_Meaning":
        self.notes.append(Note("assumed", text))
        return self


def detect_coding(
    masks: Iterable[RawMask | MaskSummary], labels: LabelSet, table: ClassTable | None = None
) -> MaskCoding:
    """What the values of all `masks` together mean, in class ids of `labels` and the names that come new.

    table: the names that a classes.csv gives. Raises ReadError when it cannot be known, with what would help.
    """
    table = table or ClassTable()
    labels = _named_by_table(labels, table)
    summaries = [summarise(mask) if isinstance(mask, RawMask) else mask for mask in masks]
    coloured = any(summary.coloured for summary in summaries)
    totals: Counter[int] = Counter()
    for summary in summaries:
        for code, count in summary.counts.items():
            totals[code * 0x010101 if coloured and not summary.coloured else code] += count
    if coloured:
        if any(summary.lossy for summary in summaries):
            raise ReadError("JPEG has blurred the colours of the masks.", hint=_SAVE_AS_PNG)
        meaning = _colour_meaning(totals, labels, table)
    elif any(summary.lossy for summary in summaries):
        meaning = _lossy_meaning(totals, labels, table)
    else:
        meaning = _grey_meaning(totals, labels, table, all(summary.single_objects for summary in summaries))
    return _coding(meaning, labels, coloured)


def _named_by_table(labels: LabelSet, table: ClassTable) -> LabelSet:
    """A set without labels takes all those of the class table, in its order, also those that no mask here shows."""
    if labels.foreground:
        return labels
    names = [table.names[class_id] for class_id in sorted(table.names) if class_id != 0]
    return _wider(labels, (name for name in names if name.casefold() not in _VOID_NAMES))


def _wider(labels: LabelSet, names: Iterable[str]) -> LabelSet:
    try:
        return labels.with_names(name for name in names if name != BACKGROUND)
    except ConfigError as error:
        raise ReadError(f"The classes of the masks cannot be used: {error.message}", hint=error.hint) from error


def _coding(meaning: _Meaning, labels: LabelSet, coloured: bool) -> MaskCoding:
    wider = _wider(labels, meaning.names.values())
    table = {code: wider.id_of(name) for code, name in meaning.names.items()}
    other = None if meaning.other is None else wider.id_of(meaning.other)
    return MaskCoding(meaning.kind, table, wider, coloured, other, tuple(meaning.notes))


# ------------------------------------------------------------------------------------------------------- grey values


def _grey_meaning(totals: Mapping[int, int], labels: LabelSet, table: ClassTable, single_objects: bool) -> _Meaning:
    values = sorted(set(totals) - {0})
    ids = [value for value in values if value != IGNORE_ID]
    known = len(labels.foreground)
    if not values:
        return _Meaning("indexed", {0: BACKGROUND})
    if ids and all(value in table.names for value in ids):
        return _indexed(values, labels, table)
    if len(values) == 1 and (values[0] >= _BRIGHT or (known == 1 and values[0] != 1)):
        return _binary(values, labels, table).assume(
            f"the masks hold only 0 and {values[0]}, which was read as {_first_name(labels, table)!r}"
        )
    if ids and max(ids) <= known:
        return _indexed(values, labels, table)
    if (known == 1 or len(values) > FEW) and _share(totals, (0, IGNORE_ID)) >= PURE_SHARE and totals.get(IGNORE_ID):
        return _soft(labels, table, "the masks have soft edges")
    levels = _levels(values, known)
    if levels:
        return _scaled(levels, labels, table)
    if known == 1 and single_objects:
        return _objects(labels)
    if len(ids) <= FEW and max(ids) < MAX_LABELS:
        return _indexed(values, labels, table)
    if known == 1:
        return _objects(labels)
    raise ReadError(
        f"The masks hold {len(values)} values up to {max(values)}, too many for classes.",
        hint="If they number objects, use a project with one label. Else put a classes.csv beside them.",
    )


def _indexed(values: list[int], labels: LabelSet, table: ClassTable) -> _Meaning:
    """Values are class ids: named by the labels in order, or by classes.csv when that shares names with them."""
    meaning = _Meaning("indexed", {0: BACKGROUND})
    by_name = any(table.names.get(value) in labels for value in values)
    for value in values:
        given = table.names.get(value)
        if value == IGNORE_ID and given is None:
            meaning.names[value] = IGNORE
            meaning.assume("the value 255 was read as not labelled")
        elif given is not None and given.casefold() in _VOID_NAMES:
            meaning.names[value] = IGNORE
            meaning.assume(f"the value {value} ({given}) was read as not labelled")
        elif value < len(labels) and not (by_name and given):
            meaning.names[value] = labels.names[value]
            if given and given != labels.names[value]:
                meaning.assume(f"the value {value} is {given!r} in the class table and {labels.names[value]!r} here")
        else:
            meaning.names[value] = given or f"class_{value}"
    zero = table.names.get(0, "")
    if zero.casefold() in _VOID_NAMES:
        meaning.assume(f"the value 0 ({zero}) was read as background")
    return meaning


def _binary(values: list[int], labels: LabelSet, table: ClassTable) -> _Meaning:
    return _Meaning("binary", {0: BACKGROUND, **dict.fromkeys(values, _first_name(labels, table))})


def _soft(labels: LabelSet, table: ClassTable, seen: str) -> _Meaning:
    """Dark is background, bright is the first label."""
    name = _first_name(labels, table)
    meaning = _Meaning("binary", {value: BACKGROUND if value < _MIDDLE else name for value in range(256)})
    return meaning.assume(f"{seen}; values from {_MIDDLE} on were read as {name!r}")


def _lossy_meaning(totals: Mapping[int, int], labels: LabelSet, table: ClassTable) -> _Meaning:
    pure = [value for value in totals if value < 32 or value >= 224]
    if 0 < max(totals) < 224 or _share(totals, pure) < PURE_SHARE:
        raise ReadError("JPEG has blurred the values of the masks.", hint=_SAVE_AS_PNG)
    return _soft(labels, table, "the masks are JPEG, which blurs their edges")


def _levels(values: list[int], known: int) -> dict[int, int]:
    """Value -> class id when the values are evenly spaced greys such as 127, 255; empty when they are not."""
    top = max(values)
    for count in (known, *range(len(values), FEW + 1)):
        step = top / count if count else 0.0
        if step >= 10 and all(abs(value - round(value / step) * step) <= 1 for value in values):
            return {value: round(value / step) for value in values}
    return {}


def _scaled(levels: Mapping[int, int], labels: LabelSet, table: ClassTable) -> _Meaning:
    by_id = _indexed(sorted(set(levels.values())), labels, table)
    names = {0: BACKGROUND, **{value: by_id.names[class_id] for value, class_id in levels.items()}}
    said = ", ".join(f"{value} as {names[value]!r}" for value in levels)
    return _Meaning("scaled", names, notes=by_id.notes).assume(f"the masks hold evenly spaced greys; read {said}")


def _objects(labels: LabelSet) -> _Meaning:
    name = labels.foreground[0].name
    meaning = _Meaning("objects", {0: BACKGROUND}, other=name)
    return meaning.assume(f"the values look like object numbers; each above 0 was read as {name!r}")


def _first_name(labels: LabelSet, table: ClassTable) -> str:
    return labels.foreground[0].name if labels.foreground else table.names.get(1, "class_1")


# ----------------------------------------------------------------------------------------------------------- colours


def _colour_meaning(totals: Mapping[int, int], labels: LabelSet, table: ClassTable) -> _Meaning:
    black = {0: BACKGROUND}
    void = {code: IGNORE if name.casefold() in _VOID_NAMES else name for code, name in table.colors.items()}
    own = {pack(*label.color): label.name for label in labels.labels}
    candidates: list[tuple[str, dict[int, str]]] = [
        ("", black | {code: BACKGROUND if name == "background" else name for code, name in void.items()}),
        ("", black | {pack(*IGNORE_COLOR): IGNORE} | own),
        ("the colours are those of Pascal VOC; each was read as its class id", _voc_names(labels, table)),
    ]
    for said, names in candidates:
        if len(names) > 1 and set(totals) <= set(names):
            meaning = _Meaning("coloured", {code: names[code] for code in totals})
            return meaning.assume(said) if said else meaning
    for said, names in candidates:
        if len(names) > 1 and len(set(totals) & set(names)) > 1 and _share(totals, names) >= PURE_SHARE:
            meaning = _Meaning("coloured", {code: names[code] for code in totals if code in names}, other=IGNORE)
            if said:
                meaning.assume(said)
            return meaning.assume("pixels between the colours of two classes count as not labelled")
    return _unknown_colours(totals, labels, table)


def _unknown_colours(totals: Mapping[int, int], labels: LabelSet, table: ClassTable) -> _Meaning:
    """Colours that no table names: one is the first label; several become labels called after their colours."""
    drawn = [code for code, _ in Counter(totals).most_common() if code != 0]
    if len(drawn) == 1:
        name = _first_name(labels, table)
        return _Meaning("coloured", {0: BACKGROUND, drawn[0]: name}).assume(
            f"the masks hold one colour, #{drawn[0]:06x}, which was read as {name!r}"
        )
    if labels.foreground or len(drawn) > FEW:
        shown = ", ".join(f"#{code:06x}" for code in drawn[:6])
        more = f" and {len(drawn) - 6} more" if len(drawn) > 6 else ""
        raise ReadError(f"The masks hold colours without a name: {shown}{more}.", hint=_NAME_COLOURS)
    meaning = _Meaning("coloured", {0: BACKGROUND, **{code: f"color_{code:06x}" for code in sorted(drawn)}})
    return meaning.assume("nothing names the colours of the masks; each became a label called after its colour")


def _voc_names(labels: LabelSet, table: ClassTable) -> dict[int, str]:
    """Packed colour -> name for the palette of Pascal VOC, as far as ids have a name."""
    count = max(len(labels) - 1, *table.names, 0) if len(labels) > 1 or table.names else FEW
    ids = list(range(1, min(count, MAX_LABELS - 1) + 1))
    names = _indexed(ids, labels, table).names if ids else {0: BACKGROUND}
    return {voc_color(class_id): name for class_id, name in names.items()} | {voc_color(IGNORE_ID): IGNORE}


def voc_color(class_id: int) -> int:
    """The colour of a class id in Pascal VOC's palette: its bits, dealt in turn to red, green and blue from the top."""
    red = green = blue = 0
    for place in range(7, -1, -1):
        red |= (class_id & 1) << place
        green |= (class_id >> 1 & 1) << place
        blue |= (class_id >> 2 & 1) << place
        class_id >>= 3
    return pack(red, green, blue)


def _share(totals: Mapping[int, int], codes: Iterable[int]) -> float:
    """The share of all pixels that `codes` have."""
    return sum(totals.get(code, 0) for code in codes) / max(sum(totals.values()), 1)
