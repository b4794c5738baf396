import numpy as np
import pytest

from core.annotation.labels import IGNORE_ID, LabelSet
from core.errors import ReadError
from core.formats.class_table import ClassTable, pack, read_class_table, write_class_table
from core.formats.mask_coding import detect_coding
from core.formats.mask_png import MaskCoding, RawMask, decode_mask

NONE = LabelSet.of(())
ONE = LabelSet.of(["cell"])
TWO = LabelSet.of(["wall", "crack"])
RED, GREEN, ORANGE, BLUE = pack(255, 0, 0), pack(0, 255, 0), pack(230, 159, 0), pack(86, 180, 233)


def raw(*values: int, coloured: bool = False, lossy: bool = False, repeat: int = 1) -> RawMask:
    """One row of pixels. repeat: how often the row is there, apart, so that each value is several objects."""
    row = np.array(list(values) * repeat, dtype=np.uint32)
    codes = row.astype(np.uint8) if max(values) < 256 else row
    return RawMask("m.png", codes[None], coloured, lossy)


def decoded(mask: RawMask, labels: LabelSet, table: ClassTable | None = None) -> tuple[list[int], MaskCoding]:
    coding = detect_coding([mask], labels, table)
    return decode_mask(mask, coding)[0].tolist(), coding


def notes(coding: MaskCoding) -> str:
    return " | ".join(note.text for note in coding.notes)


def test_class_ids_are_named_by_the_labels_in_order() -> None:
    ids, coding = decoded(raw(0, 1, 2), TWO)
    assert ids == [0, 1, 2]
    assert (coding.kind, coding.labels, coding.notes) == ("indexed", TWO, ())


def test_all_masks_of_a_set_are_looked_at_together() -> None:
    coding = detect_coding([raw(0, 255), raw(0, 1, 2)], TWO)
    assert coding.kind == "indexed"
    assert decode_mask(raw(0, 255), coding)[0].tolist() == [0, IGNORE_ID]


def test_255_beside_other_ids_means_not_labelled_and_is_said() -> None:
    ids, coding = decoded(raw(0, 1, 255), ONE)
    assert ids == [0, 1, IGNORE_ID]
    assert "255 was read as not labelled" in notes(coding)


@pytest.mark.parametrize("white", [255, 200, 128])
def test_black_and_white_is_background_and_the_first_label(white: int) -> None:
    ids, coding = decoded(raw(0, white), ONE)
    assert ids == [0, 1]
    assert coding.kind == "binary"
    assert f"only 0 and {white}, which was read as 'cell'" in notes(coding)


def test_without_labels_the_classes_are_called_after_their_ids() -> None:
    ids, coding = decoded(raw(0, 1, 3, repeat=2), NONE)
    assert [coding.labels.names[i] for i in ids[:3]] == ["_background_", "class_1", "class_3"]


def test_an_id_beyond_the_labels_gets_a_label_of_its_own() -> None:
    ids, coding = decoded(raw(0, 1, 2, 3), TWO)
    assert ids == [0, 1, 2, 3]
    assert coding.labels.names[3] == "class_3"


@pytest.mark.parametrize(
    ("values", "labels"), [((0, 127, 255), TWO), ((0, 128, 255), TWO), ((0, 85, 170, 255), LabelSet.of("abc"))]
)
def test_evenly_spaced_greys_are_classes(values: tuple[int, ...], labels: LabelSet) -> None:
    ids, coding = decoded(raw(*values), labels)
    assert ids == list(range(len(values)))
    assert coding.kind == "scaled"
    assert "evenly spaced greys" in notes(coding)


def test_a_grey_level_that_no_mask_shows_leaves_a_gap() -> None:
    ids, _ = decoded(raw(0, 85, 255), LabelSet.of("abc"))
    assert ids == [0, 1, 3]


def test_object_numbers_are_one_class_only_when_there_is_one_label() -> None:
    ids, coding = decoded(raw(0, 1, 2, 3, 4, 5), ONE)
    assert ids == [0, 1, 1, 1, 1, 1]
    assert coding.kind == "objects"
    assert "look like object numbers" in notes(coding)
    assert decode_mask(raw(0, 99), coding)[0].tolist() == [0, 1]


def test_object_numbers_of_16_bits() -> None:
    ids, coding = decoded(raw(0, 700, 900, 65000, repeat=2), ONE)
    assert set(ids) == {0, 1}
    assert coding.kind == "objects"


def test_many_values_without_one_label_cannot_be_known() -> None:
    with pytest.raises(ReadError, match="too many for classes") as error:
        detect_coding([raw(*range(60))], TWO)
    assert "one label" in error.value.hint


def test_soft_edges_are_cut_in_the_middle_and_said() -> None:
    mask = raw(*[0] * 60, 40, 90, 130, 222, *[255] * 60)
    ids, coding = decoded(mask, ONE)
    assert ids == [0] * 62 + [1] * 62
    assert "soft edges" in notes(coding)


def test_jpeg_masks_of_two_values_are_cut_in_the_middle() -> None:
    ids, coding = decoded(raw(*[0, 1, 3] * 10, 99, *[255, 252] * 10, lossy=True), ONE)
    assert ids == [0] * 31 + [1] * 20
    assert "JPEG" in notes(coding)


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (0, 100, 180, 255), (0, 12, 30)])
def test_jpeg_masks_of_class_ids_are_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(ReadError, match="JPEG has blurred"):
        detect_coding([raw(*values, lossy=True)], TWO)


def test_masks_without_anything_drawn_are_background() -> None:
    assert decoded(raw(0, 0), NONE)[0] == [0, 0]


# ------------------------------------------------------------------------------------------------------- class table


