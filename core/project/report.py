"""The data set in numbers, and what is wrong with it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from core.annotation.checks import FindingKind
from core.annotation.labels import IGNORE, IGNORE_ID, LabelSet
from core.images import MAX_PIXELS, ImageSize
from core.project.index import SampleRow
from core.project.sample import STATES
from core.project.split import Split

ProblemKind = Literal[
    "unreadable",
    "size_mismatch",
    "too_large",
    "leak",
    "unknown_label",
    "duplicate",
    "empty",
    "outside",
    "crossing",
    "few_points",
    "zero_area",
    "sliver",
    "partly_outside",
    "coarse",
    "unfinished",
    "review",
    "no_annotation",
]

# What core/annotation/checks.py finds: of one Shape, of several
_OF_SHAPES: Final[Mapping[FindingKind, tuple[str, str]]] = {
    "outside": ("lies outside of the picture", "lie outside of the picture"),
    "crossing": ("crosses itself", "cross themselves"),
    "few_points": ("has fewer than 3 different points", "have fewer than 3 different points"),
    "zero_area": ("has no area", "have no area"),
    "sliver": ("is thinner than a pixel", "are thinner than a pixel"),
    "partly_outside": ("reaches over the edge of the picture", "reach over the edge of the picture"),
    "coarse": ("has points too far apart where it is curved", "have points too far apart where they are curved"),
}


class Problem(NamedTuple):
    """One thing to look at, worst kinds first in a Report."""

    kind: ProblemKind
    sample: str
    text: str


@dataclass(frozen=True)
class Report:
    """Counts over the Samples of a Project. `pixels` and `objects` are by label name, over all annotated pictures."""

    pictures: int
    states: Mapping[str, int]  # todo, doing, review, done
    parts: Mapping[str, int]  # train, val, test: of the pictures that are done
    pixels: Mapping[str, int]
    objects: Mapping[str, int]
    pictures_with: Mapping[str, int]  # by label name: pictures that show it
    sizes: Mapping[ImageSize, int]
    problems: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "pictures": self.pictures,
            "states": dict(self.states),
            "split": dict(self.parts),
            "pixels": dict(self.pixels),
            "objects": dict(self.objects),
            "pictures_with": dict(self.pictures_with),
            "sizes": [{"height": s.height, "width": s.width, "pictures": n} for s, n in self.sizes.items()],
            "problems": [problem._asdict() for problem in self.problems],
        }


def make_report(rows: Sequence[SampleRow], split: Split, labels: LabelSet) -> Report:
    """The Report of all `rows`."""
    names = {**dict(enumerate(labels.names)), IGNORE_ID: IGNORE}
    pixels, objects, shown = Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        pixels.update({names[i]: count for i, count in row.pixels.items() if i in names})
        objects.update({names[i]: count for i, count in row.objects.items() if i in names})
        shown.update(names[i] for i in row.pixels if i in names)
    done = [row.name for row in rows if row.state == "done"]
    every = [*labels.names, *([IGNORE] if pixels[IGNORE] else [])]
    return Report(
        pictures=len(rows),
        states={state: sum(row.state == state for row in rows) for state in STATES},
        parts=dict(Counter(split.assignments[name] for name in done if name in split.assignments)),
        pixels={name: pixels[name] for name in every},
        objects={name: objects[name] for name in every[1:]},
        pictures_with={name: shown[name] for name in every},
        sizes=dict(Counter(row.size for row in rows if row.height).most_common()),
        problems=tuple(_problems(rows, split)),
    )


def usable(row: SampleRow) -> bool:
    """Whether a Sample can train or validate: done, readable, not too large, and drawn for a picture of this size."""
    fits = row.annotation_size == tuple(row.size) and row.size.pixels <= MAX_PIXELS
    return row.state == "done" and not row.error and fits


def _problems(rows: Sequence[SampleRow], split: Split) -> list[Problem]:
    found: list[Problem] = []
    by_digest: dict[str, list[SampleRow]] = {}
    for row in rows:
        if row.digest:
            by_digest.setdefault(row.digest, []).append(row)
        found += _problems_of(row)
    for twins in by_digest.values():
        found += _problems_of_twins(twins, split)
    order: tuple[str, ...] = ProblemKind.__args__  # type: ignore[attr-defined]
    return sorted(found, key=lambda problem: order.index(problem.kind))


def _problems_of(row: SampleRow) -> list[Problem]:
    if row.error:
        return [Problem("unreadable", row.name, row.error)]
    if row.state == "todo":
        return [Problem("no_annotation", row.name, "has no annotation yet")]
    found = []
    if row.annotation_size != tuple(row.size):
        drawn = ImageSize(*row.annotation_size) if row.annotation_size else None
        found.append(Problem("size_mismatch", row.name, f"was drawn for {drawn}, the picture has {row.size}"))
    if row.unknown_labels:
        names = ", ".join(row.unknown_labels)
        found.append(Problem("unknown_label", row.name, f"uses labels that the project does not have: {names}"))
    if row.size.pixels > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 1_000_000} megapixels"
        found.append(Problem("too_large", row.name, f"is {row.size}: pictures of more than {limit} do not train"))
    elif not any(class_id not in (0, IGNORE_ID) for class_id in row.pixels):
        found.append(Problem("empty", row.name, "has an annotation in which nothing is marked"))
    for kind, (one, several) in _OF_SHAPES.items():
        count = row.findings.get(kind, 0)
        if count == 1:
            found.append(Problem(kind, row.name, f"has 1 shape that {one}"))
        elif count:
            found.append(Problem(kind, row.name, f"has {count} shapes that {several}"))
    if row.state == "doing":
        found.append(Problem("unfinished", row.name, "is not finished, so it does not train"))
    if row.state == "review":
        found.append(Problem("review", row.name, "waits for a review, so it does not train"))
    return found


def _problems_of_twins(twins: list[SampleRow], split: Split) -> list[Problem]:
    if len(twins) < 2:
        return []
    first, *others = twins
    found = [Problem("duplicate", row.name, f"is the same picture as {first.name}") for row in others]
    parts = {split.assignments[row.name] for row in twins if row.name in split.assignments}
    if len(parts) > 1:
        text = f"is the same picture as {others[0].name}, and they are in {' and '.join(sorted(parts))}"
        found.append(Problem("leak", first.name, text))
    return found
