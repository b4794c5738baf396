import csv
import errno
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core import files
from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError, WriteError
from core.formats.labelme import read_labelme
from core.formats.source import open_source
from core.images import encode_png, read_image
from core.inference.batch import BatchProgress, predict_batch
from core.inference.batch_journal import JOURNAL_FILE, Journal
from core.inference.batch_plan import BatchConfig
from core.inference.rows import PredictConfig
from core.networks.card import ModelCard, NetworkConfig

CLASSES = 3


class Threshold:
    """A backend whose class is known for each pixel: the channel with the greatest value."""

    multiple_of = 4

    def __init__(self, name: str = "first") -> None:
        labels = LabelSet.of(["grün", "<b>blue</b>"])
        self.card = ModelCard(NetworkConfig("unet", classes=CLASSES, width=4, depth=2), labels, window=64, name=name)
        self.calls = 0
        self.at_call: Callable[[int], None] = lambda call: None

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls += 1
        self.at_call(self.calls)
        return 20 * batch


def ids(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, CLASSES, (30, 40), dtype=np.uint8)


def picture(seed: int) -> bytes:
    return encode_png(np.asarray(np.eye(CLASSES, dtype=np.uint8)[ids(seed)] * 200))


def mask_at(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures; two of the same name, and two that differ in their suffix only."""
    place = tmp_path / "pictures"
    for number, name in enumerate(("a.png", "sub/a.png", "b.png", "b.bmp")):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        data = picture(number)
        if name.endswith(".bmp"):
            Image.open(io.BytesIO(data)).save(place / name)
        else:
            (place / name).write_bytes(data)
    return place


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


def test_each_picture_gets_its_own_files_and_the_report_counts_them(folder: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "out", list[BatchProgress]()
    report = predict_batch([folder], Threshold(), out, progress=told.append)
    assert (report.total, report.done, report.kept, report.failures) == (4, 4, 0, ())
    assert np.array_equal(mask_at(out / "a.png"), ids(0))
    assert np.array_equal(mask_at(out / "sub/a.png"), ids(1))
    both = [mask_at(out / "b.png"), mask_at(out / "b-2.png")]
    assert sorted(int(mask.sum()) for mask in both) == sorted([int(ids(2).sum()), int(ids(3).sum())])
    labelme = read_labelme((out / "sub/a.json").read_bytes(), name="a.json")
    assert (out / "sub" / str(labelme.image_path)).resolve() == (folder / "sub/a.png").resolve()
    table = [row for row in rows(out / "areas.csv") if row["picture"] == "sub/a.png"]
    assert [int(row["pixels"]) for row in table] == [int((ids(1) == k).sum()) for k in range(CLASSES)]
    assert sum(area["pixels"] for area in report.areas) == 4 * 30 * 40
    assert [item.done for item in told] == [1, 2, 3, 4]
    assert told[-1].seconds_left == 0
    assert read_image(out / "contact_sheet.jpg").shape[1] == 2 * 168


def test_the_page_is_complete_in_itself(folder: Path, tmp_path: Path) -> None:
    (folder / "<script>.png").write_bytes(picture(7))
    (folder / "bad.jpg").write_bytes(b"no picture")
    report = predict_batch([folder], Threshold(), tmp_path / "out")
    page = report.page.read_text()
    assert page.count("data:image/jpeg;base64,") == 5
    assert "http:" not in page
    assert "https:" not in page
    assert "<script>" not in page
    assert "<b>blue</b>" not in page
    assert "grün" in page
    assert "bad.jpg cannot be read" in page


def test_a_second_run_does_only_what_changed(folder: Path, tmp_path: Path) -> None:
    out, backend = tmp_path / "out", Threshold()
    predict_batch([folder], backend, out)
    assert backend.calls == 4
    assert predict_batch([folder], backend, out).kept == 4
    assert backend.calls == 4
    (folder / "a.png").write_bytes(picture(9))
    (out / "sub/a_overlay.jpg").unlink()
    (folder / "aa.png").write_bytes(picture(8))
    report = predict_batch([folder], backend, out)
    assert (backend.calls, report.kept, report.done) == (7, 2, 5)
    assert np.array_equal(mask_at(out / "a.png"), ids(9))
    assert len(rows(out / "areas.csv")) == 5 * CLASSES
    predict_batch([folder], Threshold("second"), out)  # another model: all anew
    settings = BatchConfig(predict=PredictConfig(overlap=0.5))
    assert predict_batch([folder], Threshold("second"), out, config=settings).kept == 0
    assert predict_batch([folder], Threshold("second"), out, config=settings).kept == 5
    assert predict_batch([folder], Threshold(), out, config=BatchConfig(resume=False)).kept == 0


def test_new_weights_under_the_same_card_are_noticed(folder: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    model.mkdir()
    (model / "model.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"1")
    predict_batch([folder], Threshold(), out, model=model)
    assert predict_batch([folder], Threshold(), out, model=model).kept == 4
    (model / "model.safetensors").write_bytes(b"2")
    assert predict_batch([folder], Threshold(), out, model=model).kept == 0


def test_pictures_keep_their_files_when_others_come_or_go(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "b.bmp").rename(tmp_path / "b.bmp")
    predict_batch([folder], Threshold(), out)
    before = mask_at(out / "b.png")
    (tmp_path / "b.bmp").rename(folder / "b.bmp")  # sorts before b.png
    assert predict_batch([folder], Threshold(), out).kept == 3
    assert np.array_equal(mask_at(out / "b.png"), before)
    assert (out / "b-2.png").is_file()


def test_one_bad_picture_costs_only_itself(folder: Path, tmp_path: Path) -> None:
    (folder / "aa.png").write_bytes(picture(0)[:200])
    (folder / "empty.png").touch()
    out, backend = tmp_path / "out", Threshold()
    report = predict_batch([folder], backend, out)
    assert report.done == 4
    assert {failed.picture for failed in report.failures} == {"aa.png", "empty.png"}
    table = rows(out / "failures.csv")
    assert [row["picture"] for row in table] == ["aa.png", "empty.png"]
    assert all(row["message"] and row["hint"] for row in table)
    assert predict_batch([folder], backend, out).failures == report.failures
    (folder / "aa.png").write_bytes(picture(5))  # mended
    assert predict_batch([folder], backend, out).done == 5


def test_what_nobody_foresaw_is_said_and_tried_again(folder: Path, tmp_path: Path) -> None:
    def fail(call: int) -> None:
        if call == 2:
            raise ZeroDivisionError("odd")

    out, backend = tmp_path / "out", Threshold()
    backend.at_call = fail
    report = predict_batch([folder], backend, out)
    assert report.done == 3
    assert "ZeroDivisionError: odd" in report.failures[0].message
    assert any("Traceback" in (entry.failure.trace if entry.failure else "") for entry in Journal(out).entries.values())
    assert predict_batch([folder], Threshold(), out).done == 4


def test_a_stack_gives_a_mask_for_each_page(tmp_path: Path) -> None:
    stack, single = tmp_path / "in/x.tif", tmp_path / "in/x_p0001.png"
    stack.parent.mkdir()
    pages = [Image.open(io.BytesIO(picture(seed))) for seed in (1, 2)]
    pages[0].save(stack, save_all=True, append_images=pages[1:])
    single.write_bytes(picture(3))
    out = tmp_path / "out"
    report = predict_batch([stack.parent], Threshold(), out)
    assert report.done == 2
    for name, seed in (("x~p0001", 1), ("x~p0002", 2), ("x_p0001", 3)):
        assert np.array_equal(mask_at(out / f"{name}.png"), ids(seed))
    assert {row["picture"] for row in rows(out / "areas.csv")} == {"x.tif, page 1", "x.tif, page 2", "x_p0001.png"}
    assert predict_batch([stack.parent], Threshold(), out).kept == 2


def test_a_zip_is_read_in_place_and_its_traversals_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good/a.png", picture(1))
        archive.writestr("../evil.png", picture(2))
        archive.writestr("a.png/b.png", picture(3))  # its folder is called like the mask of a
        archive.writestr("a.png", picture(4))
    out = tmp_path / "deep/out"
    report = predict_batch(open_source(path), Threshold(), out)
    assert report.done == 3
    assert len(report.refused) == 1
    assert "evil" in report.refused[0]
    assert not list(tmp_path.rglob("evil*"))
    assert np.array_equal(mask_at(out / "a.png"), ids(4))
    assert np.array_equal(mask_at(out / "a_png/b.png"), ids(3))


def test_several_places_do_not_mix(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = predict_batch([folder, folder / "a.png", folder / "sub/a.png"], Threshold(), out)
    assert (report.total, report.done) == (6, 6)
    assert np.array_equal(mask_at(out / "pictures/sub/a.png"), ids(1))
    assert np.array_equal(mask_at(out / "a.png"), ids(0))
    assert np.array_equal(mask_at(out / "2/a.png"), ids(1))


def test_results_inside_of_the_folder_are_no_pictures(folder: Path) -> None:
    out = folder / "predicted"
    assert predict_batch([folder], Threshold(), out).total == 4
    assert predict_batch([folder], Threshold(), out).total == 4
    with pytest.raises(ConfigError):
        predict_batch([folder], Threshold(), folder)
    with pytest.raises(ConfigError):
        predict_batch([folder / "a.png"], Threshold(), folder)
    (folder / "sub/sub").mkdir()
    (folder / "sub/sub/a.png").write_bytes(picture(3))
    before = {path: path.read_bytes() for path in folder.rglob("sub/**/*.png")}
    with pytest.raises(ConfigError):  # sub/a.png of the folder sub would be written over sub/sub/a.png
        predict_batch([folder / "sub"], Threshold(), folder)
    assert all(path.read_bytes() == data for path, data in before.items())


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ReadError, match="holds no picture"):
        predict_batch([tmp_path], Threshold(), tmp_path / "out")
    with pytest.raises(ReadError):
        predict_batch([tmp_path / "nowhere"], Threshold(), tmp_path / "out")
    with pytest.raises(ConfigError):
        BatchConfig(formats=("mask", "gif"))
    assert not (tmp_path / "out").exists()


def test_a_batch_that_is_stopped_goes_on(folder: Path, tmp_path: Path) -> None:
    out, backend = tmp_path / "out", Threshold()
    report = predict_batch([folder], backend, out, cancelled=lambda: backend.calls >= 2)
    assert (report.stopped, report.done) == (True, 2)
    assert "was stopped" in report.page.read_text()
    report = predict_batch([folder], backend, out)
    assert (report.stopped, report.done, report.kept, backend.calls) == (False, 4, 2, 4)


def test_a_full_disk_ends_the_batch_and_the_journal_stays_good(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, backend = tmp_path / "out", Threshold()
    write = files.write_bytes

    def full(path: Path, data: bytes, **options: Any) -> None:
        if backend.calls == 3:
            raise files.write_error(path, OSError(errno.ENOSPC, "full"))
        write(path, data, **options)

    monkeypatch.setattr("core.inference.batch.write_bytes", full)
    with pytest.raises(WriteError, match="the disk is full"):
        predict_batch([folder], backend, out)
    monkeypatch.undo()
    assert len(Journal(out).entries) == 2
    assert predict_batch([folder], backend, out).kept == 2
    assert backend.calls == 5


def test_a_journal_line_that_does_not_fit_on_the_disk_leaves_none_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, backend = tmp_path / "out", Threshold()

    def fail(handle: int) -> None:
        if backend.calls == 2 and (out / JOURNAL_FILE).samefile(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError):
        predict_batch([folder], backend, out)
    monkeypatch.undo()
    assert (out / JOURNAL_FILE).read_bytes().count(b"\n") == 1
    assert predict_batch([folder], backend, out).kept == 1


def test_a_killed_batch_leaves_half_a_line_at_most(folder: Path, tmp_path: Path) -> None:
    out, backend = tmp_path / "out", Threshold()
    predict_batch([folder], backend, out)
    journal = out / JOURNAL_FILE
    lines = journal.read_bytes().splitlines(keepends=True)
    hostile = json.loads(lines[0])
    hostile["picture"], hostile["stem"] = "b.png", "../../b"
    broken = [lines[0], b"\xff{garbage\n", b"[]\n", b'{"picture": 3}\n', json.dumps(hostile).encode() + b"\n"]
    journal.write_bytes(b"".join(broken) + lines[1][:40])
    assert list(Journal(out).entries) == [json.loads(lines[0])["picture"]]
    assert predict_batch([folder], backend, out).kept == 1
    assert len(Journal(out).entries) == 4
    assert not (tmp_path.parent / "b.png").exists()


def test_two_batches_do_not_share_a_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with files.locked(out / ".lock"), pytest.raises(WriteError, match="is writing to"):
        predict_batch([folder], Threshold(), out)


def test_results_without_thumbnails_still_make_a_report(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict_batch([folder], Threshold(), out, config=BatchConfig(formats=()))
    for path in (out / ".thumbnails").rglob("*.jpg"):
        path.write_bytes(b"")
    report = predict_batch([folder], Threshold(), out, config=BatchConfig(formats=()))
    assert report.kept == 4
    assert "data:image" not in report.page.read_text().split("</head>")[1]
