"""Folds: each picture validates once, groups stay together, sizes are balanced."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from core.errors import ConfigError
from core.project.folds import folds_of
from core.project.split import Part

NAMES = [f"s{i}" for i in range(30)]
GROUPED = st.dictionaries(st.sampled_from(NAMES), st.sampled_from("abcdefgh"), max_size=30)


def validating(fold: dict[str, Part]) -> list[str]:
    return [name for name, part in fold.items() if part == "val"]


@given(GROUPED, st.integers(0, 30), st.integers(2, 7), st.integers(0, 99))
def test_each_picture_validates_once_and_groups_stay_together(
    groups: dict[str, str], count: int, k: int, seed: int
) -> None:
    names = NAMES[:count]
    kinds = {groups.get(name, name) for name in names}
    assume(len(kinds) >= k)
    folds = folds_of(names, groups, k, seed)
    assert len(folds) == k
    assert sorted(name for fold in folds for name in validating(fold)) == sorted(names)
    for fold in folds:
        assert set(fold) == set(names)
        assert validating(fold)
        validate = {groups.get(name, name) for name in validating(fold)}
        assert not validate & {groups.get(name, name) for name, part in fold.items() if part == "train"}


@given(GROUPED, st.integers(2, 6), st.integers(0, 99))
def test_folds_are_as_balanced_as_those_of_scikit_learn(groups: dict[str, str], k: int, seed: int) -> None:
    kinds = [groups.get(name, name) for name in NAMES]
    assume(len(set(kinds)) >= k)
    mine = sorted(len(validating(fold)) for fold in folds_of(NAMES, groups, k, seed))
    theirs = sorted(len(test) for _, test in GroupKFold(k).split(NAMES, groups=kinds))
    assert mine == theirs


@given(st.integers(2, 10), st.integers(0, 99))
def test_without_groups_sizes_differ_by_one_at_most(k: int, seed: int) -> None:
    sizes = [len(validating(fold)) for fold in folds_of(NAMES, {}, k, seed)]
    assert max(sizes) - min(sizes) <= 1


def test_the_order_of_the_names_changes_nothing() -> None:
    mixed = random.Random(1).sample(NAMES, len(NAMES))
    assert folds_of(mixed + mixed[:3], {}, 5, 7) == folds_of(NAMES, {}, 5, 7)
    assert list(folds_of(mixed, {}, 5, 7)[0]) == NAMES


def test_another_seed_gives_other_folds() -> None:
    assert folds_of(NAMES, {}, 5, 7) != folds_of(NAMES, {}, 5, 8)


@pytest.mark.parametrize("k", [-1, 0, 1, 31])
def test_folds_that_cannot_be_are_refused(k: int) -> None:
    with pytest.raises(ConfigError, match="folds"):
        folds_of(NAMES, {}, k)


def test_one_stack_makes_no_folds() -> None:
    with pytest.raises(ConfigError, match="2 folds need as many groups of pictures, and there are 1") as caught:
        folds_of(NAMES, dict.fromkeys(NAMES, "stack"), 2)
    assert "stack" in caught.value.hint
