"""The sample pictures open and their labels fit; the generator tells the exact truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask, annotation_to_mask
from core.formats.labelme import fit_to_picture, read_labelme
from core.images import probe_image, read_image
from sample_data.generate import CLASSES, Scene, labelme_json, main, mask_of, scene
from sample_data.geometry import cut_to_picture

FOLDER = Path(__file__).resolve().parents[1] / "sample_data"
LABELS = LabelSet.of(CLASSES)
SEEDS = range(6)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene(seed, 192) for seed in SEEDS]


def mask_in(path: Path, labels: LabelSet) -> Mask:
    return annotation_to_mask(read_labelme(path.read_bytes(), name=path.name).annotation, labels)


@pytest.mark.parametrize("folder", ["coins", "town"])
def test_each_sample_picture_has_a_labelme_file_that_fits_it(folder: str) -> None:
    pictures = [path for path in (FOLDER / folder).iterdir() if path.suffix in (".png", ".jpg")]
    assert len(pictures) == 8
    names = (FOLDER / folder / "labels.txt").read_text().split()
    for picture in pictures:
        read = read_labelme(picture.with_suffix(".json").read_bytes(), name=picture.name)
        annotation, notes = fit_to_picture(read, probe_image(picture))
        assert (read.image_path, notes, read.notes) == (picture.name, (), ())
        assert set(annotation.label_names) <= set(names)
        assert 0.05 < (annotation_to_mask(annotation, LabelSet.of(names)) > 0).mean() < 0.7


def test_coins_are_brighter_than_the_ground_just_around_them() -> None:
    for path in (FOLDER / "coins").glob("*.json"):
        coin = mask_in(path, LabelSet.of(["coin"])) == 1
        grey = read_image(path.with_suffix(".png"))[..., 0]
        assert grey[coin].mean() > grey[~coin].mean() + 40, path.name


def test_the_new_pictures_of_the_town_have_no_labels_yet() -> None:
    assert {path.suffix for path in (FOLDER / "town" / "new").iterdir()} == {".jpg"}


def test_the_sample_data_stays_small_enough_for_a_repository() -> None:
    files = [path for folder in ("coins", "town") for path in (FOLDER / folder).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_500_000


def test_the_same_seed_gives_the_same_scene_and_another_seed_another() -> None:
    first, again, other = scene(3, 128), scene(3, 128), scene(4, 128)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert not np.array_equal(first.image, other.image)


def test_a_scene_is_a_picture_with_class_ids_of_the_same_size(scenes: list[Scene]) -> None:
    for made in scenes:
        assert made.image.shape == (192, 192, 3)
        assert made.image.dtype == made.mask.dtype == np.uint8
        assert made.mask.shape == (192, 192)
    assert {0, 1, 2} == set(np.unique([made.mask for made in scenes]).tolist())


def test_the_polygons_of_a_scene_paint_its_mask_pixel_for_pixel(scenes: list[Scene]) -> None:
    for made in scenes:
        read = read_labelme(labelme_json(made.shapes, "scene.png", 192).encode())
        assert np.array_equal(annotation_to_mask(read.annotation, LABELS), made.mask)
        assert np.array_equal(mask_of(made.shapes, 192), made.mask)


def test_no_building_stands_on_a_road(scenes: list[Scene]) -> None:
    for made in scenes:
        roads = mask_of(made.shapes, 192, ["road"]) > 0
        buildings = mask_of(made.shapes, 192, ["building"]) > 0
        assert not (roads & buildings).any()


def test_roofs_and_roads_show_in_the_picture(scenes: list[Scene]) -> None:
    """Land is greener than what is built: the truth lies where the picture shows it."""
    pixels = np.concatenate([made.image.reshape(-1, 3) for made in scenes]).astype(float)
    classes = np.concatenate([made.mask.ravel() for made in scenes])
    green = pixels[:, 1] - (pixels[:, 0] + pixels[:, 2]) / 2
    assert green[classes == 0].mean() > max(green[classes == 1].mean(), green[classes == 2].mean()) + 10


def test_a_polygon_is_cut_at_the_picture_and_left_out_when_it_falls_into_two_pieces() -> None:
    square = np.array([(-10, 10), (20, 10), (20, 40), (-10, 40)], dtype=float)
    cut = cut_to_picture(square, 64)
    assert cut is not None
    assert (cut.min(), cut[:, 0].max()) == (0, 20)
    horseshoe = np.array([(10, 50), (10, 80), (50, 80), (50, 50), (40, 50), (40, 70), (20, 70), (20, 50)], dtype=float)
    assert cut_to_picture(horseshoe, 64) is None
    assert cut_to_picture(square + 200, 64) is None


def test_a_scene_needs_room() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        scene(0, 32)


def test_the_command_writes_labelme_files(tmp_path: Path) -> None:
    main([str(tmp_path), "--count", "2", "--size", "96", "--seed", "3"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "labels.txt",
        "scene_0000.json",
        "scene_0000.png",
        "scene_0001.json",
        "scene_0001.png",
    ]
    assert np.array_equal(mask_in(tmp_path / "scene_0001.json", LABELS), scene(4, 96).mask)
    assert np.array_equal(read_image(tmp_path / "scene_0001.png"), scene(4, 96).image)


def test_the_command_writes_masks_of_the_chosen_classes(tmp_path: Path) -> None:
    main([str(tmp_path), "--count", "1", "--size", "96", "--seed", "3", "--format", "masks", "--classes", "road"])
    assert (tmp_path / "labels.txt").read_text() == "road\n"
    assert (tmp_path / "classes.csv").read_text() == "index,name\n0,background\n1,road\n"
    mask = np.asarray(Image.open(tmp_path / "masks" / "scene_0000.png"))
    assert np.array_equal(mask, (scene(3, 96).mask == 2).astype(np.uint8))
    assert (tmp_path / "images" / "scene_0000.png").is_file()


@pytest.mark.parametrize("wrong", [["--classes", "boat"], ["--classes", "road,road"], ["--size", "10"]])
def test_the_command_refuses_what_it_cannot_make(tmp_path: Path, wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), *wrong])


def test_a_labelme_file_of_the_generator_has_the_keys_of_labelme() -> None:
    made = scene(0, 96)
    assert set(json.loads(labelme_json(made.shapes, "a.png", 96))) == {
        "version",
        "flags",
        "shapes",
        "imagePath",
        "imageData",
        "imageHeight",
        "imageWidth",
    }
