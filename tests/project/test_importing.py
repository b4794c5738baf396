import base64
import csv
import errno
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from core.annotation.labels import IGNORE_ID, LabelSet
from core.errors import ConfigError, ReadError, WriteError
from core.formats.labelme import write_labelme
from core.formats.source import Source, open_source, source_of_uploads
from core.images import ImageSize, encode_png, read_image
from core.project.import_report import ImportReport
from core.project.importing import import_source
from core.project.project import Project
from core.project.split import read_split
from tests.samples import SIZE, box, picture

BOX = [[2, 2], [4, 5]]  # 3 x 4 pixels


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A Project without labels."""
    return Project.create(tmp_path / "p", name="Empty")


def labelme(image_path: str | None, *labels: str, **top: Any) -> bytes:
    shapes = [{"label": label, "points": BOX, "shape_type": "rectangle"} for label in labels]
    size = {"imageHeight": SIZE.height, "imageWidth": SIZE.width}
    return json.dumps({"shapes": shapes, "imagePath": image_path, "imageData": None, **size, **top}).encode()


def uploads(**files: bytes) -> Source:
    """Files by name; two underscores stand for a dot, _S_ for a slash."""
    return source_of_uploads([(name.replace("__", ".").replace("_S_", "/"), data) for name, data in files.items()])


def mask(*class_ids: int) -> bytes:
    """A mask whose first pixels are `class_ids`."""
    pixels = np.zeros(SIZE, dtype=np.uint8)
    pixels[0, : len(class_ids)] = class_ids
    return encode_png(pixels)


def kinds(report: ImportReport) -> list[str]:
    return [note.kind for note in report.notes]


def names(project: Project) -> list[str]:
    return [sample.name for sample in project.samples()]


# ---------------------------------------------------------------------------------------------------------- Labelme


def test_pictures_and_their_labelme_files_come_in(empty: Project) -> None:
    steps: list[tuple[int, int, str]] = []
    source = uploads(a__png=picture(1), a__json=labelme("a.png", "coin"), b__png=picture(2))
    report = import_source(empty, source, progress=lambda *step: steps.append(step))
    assert (report.pictures, report.annotations, report.labels_added) == (2, 1, ("coin",))
    assert report.sentences() == ["2 pictures and 1 annotation came in.", "New label: coin."]
    found = empty.read_mask("a")
    assert found is not None
    assert found.sum() == 12
    assert empty.read_annotation("b") is None
    assert steps[-1][:2] == (3, 3)


def test_labels_come_in_the_order_of_labels_txt(empty: Project) -> None:
    labels = b"__ignore__\n_background_\nwall\ncoin\ndirt\n"
    source = uploads(a__png=picture(1), a__json=labelme("a.png", "coin", "__ignore__"), labels__txt=labels)
    import_source(empty, source)
    assert empty.settings.labels.names == ("_background_", "wall", "coin", "dirt")
    found = empty.read_mask("a")
    assert found is not None
    assert set(np.unique(found)) == {0, IGNORE_ID}  # the later shape covers the coin


def test_labels_that_are_new_to_a_project_are_added_and_said(project: Project) -> None:
    report = import_source(project, uploads(a__png=picture(1), a__json=labelme("a.png", "crack", "coin")))
    assert project.settings.labels.names == ("_background_", "coin", "crack")
    assert "New label: crack." in report.sentences()


@pytest.mark.parametrize(
    ("json_name", "image_path", "picture_name"),
    [
        ("set/a.json", "..\\images\\a.png", "images/a.png"),
        ("set/a.json", "C:\\lost\\a.png", "set/a.png"),
        ("set/a.json", "gone/a.png", "other/a.png"),
        ("set/a.json", "A.PNG", "set/a.png"),
        ("a.json", "gone.jpg", "a.png"),
        ("a.json", None, "a.png"),
        ("a.json", "u\u0308.png", "ü.png"),
    ],
)
def test_the_picture_of_a_labelme_file_is_found(
    empty: Project, json_name: str, image_path: str | None, picture_name: str
) -> None:
    decoy = ("elsewhere/b.png", picture(9))
    source = source_of_uploads([(json_name, labelme(image_path, "coin")), (picture_name, picture(1)), decoy])
    import_source(empty, source)
    assert empty.read_annotation(Path(picture_name).stem) is not None


def test_a_full_path_wins_over_a_bare_name(empty: Project) -> None:
    source = source_of_uploads(
        [("s/a.json", labelme("../x/a.png", "coin")), ("s/a.png", picture(1)), ("x/a.png", picture(2))]
    )
    import_source(empty, source)
    annotated = [name for name in names(empty) if empty.read_annotation(name)]
    assert [np.array_equal(empty.read_image(name), read_image(picture(2))) for name in annotated] == [True]


def test_pictures_may_lie_elsewhere(empty: Project) -> None:
    report = import_source(empty, uploads(a__json=labelme("a.png", "coin")), images=uploads(a__png=picture(1)))
    assert (report.pictures, report.annotations) == (1, 1)


def test_a_labelme_file_finds_the_picture_that_is_in_the_project(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    report = import_source(project, uploads(a__json=labelme("pictures/a.png", "coin")))
    assert (report.pictures, report.annotations) == (0, 1)
    assert project.read_annotation("a") is not None


def test_the_picture_inside_of_the_file_is_the_last_resort_and_is_said(empty: Project) -> None:
    data = base64.b64encode(picture(1)).decode()
    report = import_source(empty, uploads(a__json=labelme("lost/b.png", "coin", imageData=data)))
    assert names(empty) == ["b"]
    assert kinds(report) == ["assumed"]
    assert "imageData" in report.sentences()[-1]


def test_an_annotation_without_picture_is_unmatched(project: Project) -> None:
    report = import_source(project, uploads(a__json=labelme("b.png", "coin"), c__json=labelme("d.png", "coin")))
    assert report.sentences() == ["Nothing new came in.", "2 annotations have no picture here (a.json, c.json)."]


def test_a_picture_that_is_turned_by_its_camera_turns_stored_shapes(empty: Project) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((*SIZE, 3), dtype=np.uint8)).save(buffer, "JPEG", exif=exif)
    report = import_source(empty, uploads(a__jpg=buffer.getvalue(), a__json=labelme("a.jpg", "coin")))
    annotation = empty.read_annotation("a")
    assert annotation is not None
    assert annotation.size == ImageSize(SIZE.width, SIZE.height)
    assert kinds(report) == ["turned"]


def test_a_second_import_of_the_same_files_changes_nothing(empty: Project) -> None:
    source = uploads(a__png=picture(1), a__json=labelme("a.png", "coin"))
    import_source(empty, source)
    report = import_source(empty, source)
    assert (report.pictures, report.annotations) == (0, 0)
    assert kinds(report) == ["duplicate", "duplicate"]
    assert empty.annotation_version("a") == 1


def test_another_annotation_is_a_new_version_and_the_old_one_is_kept(empty: Project) -> None:
    import_source(empty, uploads(a__png=picture(1), a__json=labelme("a.png", "coin")))
    report = import_source(empty, uploads(a__json=labelme("a.png", "coin", "wall")))
    assert report.annotations == 1
    assert empty.annotation_version("a") == 2
    assert (empty.folder / "history" / "a" / "1.json").is_file()


def test_unknown_keys_of_a_labelme_file_are_kept(empty: Project) -> None:
    import_source(empty, uploads(a__png=picture(1), a__json=labelme("a.png", "coin", camera="M10", version="4.5.6")))
    written = json.loads(empty.annotation_path("a").read_bytes())
    assert (written["camera"], written["version"]) == ("M10", "4.5.6")
    assert written["imagePath"] == "../images/a.png"


def test_masks_and_exports_beside_labelme_files_are_not_taken_for_pictures(empty: Project) -> None:
    source = source_of_uploads(
        [
            ("images/a.png", picture(1)),
            ("images/a.json", labelme("a.png", "coin")),
            ("masks/a.png", mask(1)),
            ("voc/class_names.txt", b"coin"),
            ("voc/JPEGImages/a.jpg", picture(2)),
        ]
    )
    report = import_source(empty, source)
    assert names(empty) == ["a"]
    assert "2 pictures lie in folders of masks or exports" in report.sentences()[-1]


def test_a_whole_project_folder_can_be_imported(empty: Project, project_with_history: Project) -> None:
    report = import_source(empty, open_source(project_with_history.folder))
    assert (report.pictures, report.annotations, report.notes) == (1, 1, ())
    saved = json.loads(empty.annotation_path("a").read_bytes())
    assert saved["maskloop"]["state"] == "doing"


@pytest.fixture
def project_with_history(tmp_path: Path) -> Project:
    other = Project.create(tmp_path / "other", name="Other", labels=LabelSet.of(["coin"]))
    other.add_image(picture(1), filename="a.png")
    other.save_annotation("a", box(), author="ann")
    other.save_annotation("a", box(left=3), author="ann", state="doing")
    return other


# ---------------------------------------------------------------------------------------------------------- pictures


def test_each_file_that_fails_costs_only_itself(project: Project) -> None:
    whole = picture(1)
    report = import_source(
        project,
        uploads(
            good__png=picture(2),
            cut__png=whole[: len(whole) // 2],
            nothing__png=b"",
            text__jpg=b"I am a text",
            broken__json=b'{"shapes": [',
            other__json=b'{"images": []}',
            small__json=labelme("good.png", "coin", imageHeight=3),
            fine__json=labelme("good.png", "coin"),
        ),
    )
    assert (report.pictures, report.annotations) == (1, 1)
    told = "\n".join(report.sentences())
    for part in (
        "cut.png cannot be read as a picture",
        "nothing.png is empty (0 bytes)",
        "text.jpg cannot be read as a picture",
        "broken.json is not readable JSON",
        "other.json is JSON, but not Labelme's",
        "small.json was made for a picture of 16 x 3, its picture has 16 x 12",
    ):
        assert part in told
    assert kinds(report).count("error") == 5


def test_broken_shapes_are_told_together(empty: Project) -> None:
    line = {"label": "coin", "points": BOX, "shape_type": "polygon"}
    source = uploads(
        a__png=picture(1),
        a__json=labelme("a.png", shapes=[line, line]),
        b__png=picture(2),
        b__json=labelme("b.png", shapes=[line]),
    )
    report = import_source(empty, source)
    assert report.annotations == 2
    assert report.sentences()[1] == "3 polygons had fewer than 3 points and were left out (a.json, b.json)."


def test_the_same_bytes_come_in_once_and_their_annotation_joins(project: Project) -> None:
    project.add_image(picture(1), filename="old.png")
    report = import_source(project, uploads(new__png=picture(1), new__json=labelme("new.png", "coin")))
    assert names(project) == ["old"]
    assert project.read_annotation("old") is not None
    assert kinds(report) == ["duplicate"]


def test_two_pictures_of_one_name_both_come_in_as_one_group(project: Project) -> None:
    source = source_of_uploads([("a.png", picture(1)), ("a.png", picture(2))])
    report = import_source(project, source)
    assert names(project) == ["a", "a-2"]
    assert read_split(project.folder).group_of("a-2") == "a"
    assert kinds(report) == ["renamed"]


def test_the_pages_of_a_stack_become_lossless_pictures_of_one_group(project: Project) -> None:
    stack = np.random.default_rng(1).integers(0, 65535, (3, 12, 16), dtype=np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stack, photometric="minisblack")
    report = import_source(project, uploads(scan__tif=buffer.getvalue(), scan__json=labelme("scan.tif", "coin")))
    assert names(project) == ["scan_p0001", "scan_p0002", "scan_p0003"]
    for sample, page in zip(project.samples(), stack, strict=True):
        assert np.array_equal(tifffile.imread(sample.image), page)
        assert read_split(project.folder).group_of(sample.name) == "scan"
    assert project.read_annotation("scan_p0001") is not None
    assert "A stack of 3 pages became 3 pictures of one group (scan.tif)." in report.sentences()


def test_smaller_copies_inside_of_a_tiff_are_not_pages(project: Project) -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as tiff:
        tiff.write(np.zeros((16, 16), dtype=np.uint8), photometric="minisblack")
        tiff.write(np.zeros((8, 8), dtype=np.uint8), photometric="minisblack", subfiletype=1)
    import_source(project, uploads(map__tif=buffer.getvalue()))
    assert names(project) == ["map"]


@pytest.mark.parametrize(
    ("name", "text"), [("groups.csv", "stem,group\na,7\nb,7\n"), ("manifest.csv", "stem,note\na,group 7\nb,group 7\n")]
)
def test_a_list_beside_the_pictures_gives_groups(project: Project, name: str, text: str) -> None:
    files = [("a.png", picture(1)), ("b.png", picture(2)), ("c.png", picture(3)), (name, text.encode())]
    import_source(project, source_of_uploads(files))
    split = read_split(project.folder)
    assert split.group_of("a") == split.group_of("b") != split.group_of("c")


def test_what_an_archive_refused_is_in_the_report(project: Project) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../evil.png", picture(1))
        archive.writestr("good.png", picture(2))
    report = import_source(project, source_of_uploads([("up.zip", buffer.getvalue())]))
    assert names(project) == ["good"]
    assert "../evil.png in up.zip was refused: its name leads out of the folder." in report.sentences()


@pytest.mark.parametrize("files", [[], [("a.txt", b"hello")]])
def test_a_source_with_nothing_to_read_is_one_sentence(project: Project, files: list[tuple[str, bytes]]) -> None:
    with pytest.raises(ReadError, match="holds no"):
        import_source(project, source_of_uploads(files))


def test_an_unknown_format_is_refused(project: Project) -> None:
    with pytest.raises(ConfigError, match="no format 'paintings'"):
        import_source(project, uploads(a__png=picture(1)), format="paintings")


def test_a_full_disk_ends_the_import_and_what_came_in_stays(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, calls = os.replace, []

    def full_after_the_first(source: Any, target: Any) -> None:
        if Path(target).parent.name == "images":
            calls.append(target)
            if len(calls) > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full_after_the_first)
    with pytest.raises(WriteError, match=r"the disk is full\. The import stopped after 1 pictures; they are safe"):
        import_source(project, uploads(a__png=picture(1), b__png=picture(2), c__png=picture(3)))
    assert names(project) == ["a"]
    assert not list(project.folder.rglob("*.part"))


# ------------------------------------------------------------------------------------------------------------ masks


def test_masks_come_in_pixel_for_pixel(project: Project) -> None:
    project.add_labels(["wall"])
    source = uploads(images_S_a__png=picture(1), masks_S_a__png=mask(1, 2, 0, 1), images_S_b__png=picture(2))
    report = import_source(project, source)
    found = project.read_mask("a")
    assert found is not None
    assert np.array_equal(encode_png(found), mask(1, 2, 0, 1))
    assert (report.pictures, report.annotations) == (2, 1)
    assert report.sentences()[1:] == ["A picture has no mask and came in to do (images/b.png)."]


def test_a_mask_of_another_size_is_refused_and_its_picture_waits(project: Project) -> None:
    small = encode_png(np.ones((5, 6), dtype=np.uint8))
    source = uploads(
        images_S_a__png=picture(1), masks_S_a__png=small, images_S_b__png=picture(2), masks_S_b__png=mask(1)
    )
    report = import_source(project, source)
    assert (report.pictures, report.annotations) == (2, 1)
    assert "masks/a.png has 6 x 5 pixels, its picture 16 x 12." in report.sentences()[1]


def test_a_mask_that_cannot_be_read_costs_only_itself(project: Project) -> None:
    source = uploads(
        images_S_a__png=picture(1), masks_S_a__png=b"?", images_S_b__png=picture(2), masks_S_b__png=mask(1)
    )
    report = import_source(project, source)
    assert (report.pictures, report.annotations, kinds(report)) == (2, 1, ["error"])


def test_masks_that_cannot_be_understood_bring_nothing_in(project: Project) -> None:
    project.add_labels(["wall"])
    source = uploads(images_S_a__png=picture(1), masks_S_a__png=encode_png(read_image(picture(3))))
    with pytest.raises(ReadError, match="colours without a name"):
        import_source(project, source)
    assert names(project) == []


def test_masks_and_pictures_in_two_places(project: Project) -> None:
    report = import_source(project, uploads(a__png=mask(255), z__png=mask(0)), images=uploads(a__png=picture(1)))
    found = project.read_mask("a")
    assert found is not None
    assert found[0, 0] == 1
    assert "A mask has no picture and was left out (z.png)." in report.sentences()
    assert any("only 0 and 255" in sentence for sentence in report.sentences())


def test_masks_without_any_picture_are_one_sentence(project: Project) -> None:
    with pytest.raises(ReadError, match=r"No picture in .* has a mask of the same name"):
        import_source(project, uploads(images_S_a__png=picture(1), masks_S_b__png=mask(1)), format="masks")


def test_labels_without_pictures_find_those_of_the_project(project: Project) -> None:
    for name in ("a.png", "a.b.png"):
        project.add_image(picture(name == "a.png"), filename=name)
    rows = {
        "labels/a.txt": b"0 0 0 .5 0 .5 .5\n",
        "labels/a.b.txt": b"0 0 0 1 0 1 1\n",
        "data.yaml": b"names: [coin]\n",
    }
    report = import_source(project, uploads(**rows))
    assert report.annotations == 2
    widths = {name: project.read_annotation(name).shapes[0].points_xy[1][0] for name in names(project)}  # type: ignore[union-attr]
    assert widths["a.b"] > 1.9 * widths["a"]


def test_labels_that_cannot_be_read_replace_none_and_their_picture_waits(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="me")
    cut = b"\x89PNG\r\n\x1a\n and no more"
    files = {"SegmentationClass/a.png": cut, "SegmentationClass/b.png": cut, "JPEGImages/b.png": picture(2)}
    report = import_source(project, uploads(**files), format="voc")
    assert kinds(report) == ["error", "error"]
    assert (report.pictures, report.annotations) == (1, 0)
    assert project.read_annotation("b") is None
    assert project.annotation_version("a") == 1


def test_label_rows_without_a_size_replace_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="me")
    monkeypatch.setattr("core.formats.yolo._LARGEST_FILE", 5)
    report = import_source(project, uploads(**{"labels/a.txt": b"0 0 0 .5 0 .5 .5", "data.yaml": b"names: [coin]"}))
    assert kinds(report) == ["error"]
    assert project.annotation_version("a") == 1


def test_a_picture_without_a_label_file_keeps_what_is_drawn_on_it(project: Project) -> None:
    project.add_image(picture(1), filename="a.png")
    project.save_annotation("a", box(), author="me")
    files = {"images/a.png": picture(1), "images/b.png": picture(2), "images/c.png": picture(3)}
    rows = {"labels/b.txt": b"0 0 0 .5 0 .5 .5", "data.yaml": b"names: [coin]"}
    report = import_source(project, uploads(**files, **rows))
    assert (report.pictures, report.annotations) == (2, 2)  # c is background
    assert project.annotation_version("a") == 1


def test_a_picture_without_anything_drawn_is_done(project: Project) -> None:
    import_source(
        project,
        uploads(images_S_a__png=picture(1), masks_S_a__png=mask(0), masks_S_classes__csv=b"index,name\n1,coin\n"),
    )
    annotation = project.read_annotation("a")
    assert annotation is not None
    assert annotation.shapes == ()


# --------------------------------------------------------------------------------------------------------- real sets


def test_real_labelme_files_of_whales(empty: Project, shared_data: Path) -> None:
    report = import_source(empty, open_source(shared_data / "labelme_whales"))
    assert report.sentences()[:2] == ["56 pictures and 56 annotations came in.", "New label: tail."]
    with Image.open(next((shared_data / "labelme_whales" / "masks").glob("0000e88ab.png"))) as picture:
        theirs = np.asarray(picture) > 0
    ours = empty.read_mask("0000e88ab") == 1
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.96  # their mask was drawn by another program


def test_real_labelme_files_of_fruits_paint_the_masks_that_labelme_painted(empty: Project, shared_data: Path) -> None:
    import_source(empty, open_source(shared_data / "labelme_fruits"))
    assert empty.settings.labels.names == ("_background_", "date", "fig", "hazelnut")
    for sample in empty.samples():
        with Image.open(shared_data / "labelme_fruits" / "masks" / f"{sample.name}.png") as picture:
            assert np.array_equal(empty.read_mask(sample.name), np.asarray(picture)), sample.name


@pytest.mark.parametrize("name", ["street_camvid", "defects_magnetic_tile"])
def test_real_masks_come_in_pixel_for_pixel(empty: Project, shared_data: Path, name: str) -> None:
    report = import_source(empty, open_source(shared_data / name))
    assert report.pictures == report.annotations == len(empty.samples())
    for sample in empty.samples():
        with Image.open(shared_data / name / "masks" / f"{sample.name}.png") as picture:
            assert np.array_equal(empty.read_mask(sample.name), np.asarray(picture)), sample.name
    with (shared_data / name / "classes.csv").open() as file:
        table = [row["name"] for row in csv.DictReader(file)]
    assert list(empty.settings.labels.names[1:]) == table[1:]
    with (shared_data / name / "manifest.csv").open() as file:
        groups = {row["note"] for row in csv.DictReader(file) if row["note"].startswith("group ")}
    assert set(read_split(empty.folder).groups.values()) == groups  # the exposures of one tile stay together


def test_a_real_pair_of_different_sizes_is_refused(empty: Project, shared_data: Path) -> None:
    report = import_source(empty, open_source(shared_data / "formats" / "pair_size_mismatch"))
    assert (report.pictures, report.annotations) == (1, 0)
    assert "judo_00005.png has 853 x 480 pixels, its picture 854 x 480." in report.sentences()[1]


def test_broken_real_pictures_are_named_and_the_rest_comes_in(empty: Project, shared_data: Path) -> None:
    folder = shared_data / "odd_images"
    report = import_source(empty, open_source(folder / "truncated_or_broken"))
    errors = {note.name for note in report.notes if note.kind == "error"}
    assert {"truncated_jpeg.jpg", "truncated_image.png", "reallybig.bmp"} <= errors
    assert report.pictures + len(errors) + kinds(report).count("duplicate") >= len(
        list((folder / "truncated_or_broken").iterdir())
    )


def test_labels_of_the_written_file_are_those_that_labelme_reads(empty: Project) -> None:
    data = write_labelme(box("裂缝"), image_path="a.png")
    import_source(empty, uploads(a__png=picture(1), a__json=data))
    saved = json.loads(empty.annotation_path("a").read_text(encoding="utf-8"))
    assert saved["shapes"][0]["label"] == "裂缝"
