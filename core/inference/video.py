"""A video or a series of pictures through a Backend; windows that did not change are not computed again."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError, ReadError
from core.formats.source import SourceFile, open_source
from core.images import RGB, ImageSize, IntensityRule, check_size, read_image
from core.inference.backend import Backend
from core.inference.predict import Prediction, predict
from core.inference.rows import PredictConfig
from core.inference.windows import Window

VIDEO_SUFFIXES: Final = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
BLOCK: Final = 8  # pixels, the side of what may not change within a window
_HALF_MOST: Final = 60_000.0  # float16 ends at 65,504; beyond 80 softmax is certain anyway


@dataclass(frozen=True)
class ReuseConfig:
    """When a window counts as unchanged; differences are of values 0..255, to the frame at which it was computed.

    threshold: at most so much on average over the window; 0 reuses only what is exactly the same.
    block: at most so much on average over any BLOCK x BLOCK pixels in it, in each channel, so that a small thing that
    moves is not lost in a large window.  memory: MB of windows that are kept at most; further ones are computed always.
    The defaults (benchmarks/video.py) take sensor noise of up to 3 for no change: what they get wrong is less than what
    the same noise changes from frame to frame when all is computed. Without `block` a thing that moves is lost.
    """

    threshold: float = 4.0
    block: float = 6.0
    memory: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 255 or not 0 <= self.block <= 255:
            raise ConfigError(
                f"Windows cannot count as unchanged up to {self.threshold:g} ({self.block:g} in a block).",
                hint="Choose 0 to 255; 4 and 6 are usual.",
            )
        if self.memory < 0:
            raise ConfigError(f"{self.memory} MB cannot be kept.", hint="Choose 0 or more.")


class Frame(NamedTuple):
    """A frame of a series. number: from 1.  image: None where it could not be read, and `error` says why."""

    number: int
    name: str
    image: RGB | None
    error: ReadError | None = None


@dataclass(frozen=True)
class Frames:
    """A series. count: how many its file declares, None where unknown.  rate: frames a second, None for pictures.

    read: gives the frames in order, anew each time, one in memory at a time.
    """

    title: str
    count: int | None
    rate: float | None
    read: Callable[[], Iterator[Frame]]


class FrameResult(NamedTuple):
    """A frame with its Prediction, None where it could not be read. reused: share of its windows, 0 to 1."""

    frame: Frame
    prediction: Prediction | None
    reused: float


def frames(path: Path, *, intensity: IntensityRule | None = None) -> Frames:
    """The frames of a video file, or of a folder or zip of pictures in natural order.

    intensity: how pictures of more than 8 bits become 0..255. A picture that cannot be read is a Frame without image.
    Raises ReadError when there is no such file, it is no video that can be decoded, or there is no picture in it.
    """
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        return _video_frames(path)
    source = open_source(path)
    files = source.pictures()
    if not files:
        raise ReadError(
            f"{path.name} holds no frame.",
            hint=f"Choose a video ({', '.join(VIDEO_SUFFIXES)}), or a folder of pictures.",
        )
    return Frames(source.title, len(files), None, partial(_read_pictures, files, intensity))


def predict_frames(
    series: Iterable[Frame],
    backend: Backend,
    *,
    reuse: ReuseConfig | None = None,
    config: PredictConfig | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[FrameResult]:
    """Predict each frame of `series`, in order. reuse: when windows count as unchanged; None computes all.

    What is remembered is forgotten when the size changes. Raises Cancelled.
    """
    memory = FrameMemory(reuse) if reuse is not None else None
    size: tuple[int, ...] | None = None
    for frame in series:
        if frame.image is None:
            yield FrameResult(frame, None, 0.0)
            continue
        if memory is not None:
            memory.begin(same_size=frame.image.shape == size)
        size = frame.image.shape
        prediction = predict(frame.image, backend, config=config, memory=memory, cancelled=cancelled)
        yield FrameResult(frame, prediction, memory.reused if memory is not None else 0.0)


class _Kept(NamedTuple):
    """A window as it was computed: its pixels, and its logits in half precision, which moves a probability by 0.001."""

    pixels: RGB
    logits: NDArray[np.float16]

    @property
    def bytes(self) -> int:
        return self.pixels.nbytes + self.logits.nbytes


class FrameMemory:
    """A WindowMemory: gives logits again while a window's pixels are near those that they were computed of.

    The comparison is never with the frame before: small changes would add up unseen.
    """

    def __init__(self, config: ReuseConfig | None = None) -> None:
        self._config = config or ReuseConfig()
        self._kept: dict[Window, _Kept] = {}
        self._bytes = 0
        self._asked = self._recalled = 0

    def begin(self, *, same_size: bool = True) -> None:
        """A new frame begins; one of another size has nothing in common with what is kept."""
        self._asked = self._recalled = 0
        if not same_size:
            self._kept.clear()
            self._bytes = 0

    @property
    def reused(self) -> float:
        """The share of this frame's windows that were not computed; 0 where all of it was black."""
        return self._recalled / max(1, self._asked)

    @property
    def bytes(self) -> int:
        """What is kept now."""
        return self._bytes

    def recall(self, window: Window, pixels: RGB) -> NDArray[np.float32] | None:
        self._asked += 1
        known = self._kept.get(window)
        if known is None or not unchanged(known.pixels, pixels, self._config):
            return None
        self._recalled += 1
        return known.logits.astype(np.float32)

    def keep(self, window: Window, pixels: RGB, logits: NDArray[np.float32]) -> None:
        before = self._kept.pop(window, None)
        if before is not None:
            self._bytes -= before.bytes
        kept = _Kept(pixels.copy(), np.clip(logits, -_HALF_MOST, _HALF_MOST).astype(np.float16))
        # the first ones stay: to drop the oldest would drop each window just before the next frame asks for it
        if self._bytes + kept.bytes <= self._config.memory << 20:
            self._kept[window] = kept
            self._bytes += kept.bytes


