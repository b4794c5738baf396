"""The Split: stored, by group, never drawn again."""

from hypothesis import given
from hypothesis import strategies as st

from core.project.project import Project
from core.project.split import Split, assign, ensure_split, read_split, set_groups

NAMES = [f"s{i}" for i in range(10)]


def test_a_fifth_of_the_pictures_validates() -> None:
    parts = assign(NAMES, Split(), {})
    assert sorted(parts) == sorted(NAMES)
    assert sum(part == "val" for part in parts.values()) == 2


def test_a_single_picture_trains() -> None:
    assert assign(["a"], Split(), {}) == {"a": "train"}


def test_two_pictures_are_one_for_each_part() -> None:
    assert sorted(assign(["a", "b"], Split(), {}).values()) == ["train", "val"]


def test_what_was_assigned_stays(project: Project) -> None:
    first = ensure_split(project, NAMES[:5])
    second = ensure_split(project, NAMES)
    assert {name: second.assignments[name] for name in NAMES[:5]} == first.assignments
    assert read_split(project.folder) == second
    assert ensure_split(project, NAMES) == second


def test_validation_shows_every_class_where_it_can() -> None:
    classes = {name: {1} for name in NAMES} | {"s3": {1, 2}, "s7": {1, 2}}
    parts = assign(NAMES, Split(), classes)
    assert "val" in (parts["s3"], parts["s7"])


def test_two_labelled_pages_of_one_stack_never_leak(project: Project) -> None:
    set_groups(project.folder, dict.fromkeys(NAMES[:4], "stack"))
    split = ensure_split(project, NAMES)
    assert len({split.assignments[name] for name in NAMES[:4]}) == 1


@given(
    st.dictionaries(st.sampled_from([f"s{i}" for i in range(12)]), st.sampled_from("abcdef"), max_size=12),
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
)
def test_groups_stay_together_however_pictures_arrive(groups: dict[str, str], arrivals: list[int]) -> None:
    split = Split({}, groups)
    for count in sorted(arrivals):
        names = [f"s{i}" for i in range(count)]
        split = Split(assign(names, split, {}), groups)
        assert set(names) <= set(split.assignments)
    part_of: dict[str, set[str]] = {}
    for name, part in split.assignments.items():
        part_of.setdefault(split.group_of(name), set()).add(part)
    assert all(len(parts) == 1 for parts in part_of.values())
    assert "train" in split.assignments.values()
