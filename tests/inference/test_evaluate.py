from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.annotation.labels import LabelSet
from core.errors import ReadError
from core.formats.mask_png import write_mask_png
from core.inference.evaluate import evaluate, pair_files, read_pairs
from core.networks.card import ModelCard, NetworkConfig


def card(*names: str) -> ModelCard:
    return ModelCard(NetworkConfig("unet", classes=1 + len(names), width=4, depth=2), LabelSet.of(names), window=64)


class Bright:
    """A backend that gives class 1 to bright pixels."""

    multiple_of = 4

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = np.zeros((len(batch), len(self.card.labels), *batch.shape[2:]), np.float32)
        logits[:, 1] = 100 * batch[:, 0]
        return logits


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    return tmp_path / "images", tmp_path / "masks"


def put(folders: tuple[Path, Path], stem: str, mask: NDArray[np.uint8], *, size: tuple[int, int] | None = None) -> None:
    """A picture that is bright in its left half, and `mask` as a grey PNG."""
    height, width = size or mask.shape
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = 250
    Image.fromarray(picture).save(folders[0] / f"{stem}.jpg", quality=100)
    Image.fromarray(mask).save(folders[1] / f"{stem}.png")


def left_half(value: int, *, rest: int = 0) -> NDArray[np.uint8]:
    mask = np.full((8, 16), rest, np.uint8)
    mask[:, :8] = value
    return mask


def masks_of(folders: tuple[Path, Path], *names: str) -> list[NDArray[np.uint8]]:
    return [mask for _, mask in read_pairs(pair_files(*folders), card(*names))]


def test_a_perfect_prediction_has_iou_one(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(1))
    put(folders, "b", left_half(1))
    done: list[int] = []
    pairs = read_pairs(pair_files(*folders), card("crack"))
    scores = evaluate(Bright(card("crack")), pairs, names=["a"], progress=done.append)
    assert scores.matrix.iou() == [1, 1]
    assert scores.matrix.counts.sum() == 2 * 8 * 16
    assert [picture.name for picture in scores.pictures] == ["a", "2"]
    assert done == [1, 2]


def test_files_pair_by_stem_in_natural_order_and_the_rest_is_listed(folders: tuple[Path, Path]) -> None:
    for stem in ("slice10", "slice2"):
        put(folders, stem, left_half(1))
    (folders[0] / "alone.png").touch()
    (folders[1] / "other.png").touch()
    (folders[1] / "notes.txt").touch()
    pairs = pair_files(*folders)
    assert [pair.image.name for pair in pairs] == ["slice2.jpg", "slice10.jpg"]
    assert [path.name for path in pairs.unmatched] == ["alone.png", "other.png"]


def test_two_files_are_one_pair(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(1))
    assert len(pair_files(folders[0] / "a.jpg", folders[1] / "a.png")) == 1


def test_nothing_that_pairs_is_told(folders: tuple[Path, Path]) -> None:
    (folders[0] / "a.png").touch()
    with pytest.raises(ReadError, match="None of the 1 pictures"):
        pair_files(*folders)


def test_two_files_of_one_stem_are_told(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(1))
    (folders[0] / "a.png").touch()
    with pytest.raises(ReadError, match=r"a\.jpg and a\.png"):
        pair_files(*folders)


def test_a_missing_folder_is_told(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ReadError, match="not a folder"):
        pair_files(folders[0], folders[1] / "nowhere")


def test_a_mask_of_another_size_is_named(folders: tuple[Path, Path]) -> None:
    put(folders, "tall", left_half(1), size=(9, 16))
    with pytest.raises(ReadError, match=r"tall\.png is 16 x 8, its picture 16 x 9"):
        masks_of(folders, "crack")


def test_0_and_255_alone_are_the_one_label(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(255))
    put(folders, "b", left_half(0))
    assert np.unique(masks_of(folders, "crack")).tolist() == [0, 1]


def test_255_beside_class_ids_is_not_labelled(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(255))
    put(folders, "b", left_half(1))
    assert np.unique(masks_of(folders, "crack")).tolist() == [0, 1, 255]


def test_255_is_not_labelled_where_there_are_more_labels(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(255))
    assert np.unique(masks_of(folders, "crack", "stain")).tolist() == [0, 255]


def test_palette_pictures_are_read_by_their_indices(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(2, rest=1))
    labels = LabelSet.of(["crack", "stain"])
    (folders[1] / "a.png").write_bytes(write_mask_png(left_half(2, rest=1), labels))
    assert np.array_equal(masks_of(folders, "crack", "stain")[0], left_half(2, rest=1))


def test_a_class_table_beside_the_masks_names_their_ids(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(1, rest=2))
    (folders[1].parent / "classes.csv").write_text("index,name\n0,background\n1,stain\n2,crack\n")
    assert np.array_equal(masks_of(folders, "crack", "stain")[0], left_half(2, rest=1))


def test_a_class_that_the_model_does_not_know_is_told(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(3, rest=1))
    with pytest.raises(ReadError, match="which the model does not know") as caught:
        masks_of(folders, "crack", "stain")
    assert "crack, stain" in caught.value.hint


def test_a_mask_that_is_no_picture_is_named(folders: tuple[Path, Path]) -> None:
    put(folders, "a", left_half(1))
    (folders[1] / "a.png").write_bytes(b"not a picture")
    with pytest.raises(ReadError, match=r"a\.png"):
        masks_of(folders, "crack")