def unchanged(before: RGB, now: RGB, config: ReuseConfig) -> bool:
    """Whether `now` counts as the same window as `before`, both (H, W, 3)."""
    if before.shape != now.shape:
        return False
    difference = cv2.absdiff(before, now)
    if sum(cv2.mean(difference)[:3]) / 3 > config.threshold:
        return False
    # at every place, not on a grid: a thing on the corner of four blocks would be four times as hard to see
    blocks = cv2.blur(difference, (BLOCK, BLOCK))  # to the nearest whole value
    return int(blocks.max()) <= config.block


# ---------------------------------------------------------------------------------------------------------- reading


def _read_pictures(files: list[SourceFile], intensity: IntensityRule | None) -> Iterator[Frame]:
    for number, file in enumerate(files, start=1):
        try:
            yield Frame(number, file.name, read_image(file.read(), intensity=intensity, name=file.name))
        except ReadError as error:  # one bad picture costs only itself
            yield Frame(number, file.name, None, error)


def _video_frames(path: Path) -> Frames:
    """What the header says; the first frame is decoded, because many a broken file opens."""
    capture = _open_video(path)
    try:
        count, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), float(capture.get(cv2.CAP_PROP_FPS))
        size = ImageSize(int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
        check_size(path.name, size)
        if not capture.read()[0]:
            raise ReadError(f"{path.name} holds no frame that can be decoded.", hint=_HINT)
    finally:
        capture.release()
    sane = np.isfinite(rate) and 0 < rate <= 1000
    return Frames(path.name, count if count > 0 else None, rate if sane else None, partial(_read_video, path))


_HINT: Final = "It may be cut off, or of an unusual kind. Convert it to MP4, or save its frames as pictures."


def _open_video(path: Path) -> cv2.VideoCapture:
    if not path.is_file():  # never a camera, an address or a pattern, which OpenCV would take as well
        raise ReadError(f"{path} is not there.", hint="Check the path.")
    try:
        capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    except cv2.error as error:
        raise ReadError(f"{path.name} cannot be read as a video ({error}).", hint=_HINT) from error
    if not capture.isOpened():
        capture.release()
        raise ReadError(f"{path.name} cannot be read as a video.", hint=_HINT)
    return capture


def _read_video(path: Path) -> Iterator[Frame]:
    capture = _open_video(path)
    try:
        for number in itertools.count(1):
            there, picture = capture.read()  # upright; blue first
            if not there:
                return
            check_size(path.name, ImageSize(*picture.shape[:2]))
            yield Frame(number, f"frame {number}", np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))
    finally:
        capture.release()
