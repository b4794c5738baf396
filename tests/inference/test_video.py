from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError
from core.images import RGB, encode_png
from core.inference.predict import predict
from core.inference.rows import Cancelled
from core.inference.video import Frame, FrameMemory, ReuseConfig, frames, predict_frames, unchanged
from core.inference.windows import Window
from core.networks.card import ModelCard, NetworkConfig

SIDE = 300
WINDOWS = 36  # of a frame of 300 x 300


class Threshold:
    """A backend whose class is known for each pixel: the channel with the greatest value."""

    multiple_of = 4
    card = ModelCard(NetworkConfig("unet", classes=3, width=4, depth=2), LabelSet.of(["a", "b"]), window=64)

    def __init__(self) -> None:
        self.windows = 0

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.windows += len(batch)
        return 20 * batch


def still(seed: int = 0, side: int = SIDE) -> RGB:
    ids = np.random.default_rng(seed).integers(0, 3, (side, side), dtype=np.uint8)
    return np.asarray(np.eye(3, dtype=np.uint8)[ids] * 200)


def series(*pictures: RGB | None) -> Iterator[Frame]:
    for number, picture in enumerate(pictures, start=1):
        yield Frame(number, f"{number}", picture, None if picture is not None else ReadError("broken"))


def write_video(path: Path, count: int, size: tuple[int, int] = (64, 48)) -> list[RGB]:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12.0, size)
    assert writer.isOpened()
    pictures = [np.full((size[1], size[0], 3), (10 * number, 100, 200), np.uint8) for number in range(count)]
    for picture in pictures:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return pictures


def test_only_what_moves_is_computed_again_and_nothing_is_lost() -> None:
    pictures = [still()]
    for step in range(1, 5):
        pictures.append(still())
        pictures[-1][20 : 20 + 12, 10 * step : 10 * step + 12] = (0, 0, 200)
    backend = Threshold()
    found = list(predict_frames(series(*pictures), backend, reuse=ReuseConfig()))
    assert found[0].reused == 0
    assert all(result.reused >= 0.8 for result in found[1:])
    assert backend.windows < WINDOWS + 4 * 6
    for result, picture in zip(found, pictures, strict=True):
        assert result.prediction is not None
        assert np.array_equal(result.prediction.mask, picture.argmax(axis=2))
    assert found[-1].frame.number == 5


def test_without_reuse_each_frame_is_computed() -> None:
    backend = Threshold()
    found = list(predict_frames(series(still(), still()), backend))
    assert backend.windows == 2 * WINDOWS
    assert [result.reused for result in found] == [0, 0]


def test_the_same_frame_gives_the_same_prediction() -> None:
    first, second = predict_frames(series(still(), still()), Threshold(), reuse=ReuseConfig(0, 0))
    assert first.prediction is not None
    assert second.prediction is not None
    assert second.reused == 1
    assert np.array_equal(first.prediction.mask, second.prediction.mask)
    difference = np.abs(first.prediction.confidence.astype(int) - second.prediction.confidence)
    assert difference.max() <= 1  # half precision


def test_slow_changes_add_up_until_they_are_seen() -> None:
    """Each frame is one value brighter than the last: never more than the threshold from frame to frame."""
    pictures = [np.full((64, 64, 3), 50 + step, np.uint8) for step in range(10)]
    reused = [result.reused for result in predict_frames(series(*pictures), Threshold(), reuse=ReuseConfig(2, 6))]
    assert reused == [0, 1, 1, 0, 1, 1, 0, 1, 1, 0]


def test_a_small_thing_counts_as_much_in_a_large_window() -> None:
    before = np.full((512, 512, 3), 90, np.uint8)
    for place in (0, 5, 250, 504):
        now = before.copy()
        now[place : place + 8, place : place + 8, 2] += 20
        assert not unchanged(before, now, ReuseConfig())
        assert unchanged(before, now, ReuseConfig(block=255))


def test_noise_of_a_camera_counts_as_unchanged() -> None:
    random = np.random.default_rng(0)
    scene = still(side=256).astype(float) * 0.5 + 60
    before, now = (np.rint(scene + random.normal(0, 1, scene.shape)).astype(np.uint8) for _ in range(2))
    assert unchanged(before, now, ReuseConfig())
    assert not unchanged(before, now, ReuseConfig(0, 0))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 20), st.floats(0, 60))
def test_unchanged_is_what_its_words_say(seed: int, threshold: float, block: float) -> None:
    random = np.random.default_rng(seed)
    before = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    change = random.integers(-20, 21, before.shape) * (random.random((20, 24, 1)) < random.random())
    now = (before + change).clip(0, 255).astype(np.uint8)
    difference = np.abs(before.astype(int) - now)
    views = np.lib.stride_tricks.sliding_window_view(difference, (8, 8), axis=(0, 1))
    worst = views.mean(axis=(-1, -2)).max()
    if unchanged(before, now, ReuseConfig(threshold, block)):
        assert difference.mean() <= threshold + 1e-9
        assert worst <= block + 0.5
    elif difference.mean() <= threshold:
        padded = np.pad(difference, ((8, 8), (8, 8), (0, 0)), mode="reflect")  # blocks at the edge see mirrored pixels
        edge = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), axis=(0, 1)).mean(axis=(-1, -2)).max()
        assert edge >= block - 0.5


