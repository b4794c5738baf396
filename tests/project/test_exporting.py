"""Labels on their way out in each format, and back: not one pixel is lost where the format can hold it."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.annotation.labels import IGNORE, LabelSet
from core.annotation.shapes import (
    Annotation,
    Circle,
    Line,
    LineStrip,
    MaskShape,
    OrientedRectangle,
    Point,
    Points,
    Polygon,
    Rectangle,
)
from core.errors import ConfigError, ReadError, WriteError
from core.files import write_json
from core.formats import FORMATS
from core.formats.source import open_source
from core.images import ImageSize
from core.project.exporting import export_labels
from core.project.importing import import_source
from core.project.project import Project
from tests.samples import picture

SIZE = ImageSize(60, 80)
WRITTEN = [name for name, format in FORMATS.items() if format.write]
HOLDS_IGNORE = {"labelme", "masks", "voc", "cvat", "labelstudio", "geojson"}


def ring() -> MaskShape:
    region = np.ones((20, 20), dtype=bool)
    region[6:14, 6:14] = False
    region[0, 0] = False
    return MaskShape(label="car", points_xy=((50, 30), (69, 49)), region=region)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Every kind of Shape, a hole, overlaps, objects that touch, a picture turned by EXIF, and one of 16 bits."""
    made = Project.create(tmp_path / "p", name="P", labels=LabelSet.of(["car", "tree", "road"]))
    made.add_image(picture(1, SIZE), filename="größe 1.png")
    exif = Image.Exif()
    exif[274] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((80, 60, 3), np.uint8)).save(buffer, "JPEG", exif=exif)
    made.add_image(buffer.getvalue(), filename="turned.jpg")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.arange(60 * 80, dtype=np.uint16).reshape(60, 80))
    made.add_image(buffer.getvalue(), filename="deep.tif")
    made.add_image(picture(2, SIZE), filename="todo.png")
    every = (
        Rectangle(label="road", points_xy=((0, 0), (79, 59))),
        Polygon(label="car", points_xy=((5, 5), (30.5, 8.25), (22, 27), (8, 20))),
        Circle(label="tree", points_xy=((20, 40), (27.5, 40))),
        OrientedRectangle(label="car", points_xy=((40, 5), (55, 10), (52, 19), (37, 14))),
        Point(label="tree", points_xy=((70, 10),)),
        Points(label="tree", points_xy=((60, 55), (75, 52))),
        Line(label="road", points_xy=((3, 30), (20, 33))),
        LineStrip(label="tree", points_xy=((30, 50), (40, 45), (45, 55))),
        ring(),
    )
    made.save_annotation("größe 1", Annotation(size=SIZE, shapes=every), author="Ann")
    touching = (
        Rectangle(label="car", points_xy=((10, 10), (19, 19))),
        Rectangle(label="car", points_xy=((20, 10), (29, 19)), group_id=3),
        Polygon(label="tree", points_xy=((35, 10), (45, 12), (41, 30))),
    )
    made.save_annotation("turned", Annotation(size=SIZE, shapes=touching), author="Ann")
    made.save_annotation("deep", Annotation(size=SIZE, shapes=(ring(),)), author="Ann")
    made.save_annotation("todo", Annotation(size=SIZE, shapes=touching), author="Ann", state="doing")
    write_json(
        made.folder / "split.json",
        {"seed": 1, "assignments": {"größe 1": "train", "turned": "train", "deep": "val"}, "groups": {}},
    )
    return made


@pytest.mark.parametrize("with_pictures", [True, False])
@pytest.mark.parametrize("format", WRITTEN)
def test_not_one_pixel_is_lost(project: Project, tmp_path: Path, format: str, with_pictures: bool) -> None:
    report = export_labels(project, format, tmp_path / "out.zip", with_pictures=with_pictures)
    assert (report.pictures, report.shapes) == (3, 13)
    assert report.pixel_iou == 1.0, report.sentences()
    assert "pixel IoU 1.0000" in report.sentences()[0]


@pytest.mark.parametrize("format", WRITTEN)
def test_what_is_not_labelled_comes_back_or_is_told(project: Project, tmp_path: Path, format: str) -> None:
    ignored = Rectangle(label=IGNORE, points_xy=((2, 2), (9, 9)))
    project.save_annotation("deep", Annotation(size=SIZE, shapes=(ring(), ignored)), author="Ann")
    report = export_labels(project, format, tmp_path / "out.zip")
    if format in HOLDS_IGNORE:
        assert report.pixel_iou == 1.0, report.sentences()
    else:
        assert report.pixel_iou < 1
        assert any("not labelled" in loss or IGNORE in loss for loss in report.sentences()[1:])


@pytest.mark.parametrize("format", WRITTEN)
def test_a_new_project_takes_it_in(project: Project, tmp_path: Path, format: str) -> None:
    export_labels(project, format, tmp_path / "out.zip")
    other = Project.create(tmp_path / "other", name="Other")
    came = import_source(other, open_source(tmp_path / "out.zip"))
    assert (came.pictures, came.annotations) == (3, 3), came.sentences()
    assert set(other.settings.labels.names) == {"_background_", "car", "tree", "road"}
    for name in ("größe 1", "turned", "deep"):
        ours, theirs = project.read_mask(name), other.read_mask(name)
        assert ours is not None
        assert theirs is not None
        order = [other.settings.labels.id_of(label) for label in project.settings.labels.names]
        np.testing.assert_array_equal(np.array(order, np.uint8)[ours], theirs)


