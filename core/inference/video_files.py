"""A predicted series as files: masks, an overlay to look at, and the areas of each frame.

<out>/masks/000001.png    the Mask of each frame, counted from 1
<out>/overlay.mp4         or overlay/000001.jpg where no video can be written here
<out>/areas.csv           frame, name, label, pixels, share
<out>/frames.csv          frame, name, share of windows that were not computed, seconds, what was wrong
"""

import csv
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import cv2
import numpy as np

from core.annotation.labels import LabelSet
from core.annotation.overlay import overlay
from core.errors import ReadError, WriteError
from core.files import locked, write_bytes, write_error
from core.formats.mask_png import write_mask_png
from core.images import RGB, encode_jpeg, shrink
from core.inference.export import class_areas
from core.inference.rows import Cancelled
from core.inference.video import FrameResult

RATE: Final = 10.0  # frames a second of an overlay of pictures
LONGEST: Final = 1920  # pixels, the longer side of the overlay; the masks have all


class SeriesProgress(NamedTuple):
    """done: frames, of `total` (None where the file does not say).  seconds_left: None until it is known."""

    done: int
    total: int | None
    name: str
    seconds_left: float | None


@dataclass(frozen=True)
class SeriesReport:
    """What a series came to. frames: with a Mask.  failures: name and reason.  reused: mean share of windows not
    computed.  overlay: the video, or the folder of JPEGs.  stopped: somebody asked it to stop before the end."""

    out: Path
    frames: int
    failures: tuple[tuple[str, str], ...]
    reused: float
    overlay: Path
    seconds: float
    stopped: bool

    def sentences(self) -> list[str]:
        """The outcome in words."""
        said = [f"{self.frames} frames are predicted in {self.out}; {self.reused:.0%} of windows had not changed."]
        if self.failures:
            said.append(f"{len(self.failures)} could not be read; frames.csv says why.")
        if self.stopped:
            said.append("It was stopped before the end.")
        return said


def write_frames(
    results: Iterable[FrameResult],
    labels: LabelSet,
    out: Path,
    *,
    total: int | None = None,
    rate: float | None = None,
    progress: Callable[[SeriesProgress], None] | None = None,
) -> SeriesReport:
    """Write each of `results` as it comes; one frame is in memory. total: how many are expected.  rate: of the overlay.

    Where `results` raises Cancelled, what is done until then is kept and the report says so.
    Raises WriteError (the masks until then are whole), and ReadError when not one frame could be read.
    """
    started = time.monotonic()
    areas: list[tuple[Any, ...]] = [("frame", "name", "label", "pixels", "share")]
    about: list[tuple[Any, ...]] = [("frame", "name", "reused", "seconds", "failure")]
    failures: list[tuple[str, str]] = []
    reused: list[float] = []
    stopped = False
    with locked(out / ".lock", wait=False), _Overlay(out, rate or RATE) as seen:
        try:
            last = started
            for result in results:
                frame, number, now = result.frame, result.frame.number, time.monotonic()
                if frame.image is None or result.prediction is None:
                    failures.append((frame.name, str(frame.error or "it could not be read")))
                else:
                    mask = result.prediction.mask
                    write_bytes(out / "masks" / f"{number:06d}.png", write_mask_png(mask, labels), durable=False)
                    seen.add(number, overlay(frame.image, mask, labels))
                    reused.append(result.reused)
                    areas += [
                        (number, frame.name, area["name"], area["pixels"], f"{area['share']:.6f}")
                        for area in class_areas(mask, labels)
                    ]
                reason = failures[-1][1] if result.prediction is None else ""
                about.append((number, frame.name, f"{result.reused:.4f}", f"{now - last:.3f}", reason))
                last = now
                if progress is not None:
                    left = None if total is None else (now - started) / number * max(0, total - number)
                    progress(SeriesProgress(number, total, frame.name, left))
        except Cancelled:
            stopped = True
        finally:
            write_bytes(out / "areas.csv", _csv(areas))
            write_bytes(out / "frames.csv", _csv(about))
    if not reused and not stopped:
        raise ReadError("Not one frame could be read.", hint=failures[0][1] if failures else "The series is empty.")
    mean = sum(reused) / max(1, len(reused))
    return SeriesReport(out, len(reused), tuple(failures), mean, seen.place, time.monotonic() - started, stopped)


class _Overlay:
    """The overlays as a video, which takes its name when it is whole; as JPEGs where OpenCV cannot write one."""

    def __init__(self, out: Path, rate: float) -> None:
        self._out, self._rate = out, rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)  # width, height
        self._part: Path | None = None
        self._written = 0
        self.place = out / "overlay.mp4"

    def __enter__(self) -> Self:
        return self

    def add(self, number: int, picture: RGB) -> None:
        """Raises WriteError."""
        small = shrink(picture, LONGEST)
        if self._writer is None and self.place.suffix:
            self._begin(small)
        if self._writer is None:
            write_bytes(self.place / f"{number:06d}.jpg", encode_jpeg(small), durable=False)
            return
        self._writer.write(cv2.cvtColor(_fitted(small, self._size), cv2.COLOR_RGB2BGR))
        self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None or self._part is None:
            return
        self._writer.release()
        try:
            if error is None:
                _check_whole(self._part, self._written)
                os.replace(self._part, self.place)
        except OSError as refused:
            raise write_error(self.place, refused) from refused
        finally:
            self._part.unlink(missing_ok=True)

    def _begin(self, first: RGB) -> None:
        self._size = (first.shape[1] + first.shape[1] % 2, first.shape[0] + first.shape[0] % 2)  # the codec wants even
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._out, prefix=".", suffix=".mp4")
            os.close(handle)
            os.chmod(name, 0o644)
        except OSError as refused:
            raise write_error(self.place, refused) from refused
        self._part = Path(name)
        writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*"mp4v"), self._rate, self._size)
        if writer.isOpened():
            self._writer = writer
            return
        self._part.unlink(missing_ok=True)
        self.place = self._out / "overlay"


def _fitted(picture: RGB, size: tuple[int, int]) -> RGB:
    """`picture` at the upper left of a frame of the video (width, height), shrunk where it is larger."""
    scale = min(1.0, size[0] / picture.shape[1], size[1] / picture.shape[0])
    if scale < 1:
        new = (max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, new, interpolation=cv2.INTER_AREA), np.uint8)
    missing = (size[1] - picture.shape[0], size[0] - picture.shape[1])
    return np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge" if max(missing) < 2 else "constant")


def _check_whole(path: Path, frames: int) -> None:
    """OpenCV says nothing when a disk is full: the video is opened again. Raises WriteError."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened() or int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) < frames:
            raise WriteError(
                "overlay.mp4 was not saved whole; the masks were.", hint="Is the disk full? Free some space."
            )
    finally:
        capture.release()


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8-sig", "replace")