def test_another_size_begins_anew() -> None:
    backend = Threshold()
    sizes = (64, 64, 80, 80, 64)
    pictures = [still(side=side) for side in sizes]
    found = list(predict_frames(series(*pictures), backend, reuse=ReuseConfig()))
    assert [result.reused for result in found] == [0, 1, 0, 1, 0]
    for result, side in zip(found, sizes, strict=True):
        assert result.prediction is not None
        assert result.prediction.mask.shape == (side, side)


def test_memory_is_bounded_and_what_is_kept_stays_kept() -> None:
    memory = FrameMemory(ReuseConfig(memory=1))
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    logits = np.zeros((3, 256, 256), np.float32)
    windows = [Window(0, 100 * place, 256, 256) for place in range(4)]
    for _ in range(2):
        for window in windows:
            if memory.recall(window, pixels) is None:
                memory.keep(window, pixels, logits)
    assert memory.bytes == pixels.nbytes + logits.nbytes // 2
    assert memory.reused == 1 / 8
    for _ in range(3):
        memory.keep(windows[0], pixels, logits)
    assert memory.bytes <= 1 << 20
    memory.begin(same_size=False)
    assert memory.bytes == 0


def test_extreme_logits_stay_finite() -> None:
    memory, pixels = FrameMemory(), np.zeros((4, 4, 3), np.uint8)
    memory.keep(Window(0, 0, 4, 4), pixels, np.float32([[[1e6]], [[-1e6]]]))
    found = memory.recall(Window(0, 0, 4, 4), pixels)
    assert found is not None
    assert np.isfinite(found).all()


def test_a_bad_frame_costs_only_itself() -> None:
    found = list(predict_frames(series(still(), None, still()), Threshold(), reuse=ReuseConfig()))
    assert [result.prediction is None for result in found] == [False, True, False]
    assert found[2].reused == 1


def test_it_stops_when_asked() -> None:
    results = predict_frames(series(still(), still()), Threshold(), cancelled=lambda: True)
    with pytest.raises(Cancelled):
        next(results)


def test_frames_of_a_folder_come_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        (tmp_path / f"frame{number}.png").write_bytes(encode_png(np.full((8, 8, 3), number, np.uint8)))
    (tmp_path / "frame2.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no frame")
    found = frames(tmp_path)
    assert (found.count, found.rate) == (4, None)
    for _ in range(2):  # anew each time
        read = list(found.read())
        assert [frame.name for frame in read] == ["frame1.png", "frame2.png", "frame9.png", "frame10.png"]
        assert [None if frame.image is None else frame.image[0, 0, 0] for frame in read] == [1, None, 9, 10]
        assert "frame2.png" in str(read[1].error)


def test_frames_of_a_video_are_rgb(tmp_path: Path) -> None:
    pictures = write_video(tmp_path / "v.mp4", 6)
    found = frames(tmp_path / "v.mp4")
    assert (found.count, found.rate) == (6, 12.0)
    read = list(found.read())
    assert [frame.number for frame in read] == [1, 2, 3, 4, 5, 6]
    for frame, picture in zip(read, pictures, strict=True):
        assert frame.image is not None
        assert frame.image.shape == picture.shape
        assert np.abs(frame.image.astype(int) - picture).max() < 12  # the codec loses a little


def test_a_damaged_video_is_refused_in_a_sentence(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 6)
    whole = (tmp_path / "v.mp4").read_bytes()
    hostile = {
        "empty.mp4": b"",
        "noise.avi": np.random.default_rng(0).bytes(5000),
        "cut.mp4": whole[: len(whole) // 2],
        "text.mkv": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n",
        "concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
    }
    for name, data in hostile.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ReadError, match=name):
            frames(tmp_path / name)
    with pytest.raises(ReadError, match="not there"):
        frames(tmp_path / "nothing.mp4")
    with pytest.raises(ReadError, match="not there"):
        frames(tmp_path / "img_%03d.mp4")
    (tmp_path / "sub").mkdir()
    with pytest.raises(ReadError, match="holds no frame"):
        frames(tmp_path / "sub")


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"threshold": -1.0}, {"block": 256.0}, {"memory": -1}, {"threshold": float("nan")}):
        with pytest.raises(ConfigError):
            ReuseConfig(**wrong)  # type: ignore[arg-type]


def test_reused_windows_blend_as_computed_ones() -> None:
    """Half of the windows remembered, half computed: the same mask as all computed."""
    before, now = still(1), still(1)
    now[:, 150:] = still(2)[:, 150:]
    backend = Threshold()
    *_, last = predict_frames(series(before, now), backend, reuse=ReuseConfig(0, 0))
    assert last.prediction is not None
    assert 0.3 < last.reused < 0.6
    assert np.array_equal(last.prediction.mask, predict(now, Threshold()).mask)
