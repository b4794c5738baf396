"""Which Samples train and which validate: stored, seeded, by group, never drawn again.

A Sample that was assigned once stays where it is, so a later model can be compared with an earlier one on pictures that
neither has seen. Samples of one group (pages of a stack, pictures of one stem) stay together.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from core.errors import ReadError
from core.files import locked, natural_key, read_json, write_json

if TYPE_CHECKING:
    from core.project.project import Project

Part = Literal["train", "val", "test"]
VALIDATION_SHARE: Final = 0.2
SEED: Final = 12345


@dataclass(frozen=True)
class Split:
    """assignments: Sample -> part. groups: Sample -> group, for those that have one."""

    assignments: Mapping[str, Part] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    seed: int = SEED

    def part(self, name: Part) -> list[str]:
        return sorted((sample for sample, part in self.assignments.items() if part == name), key=natural_key)

    @property
    def train(self) -> list[str]:
        return self.part("train")

    @property
    def val(self) -> list[str]:
        return self.part("val")

    @property
    def test(self) -> list[str]:
        return self.part("test")

    def group_of(self, sample: str) -> str:
        return self.groups.get(sample, sample)

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "assignments": dict(self.assignments), "groups": dict(self.groups)}


def read_split(folder: Path) -> Split:
    """The Split stored in a Project's or a Run's folder; an empty one when there is none."""
    path = folder / "split.json"
    if not path.exists():
        return Split()
    value = read_json(path)
    try:
        return Split(dict(value["assignments"]), dict(value["groups"]), int(value["seed"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"split.json in {folder} is damaged.", hint="Restore it, or delete it to draw anew.") from error


def set_groups(folder: Path, groups: Mapping[str, str]) -> None:
    """Remember the group of each of some Samples. The caller holds the Project's lock."""
    if groups:
        split = read_split(folder)
        write_json(folder / "split.json", Split(split.assignments, {**split.groups, **groups}, split.seed).to_json())


def ensure_split(project: "Project", names: Iterable[str], classes: Mapping[str, set[int]] | None = None) -> Split:
    """The stored Split, with those of `names` that have no place yet assigned and saved.

    classes: the class ids that each Sample shows; validation pictures are chosen so that they show all, where possible.
    """
    names = sorted(set(names), key=natural_key)
    with locked(project.folder / ".lock"):
        split = read_split(project.folder)
        assignments = assign(names, split, classes or {})
        if assignments != dict(split.assignments):
            split = Split(assignments, split.groups, split.seed)
            write_json(project.folder / "split.json", split.to_json())
    return split


def adopt_parts(project: "Project", parts: Mapping[str, Part]) -> int:
    """Put Samples that have no place yet where their data set had them; how many had another place and keep it.

    Groups stay together: a Sample whose group is in a part already goes there.
    """
    if not parts:
        return 0
    with locked(project.folder / ".lock"):
        split = read_split(project.folder)
        assignments = dict(split.assignments)
        part_of_group = {split.group_of(sample): part for sample, part in assignments.items()}
        for sample, part in parts.items():
            assignments.setdefault(sample, part_of_group.setdefault(split.group_of(sample), part))
        if assignments != dict(split.assignments):
            write_json(project.folder / "split.json", Split(assignments, split.groups, split.seed).to_json())
    return sum(assignments[sample] != part for sample, part in parts.items())


def assign(names: list[str], split: Split, classes: Mapping[str, set[int]]) -> dict[str, Part]:
    """All assignments of `split` and, added to them, those of the new `names`."""
    assignments: dict[str, Part] = dict(split.assignments)
    part_of_group = {split.group_of(sample): part for sample, part in assignments.items()}
    new: dict[str, list[str]] = {}
    for name in names:
        if name in assignments:
            continue
        group = split.group_of(name)
        if group in part_of_group:
            assignments[name] = part_of_group[group]
        else:
            new.setdefault(group, []).append(name)

    in_use = [name for name in names if name in assignments]
    val = [name for name in in_use if assignments[name] == "val"]
    total = len(in_use) + sum(len(group) for group in new.values())
    groups_in_all = len({split.group_of(name) for name in names})
    wanted = max(1, round(VALIDATION_SHARE * total)) if groups_in_all > 1 else 0
    has_training = any(assignments[name] == "train" for name in in_use)

    order = list(new)
    random.Random(f"{split.seed}-{len(assignments)}").shuffle(order)
    shown = set().union(*(classes.get(name, set()) for name in val)) if val else set()
    shows = {group: _classes(members, classes) for group, members in new.items()}
    missing = set().union(*shows.values()) - shown
    while order and len(val) < wanted and (has_training or len(order) > 1):
        room = wanted - len(val)
        fitting = [group for group in order if len(new[group]) <= room] or [min(order, key=lambda g: len(new[g]))]
        best = (
            max(fitting, key=lambda group: len(shows[group] & missing)) if missing else fitting[0]
        )  # the first of equals
        if len(new[best]) > room and val:
            break  # the smallest group is too large: a little less validation rather than much more
        order.remove(best)
        missing -= shows[best]
        val += new[best]
        assignments.update(dict.fromkeys(new[best], "val"))
    for group in order:
        assignments.update(dict.fromkeys(new[group], "train"))
    return assignments


def _classes(names: list[str], classes: Mapping[str, set[int]]) -> set[int]:
    return set().union(*(classes.get(name, set()) for name in names))
