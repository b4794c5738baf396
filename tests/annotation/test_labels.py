import pytest

from core.annotation.labels import BACKGROUND, IGNORE, IGNORE_ID, LabelSet, color_of, parse_color, parse_labels_txt
from core.errors import ConfigError, ReadError


def test_background_is_zero_and_the_others_count_on() -> None:
    labels = LabelSet.of(["wall", "crack"])
    assert labels.names == (BACKGROUND, "wall", "crack")
    assert [labels.id_of(name) for name in labels.names] == [0, 1, 2]
    assert labels.id_of(IGNORE) == IGNORE_ID


def test_an_unknown_name_has_no_id() -> None:
    with pytest.raises(KeyError):
        LabelSet.of(["wall"]).id_of("dirt")


def test_new_names_come_at_the_end_and_known_ones_stay() -> None:
    labels = LabelSet.of(["wall"])
    assert labels.with_names(["crack", "wall", IGNORE, "crack"]).names == (BACKGROUND, "wall", "crack")


def test_ids_do_not_depend_on_what_comes_later() -> None:
    labels = LabelSet.of(["wall", "crack"])
    assert labels.with_names(["dirt"]).labels[:3] == labels.labels


@pytest.mark.parametrize("name", ["", " wall", "wall\n", "a\tb"])
def test_a_name_that_would_break_a_list_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a label"):
        LabelSet.of([name])


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="there twice"):
        LabelSet.of(["wall", "wall"])


def test_more_labels_than_ids_are_refused() -> None:
    with pytest.raises(ConfigError, match="too many"):
        LabelSet.of(f"l{i}" for i in range(250))


def test_json_keeps_names_and_colours() -> None:
    labels = LabelSet.of(["wall", "裂缝"])
    assert LabelSet.from_json(labels.to_json()) == labels


def test_the_first_thirty_colours_differ() -> None:
    assert len({color_of(class_id) for class_id in range(30)}) == 30


@pytest.mark.parametrize("text", ["", "#12345", "red", "#gg0000"])
def test_what_is_not_a_colour_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a colour"):
        parse_color(text)


def test_labels_txt_may_begin_with_labelmes_own_names() -> None:
    labels = parse_labels_txt("\ufeff__ignore__\n_background_\r\nwall\n\n  crack \n")
    assert labels.names == (BACKGROUND, "wall", "crack")


@pytest.mark.parametrize(("text", "message"), [("\n", "holds no label"), ("a\na\n", "there twice")])
def test_a_labels_txt_that_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReadError, match=message):
        parse_labels_txt(text)
