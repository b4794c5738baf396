"""Words on pages that two things must not share."""

from pages.ui.words import told_apart


def test_things_of_one_name_are_told_apart_by_their_keys() -> None:
    assert told_apart({"a": "Coins", "b": "Towns", "c": "Coins"}) == {"a": "Coins (a)", "b": "Towns", "c": "Coins (c)"}