def test_a_class_table_names_the_ids_of_a_project_without_labels() -> None:
    table = ClassTable({0: "background", 1: "grain", 2: "clay", 3: "ore"})
    ids, coding = decoded(raw(0, 1, 3), NONE, table)
    assert coding.labels.names == ("_background_", "grain", "clay", "ore")
    assert ids == [0, 1, 3]


def test_names_that_the_project_knows_win_over_the_order() -> None:
    ids, _ = decoded(raw(0, 1, 2), TWO, ClassTable({1: "crack", 2: "wall"}))
    assert ids == [0, 2, 1]


def test_names_that_the_project_does_not_know_give_way_to_its_order_and_it_is_said() -> None:
    ids, coding = decoded(raw(0, 1), TWO, ClassTable({1: "fissure"}))
    assert ids == [0, 1]
    assert "'fissure' in the class table and 'wall' here" in notes(coding)


def test_void_in_a_class_table_is_not_labelled() -> None:
    ids, coding = decoded(raw(0, 1, 2), NONE, ClassTable({0: "unlabelled", 1: "wall", 2: "void"}))
    assert ids == [0, 1, IGNORE_ID]
    assert "value 2 (void) was read as not labelled" in notes(coding)
    assert "value 0 (unlabelled) was read as background" in notes(coding)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("classes.csv", "\ufeffindex,name\n0,background\n1,wall\n"),
        ("classes.csv", "Id;Class\n0;background\n1;wall\n"),
        ("classes.json", '{"0": "background", "1": "wall"}'),
        ("classes.json", '[{"index": 0, "name": "background"}, {"index": 1, "name": "wall"}]'),
    ],
)
def test_class_tables_of_several_kinds(name: str, data: str) -> None:
    assert read_class_table(data.encode(), name=name).names == {0: "background", 1: "wall"}


def test_labels_txt_counts_its_names() -> None:
    data = b"__ignore__\n_background_\nwall\ncrack\n"
    assert read_class_table(data, name="labels.txt").names == {0: "_background_", 1: "wall", 2: "crack"}


@pytest.mark.parametrize(
    "data", ["name,r,g,b\nblack,0,0,0\nwall,255,0,0\n", "name,color\nblack,#000000\nwall,#ff0000\n"]
)
def test_class_tables_may_name_colours(data: str) -> None:
    assert read_class_table(data.encode(), name="class_dict.csv").colors == {0: "black", RED: "wall"}


@pytest.mark.parametrize("data", [b"", b"index,name\n1,\n", b"name\nwall\n", b"index,name\nx,wall\n", b"\xff\xff"])
def test_a_class_table_that_cannot_be_used_is_one_sentence(data: bytes) -> None:
    if data == b"":
        assert read_class_table(data, name="classes.csv") == ClassTable()
    else:
        with pytest.raises(ReadError, match=r"classes\.csv cannot be used"):
            read_class_table(data, name="classes.csv")


def test_a_written_class_table_reads_back() -> None:
    table = read_class_table(write_class_table(TWO), name="classes.json")
    assert table.names == {0: "_background_", 1: "wall", 2: "crack"}
    assert table.colors[ORANGE] == "wall"


# ----------------------------------------------------------------------------------------------------------- colours


def test_colours_of_a_class_table() -> None:
    table = ClassTable({}, {0: "background", RED: "wall", GREEN: "void"})
    ids, coding = decoded(raw(0, RED, GREEN, coloured=True), NONE, table)
    assert ids == [0, 1, IGNORE_ID]
    assert coding.labels.names == ("_background_", "wall")


def test_colours_of_the_projects_own_labels() -> None:
    ids, coding = decoded(raw(0, BLUE, ORANGE, pack(128, 128, 128), coloured=True), TWO)
    assert ids == [0, 2, 1, IGNORE_ID]
    assert not coding.notes


def test_colours_of_pascal_voc() -> None:
    ids, coding = decoded(raw(0, pack(0, 128, 0), pack(128, 0, 0), pack(224, 224, 192), coloured=True), TWO)
    assert ids == [0, 2, 1, IGNORE_ID]
    assert "Pascal VOC" in notes(coding)


def test_one_colour_is_the_first_label() -> None:
    ids, coding = decoded(raw(0, RED, coloured=True), TWO)
    assert ids == [0, 1]
    assert "one colour, #ff0000, which was read as 'wall'" in notes(coding)


def test_unknown_colours_become_labels_of_a_project_that_has_none() -> None:
    ids, coding = decoded(raw(0, RED, GREEN, coloured=True), NONE)
    assert [coding.labels.names[i] for i in ids] == ["_background_", "color_ff0000", "color_00ff00"]


def test_unknown_colours_beside_labels_cannot_be_known_and_are_listed() -> None:
    with pytest.raises(ReadError, match="colours without a name: #ff0000, #00ff00") as error:
        detect_coding([raw(0, RED, RED, GREEN, coloured=True)], TWO)
    assert "classes.csv" in error.value.hint


def test_blended_pixels_between_known_colours_are_not_labelled() -> None:
    mask = raw(*[0] * 40, *[BLUE] * 40, *[ORANGE] * 40, pack(100, 100, 50), pack(9, 99, 50), coloured=True)
    ids, coding = decoded(mask, TWO)
    assert ids[-2:] == [IGNORE_ID, IGNORE_ID]
    assert ids[-3] == 1
    assert "not labelled" in notes(coding)


def test_jpeg_colours_are_refused() -> None:
    with pytest.raises(ReadError, match="JPEG has blurred the colours"):
        detect_coding([raw(0, RED, coloured=True, lossy=True)], TWO)


def test_a_class_name_with_half_a_letter_pair_can_be_kept() -> None:
    assert read_class_table(b'{"1": "a\\ud800"}', name="classes.json").names == {1: "a"}
