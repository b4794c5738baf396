"""Folds for cross-validation: each picture validates once, pictures of one group together."""

import random
from collections.abc import Iterable, Mapping

from core.errors import ConfigError
from core.files import natural_key
from core.project.split import SEED, Part


def folds_of(names: Iterable[str], groups: Mapping[str, str], k: int, seed: int = SEED) -> list[dict[str, Part]]:
    """k assignments of all `names` to "train" or "val"; each name is "val" in exactly one of them.

    groups: name -> group, as in Split, for those that have one. The folds are as equal as whole groups allow: the
    largest groups go first, each to the fold with the fewest pictures. The same for the same names, groups and seed, in
    whatever order they come. Raises ConfigError for k below 2, or above the number of groups.
    """
    if k < 2:
        raise ConfigError(f"{k} folds are not possible.", hint="Choose 2 at least; 5 is common.")
    members: dict[str, list[str]] = {}
    for name in sorted(set(names), key=natural_key):
        members.setdefault(groups.get(name, name), []).append(name)
    if len(members) < k:
        raise ConfigError(
            f"{k} folds need as many groups of pictures, and there are {len(members)}.",
            hint="Pages of one stack stay together. Choose fewer folds, or label more pictures.",
        )
    order = list(members.values())
    random.Random(seed).shuffle(order)
    order.sort(key=len, reverse=True)  # stable: groups of one size stay shuffled
    folds: list[list[str]] = [[] for _ in range(k)]
    for group in order:
        min(folds, key=len).extend(group)
    return [_assignment(folds, number) for number in range(k)]


def _assignment(folds: list[list[str]], validates: int) -> dict[str, Part]:
    parts: dict[str, Part] = {
        name: "val" if number == validates else "train" for number, fold in enumerate(folds) for name in fold
    }
    return {name: parts[name] for name in sorted(parts, key=natural_key)}