def test_a_part_without_pictures(project: Project, tmp_path: Path) -> None:
    report = export_labels(project, "coco", tmp_path / "out.zip", part="val", with_pictures=False)
    assert report.pictures == 1
    assert report.pixel_iou == 1.0
    names = zipfile.ZipFile(tmp_path / "out.zip").namelist()
    assert not any(name.endswith(".tif") for name in names)


def test_a_cancelled_export_leaves_nothing(project: Project, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int, name: str) -> None:
        if done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        export_labels(project, "masks", tmp_path / "out" / "a.zip", progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_is_said(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        export_labels(project, "eiseg", tmp_path / "a.zip")
    with pytest.raises(ReadError, match="No picture is finished"):
        export_labels(project, "coco", tmp_path / "a.zip", part="test")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError):
        export_labels(project, "coco", tmp_path / "file" / "a.zip")


ODD_NAMES = [
    "a.png",
    "a.bmp",
    "A.webp",
    "a_mask.png",
    "labels.png",
    "masks.png",
    "x.y.z.png",
    "con.png",
    "日本 100%.png",
]


@pytest.mark.parametrize("format", WRITTEN)
def test_pictures_whose_names_look_like_something_else_come_back(tmp_path: Path, format: str) -> None:
    labels = ["car & co", "tree/leaf", "größe", 'a,b"c']
    project = Project.create(tmp_path / "p", name="P", labels=LabelSet.of(labels))
    for i, name in enumerate(ODD_NAMES):
        sample = project.add_image(picture(i, SIZE), filename=name).sample
        shape = Rectangle(label=labels[i % 4], points_xy=((2 + i, 2), (20, 20)))
        project.save_annotation(sample, Annotation(size=SIZE, shapes=(shape,)), author="Ann")
    report = export_labels(project, format, tmp_path / "out.zip")
    assert (report.pictures, report.pixel_iou) == (len(ODD_NAMES), 1.0), report.sentences()
    other = Project.create(tmp_path / "other", name="Other", labels=LabelSet.of(labels))
    came = import_source(other, open_source(tmp_path / "out.zip"))
    assert (came.pictures, came.annotations) == (len(ODD_NAMES), len(ODD_NAMES)), came.sentences()
    for sample in project.samples():
        np.testing.assert_array_equal(project.read_mask(sample.name), other.read_mask(sample.name))


@pytest.mark.parametrize("with_pictures", [True, False])
@pytest.mark.parametrize("format", WRITTEN)
def test_names_that_differ_in_case_or_in_composed_letters_only(
    tmp_path: Path, format: str, with_pictures: bool
) -> None:
    made = Project.create(tmp_path / "p", name="P", labels=LabelSet.of(["car"]))
    for seed, name in enumerate(("A.png", "a.png", "x\u0308.png", "c.d.png", "c.jpg")):
        suffix = "JPEG" if name.endswith("jpg") else "PNG"
        data = io.BytesIO()
        Image.open(io.BytesIO(picture(seed, ImageSize(30 + seed, 50)))).save(data, suffix)
        (made.images / name).write_bytes(data.getvalue())
    if len(list(made.images.iterdir())) < 5:
        pytest.skip("this disk does not tell A from a")
    for place, sample in enumerate(made.samples()):
        drawn = Rectangle(label="car", points_xy=((1 + 3 * place, 2), (15 + place, 20)))
        annotation = Annotation(size=made.image_info(sample.name).size, shapes=(drawn,))
        made.save_annotation(sample.name, annotation, author="me")

    report = export_labels(made, format, tmp_path / "out.zip", with_pictures=with_pictures)

    assert report.pixel_iou == 1
    if with_pictures:
        again = Project.create(tmp_path / "again", name="P", labels=LabelSet.of(["car"]))
        import_source(again, open_source(tmp_path / "out.zip"))
        masks = {sample.image.read_bytes(): again.read_mask(sample.name) for sample in again.samples()}
        for sample in made.samples():
            np.testing.assert_array_equal(masks[sample.image.read_bytes()], made.read_mask(sample.name))


@pytest.mark.parametrize("format", WRITTEN)
def test_a_drawing_for_another_size_counts_as_missed(tmp_path: Path, format: str) -> None:
    made = Project.create(tmp_path / "p", name="P", labels=LabelSet.of(["car"]))
    for place, name in enumerate(("a", "b")):
        made.add_image(picture(place, SIZE), filename=f"{name}.png")
        size = ImageSize(SIZE.height + place, SIZE.width)
        drawn = Rectangle(label="car", points_xy=((1, 2), (15, 20)))
        made.save_annotation(name, Annotation(size=size, shapes=(drawn,)), author="me")
    assert export_labels(made, format, tmp_path / "out.zip").pixel_iou == 0.5


def test_a_picture_that_is_gone_is_not_called_a_full_disk(project: Project, tmp_path: Path) -> None:
    def remove(done: int, total: int, name: str) -> None:
        project.sample(name).image.unlink()

    with pytest.raises(ReadError, match=r"deep\.tif cannot be read"):
        export_labels(project, "coco", tmp_path / "out.zip", progress=remove)
    assert not (tmp_path / "out.zip").exists()
