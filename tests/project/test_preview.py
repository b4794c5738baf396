"""The look at an import: what it says is what then comes in, and it writes nothing."""

from pathlib import Path

import numpy as np
import pytest

from core.annotation.labels import LabelSet
from core.annotation.shapes import Annotation, Rectangle
from core.formats.labelme import write_labelme
from core.formats.source import Source, source_of_uploads
from core.images import ImageSize, encode_png
from core.project.importing import import_source
from core.project.preview import draw_example, mapping_of, preview_source
from core.project.project import Project
from tests.samples import SIZE, box, picture


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "coins", name="Coins", labels=LabelSet.of(["coin", "cup"]))


def annotated(picture_name: str, *labels: str) -> bytes:
    shapes = tuple(
        Rectangle(label=label, points_xy=((4 * i, 2), (4 * i + 3, 9))) for i, label in enumerate(labels, start=1)
    )
    return write_labelme(Annotation(size=SIZE, shapes=shapes), image_path=picture_name)


def files(project: Project) -> set[Path]:
    return {path for path in project.folder.rglob("*") if path.is_file() and not path.name.startswith("index")}


def labelme_source() -> Source:
    return source_of_uploads(
        [
            ("images/a.png", picture(1)),
            ("images/a.json", annotated("a.png", "Coin_", "fork", "knife")),
            ("images/b.png", picture(2)),
            ("images/c.json", annotated("gone.png", "fork")),
            ("images/d.json", b"{"),
            ("masks/a.png", picture(3)),
        ]
    )


def test_a_look_counts_what_would_come_and_writes_nothing(project: Project) -> None:
    before = files(project)
    preview = preview_source(project, labelme_source())
    assert files(project) == before
    assert (preview.format, preview.title) == ("labelme", "Labelme")
    assert (preview.pictures, preview.annotations) == (2, 2)
    assert [(label.name, label.shapes, label.proposed) for label in preview.labels] == [
        ("Coin_", 1, "coin"),
        ("fork", 2, None),
        ("knife", 1, None),
    ]
    told = " ".join(preview.problems)
    assert "gone.png" in told
    assert "d.json" in told
    assert "masks/a.png" in told


def test_the_pictures_that_are_counted_are_those_that_come_in(project: Project) -> None:
    preview = preview_source(project, labelme_source())
    assert import_source(project, labelme_source()).pictures == preview.pictures


def test_pictures_with_masks_are_counted_once(project: Project) -> None:
    mask = encode_png(np.kron([[0, 1], [1, 0]], np.ones((SIZE.height // 2, SIZE.width // 2))).astype(np.uint8))
    source = source_of_uploads([("images/a.png", picture(1)), ("images/b.png", picture(2)), ("masks/a.png", mask)])
    preview = preview_source(project, source)
    assert (preview.format, preview.pictures, preview.annotations) == ("masks", 2, 1)


def test_labels_get_the_colours_that_the_look_showed(project: Project) -> None:
    preview = preview_source(project, labelme_source())
    import_source(project, labelme_source(), mapping=mapping_of(preview, {}))
    here = {label.name: label.color for label in project.settings.labels.labels}
    assert {found.proposed or found.name: found.color for found in preview.labels} == {
        name: here[name] for name in ("coin", "fork", "knife")
    }


def test_a_label_can_be_taken_for_another_or_left_out(project: Project) -> None:
    preview = preview_source(project, labelme_source())
    mapping = mapping_of(preview, {"fork": None, "knife": "cup", "Coin_": "Coin_"})
    assert mapping == {"fork": None, "knife": "cup"}
    import_source(project, labelme_source(), mapping=mapping)
    annotation = project.read_annotation("a")
    assert annotation is not None
    assert [shape.label for shape in annotation.shapes] == ["Coin_", "cup"]
    assert project.settings.labels.names == ("_background_", "coin", "cup", "Coin_")


def test_an_example_is_the_picture_with_its_labels(project: Project) -> None:
    source = source_of_uploads(
        [
            ("a.png", encode_png(np.zeros((*SIZE, 3), np.uint8))),
            ("a.json", write_labelme(box("coin"), image_path="a.png")),
        ]
    )
    preview = preview_source(project, source)
    (example,) = preview.examples
    drawn = draw_example(example, preview, project, side=max(SIZE))
    assert drawn.shape == (*SIZE, 3)
    color = np.array(preview.labels[0].color)
    assert any((abs(drawn.reshape(-1, 3).astype(int) - color // 2) <= 1).all(axis=1))


def test_what_cannot_come_in_is_told_before(project: Project) -> None:
    other_size = write_labelme(Annotation(size=ImageSize(999, 77), shapes=()), image_path="b.png")
    source = source_of_uploads(
        [
            ("a.png", picture(1)),
            ("a.json", annotated("a.png", "coin")),
            ("b.png", picture(2)),
            ("b.json", other_size),
            ("broken.png", b"no picture"),
        ]
    )
    preview = preview_source(project, source)
    assert preview.pictures == import_source(project, source).pictures == 2
    told = " ".join(preview.problems)
    assert "broken.png cannot be read as a picture" in told
    assert "b.json" in told
    assert "999" in told
