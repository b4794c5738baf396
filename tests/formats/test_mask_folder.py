import pytest

from core.errors import ReadError
from core.formats import detect
from core.formats.mask_folder import MaskPairs, pair_masks
from core.formats.source import Source, source_of_uploads
from tests.samples import picture


def of(*names: str) -> Source:
    return source_of_uploads([(name, picture(seed)) for seed, name in enumerate(names)])


def pairs(found: MaskPairs) -> list[tuple[str, str]]:
    return [(pair.image.name, pair.mask.name) for pair in found.pairs]


def test_pictures_and_masks_of_equal_stems_in_two_folders() -> None:
    found = pair_masks(of("images/a.jpg", "images/b.jpg", "masks/a.png", "masks/c.png", "preview.png"))
    assert pairs(found) == [("images/a.jpg", "masks/a.png")]
    assert [file.name for file in found.images_alone] == ["images/b.jpg"]
    assert [file.name for file in found.masks_alone] == ["masks/c.png"]


def test_equal_names_in_several_parts_stay_in_their_part() -> None:
    found = pair_masks(of("train/images/1.png", "train/masks/1.png", "val/images/1.png", "val/masks/1.png"))
    assert sorted(pairs(found)) == [
        ("train/images/1.png", "train/masks/1.png"),
        ("val/images/1.png", "val/masks/1.png"),
    ]


def test_of_several_folders_of_masks_the_first_kind_is_taken() -> None:
    found = pair_masks(of("images/a.png", "masks/a.png", "instances/a.png", "masks_2nd/a.png"))
    assert pairs(found) == [("images/a.png", "masks/a.png")]
    assert [file.name for file in found.left_out] == ["instances/a.png", "masks_2nd/a.png"]


def test_endings_are_doubtful_and_paired_when_unique() -> None:
    found = pair_masks(of("images/a.png", "masks/a_mask.png", "images/b.png", "masks/b-label.png", "masks/b_gt.png"))
    assert pairs(found) == [("images/a.png", "masks/a_mask.png")]
    assert "ending" in found.pairs[0].doubtful
    assert len(found.masks_alone) == 2


def test_masks_beside_their_pictures_in_one_folder() -> None:
    found = pair_masks(of("a.png", "a_mask.png", "b.png"))
    assert pairs(found) == [("a.png", "a_mask.png")]
    assert [file.name for file in found.images_alone] == ["b.png"]


def test_pictures_from_elsewhere() -> None:
    found = pair_masks(of("a.png", "b.png"), of("deep/a.jpg"))
    assert pairs(found) == [("deep/a.jpg", "a.png")]
    assert [file.name for file in found.masks_alone] == ["b.png"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("images/a.png", "masks/a.png"), "masks"), (("a.png", "b.png"), "images"), (("a.png", "a_mask.png"), "masks")],
)
def test_the_format_is_known_by_content(names: tuple[str, ...], expected: str) -> None:
    assert detect(of(*names)) == expected


def test_labelme_files_come_before_masks() -> None:
    labelme = b'{"shapes": [], "imagePath": "a.png"}'
    source = source_of_uploads([("a.json", labelme), ("images/a.png", picture(1)), ("masks/a.png", picture(2))])
    assert detect(source) == "labelme"
    other = source_of_uploads([("a.json", b"{}"), ("images/a.png", picture(1)), ("masks/a.png", picture(2))])
    assert detect(other) == "masks"


def test_a_source_without_pictures_is_one_sentence() -> None:
    with pytest.raises(ReadError, match=r"notes\.txt holds no picture and no labels"):
        detect(source_of_uploads([("notes.txt", b"hello")]))
