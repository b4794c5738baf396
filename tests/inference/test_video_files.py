import csv
import errno
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from core import files
from core.errors import ReadError, WriteError
from core.inference.rows import Cancelled
from core.inference.video import ReuseConfig, frames, predict_frames
from core.inference.video_files import SeriesProgress, write_frames
from tests.inference.test_video import Threshold, series, still, write_video


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


def test_a_video_becomes_masks_an_overlay_and_areas(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 5, (70, 50))
    video, backend, told = frames(tmp_path / "v.mp4"), Threshold(), list[SeriesProgress]()
    results = predict_frames(video.read(), backend, reuse=ReuseConfig())
    out = tmp_path / "out"
    report = write_frames(results, backend.card.labels, out, total=video.count, rate=video.rate, progress=told.append)
    assert (report.frames, report.failures, report.stopped) == (5, (), False)
    assert [path.name for path in sorted((out / "masks").iterdir())] == [f"{n:06d}.png" for n in range(1, 6)]
    mask = np.asarray(Image.open(out / "masks/000001.png"))
    assert mask.shape == (50, 70)
    assert (mask == 2).all()
    areas = rows(out / "areas.csv")
    assert len(areas) == 5 * 3
    assert {row["label"]: row["pixels"] for row in areas[:3]} == {"_background_": "0", "a": "0", "b": "3500"}
    seen = cv2.VideoCapture(str(report.overlay))
    assert (seen.get(cv2.CAP_PROP_FRAME_COUNT), seen.get(cv2.CAP_PROP_FPS)) == (5, 12)
    assert seen.get(cv2.CAP_PROP_FRAME_WIDTH) == 70
    seen.release()
    assert told[-1] == (5, 5, "frame 5", 0.0)
    assert [path.name for path in out.iterdir() if path.suffix == ".mp4"] == ["overlay.mp4"]


def test_frames_of_different_sizes_and_bad_ones_go_through(tmp_path: Path) -> None:
    pictures = (still(side=65), None, still(side=90), still(side=20))
    results = predict_frames(series(*pictures), Threshold(), reuse=ReuseConfig())
    report = write_frames(results, Threshold.card.labels, tmp_path)
    assert report.frames == 3
    assert report.failures == (("2", "broken"),)
    for number, side in ((1, 65), (3, 90), (4, 20)):
        assert np.asarray(Image.open(tmp_path / f"masks/{number:06d}.png")).shape == (side, side)
    assert not (tmp_path / "masks/000002.png").exists()
    assert [row["failure"] for row in rows(tmp_path / "frames.csv")] == ["", "broken", "", ""]
    assert len(list(frames(tmp_path / "overlay.mp4").read())) == 3


def test_where_no_video_can_be_written_pictures_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses:
        fourcc = cv2.VideoWriter.fourcc

        def __init__(self, *_: Any) -> None: ...

        def isOpened(self) -> bool:
            return False

    monkeypatch.setattr(cv2, "VideoWriter", Refuses)
    report = write_frames(predict_frames(series(still(), still()), Threshold()), Threshold.card.labels, tmp_path)
    assert report.overlay == tmp_path / "overlay"
    assert [path.name for path in sorted(report.overlay.iterdir())] == ["000001.jpg", "000002.jpg"]
    assert not list(tmp_path.glob(".*.mp4"))


def test_a_full_disk_ends_it_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes, **options: Any) -> None:
        if path.name == "000002.png":
            raise files.write_error(path, OSError(errno.ENOSPC, "full"))
        files.write_bytes(path, data, **options)

    monkeypatch.setattr("core.inference.video_files.write_bytes", full)
    with pytest.raises(WriteError, match="the disk is full"):
        write_frames(predict_frames(series(still(), still()), Threshold()), Threshold.card.labels, tmp_path)
    assert not list(tmp_path.glob("**/*.part"))
    assert not list(tmp_path.glob("*.mp4"))
    assert len(rows(tmp_path / "areas.csv")) == 3


def test_a_video_that_the_disk_did_not_take_whole_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.inference.video_files._fitted", lambda picture, size: picture[:-2])  # OpenCV drops it
    with pytest.raises(WriteError, match="not saved whole"):
        write_frames(predict_frames(series(still()), Threshold()), Threshold.card.labels, tmp_path)
    assert not list(tmp_path.glob("**/*.mp4"))


def test_what_was_done_when_it_is_stopped_stays(tmp_path: Path) -> None:
    backend = Threshold()
    results = predict_frames(series(*[still()] * 3), backend, cancelled=lambda: backend.windows >= 72)
    report = write_frames(results, backend.card.labels, tmp_path)
    assert (report.stopped, report.frames) == (True, 2)
    assert len(list(frames(tmp_path / "overlay.mp4").read())) == 2
    with pytest.raises(Cancelled):
        list(predict_frames(series(still()), backend, cancelled=lambda: True))


def test_a_series_without_a_single_frame_is_refused(tmp_path: Path) -> None:
    for pictures in ((), (None,)):
        with pytest.raises(ReadError, match="Not one frame"):
            write_frames(predict_frames(series(*pictures), Threshold()), Threshold.card.labels, tmp_path)
