"""How long a training takes on this machine, and how much memory: measured, and remembered by settings.

`<projects home>/.machine.json` holds seconds a Step for each network, Tile and batch that was timed or trained here. A
page asks `cached_estimate`, which answers at once; where it knows nothing it shows `rough_estimate` and calls
`measure_in_background`.
"""

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Final

import numpy as np

from core.errors import ReadError
from core.files import locked, read_json, write_json
from core.project.home import projects_home
from core.project.split import VALIDATION_SHARE
from core.training.config import TrainingConfig
from core.training.presets import DataFacts

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_STEPS: Final = 5  # timed; the median leaves out the first, slow one
_STARTING: Final = 6.0  # seconds: libraries, weights, first pictures
_FORWARD_SHARE: Final = 1 / 3  # of a Step: the backward pass costs twice the forward one
_OVERLAP: Final = 1.4  # windows with 20 % overlap compute so many times the picture's pixels

# For a first guess: microseconds a pixel and Step on two cores with bfloat16, and bytes a pixel that a Step keeps.
_UNET_32: Final = (1.8, 1400)
_EFFICIENT_16: Final = (0.9, 900)
_PROCESS_BYTES: Final = 500_000_000  # the libraries

_measuring: list[subprocess.Popen[bytes]] = []


def cached_estimate(config: TrainingConfig, facts: DataFacts) -> float | None:
    """Seconds that the training takes; None when these settings were never timed here. Fast enough for a page."""
    step = _known().get(_key(config))
    return None if step is None else _whole(config, facts, step)


def rough_estimate(config: TrainingConfig, facts: DataFacts) -> float:
    """Seconds by figures of another machine; right within a factor of three or so."""
    cores = os.cpu_count() or 2
    step = config.step_tiles * config.tile**2 * _size(config)[0] * 1e-6 * 2 / min(cores, 16)
    return _whole(config, facts, step)


def estimate_seconds(config: TrainingConfig, facts: DataFacts) -> float:
    """Seconds that the training takes: as remembered, or else some Steps are timed now (takes seconds, loads torch)."""
    if _key(config) not in _known():
        remember_step(config, time_step(config))
    return _whole(config, facts, _known()[_key(config)])


def measure_in_background(config: TrainingConfig) -> None:
    """Time these settings in a process of its own and return at once; `cached_estimate` knows them seconds later."""
    stop_measuring()  # of other settings: nobody waits for them any more
    process = subprocess.Popen(
        [sys.executable, "-m", "core.training.estimate", json.dumps(config.to_json())],
        cwd=_REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _measuring.append(process)
    threading.Thread(target=process.wait, name="measure", daemon=True).start()  # so that it leaves no zombie


def stop_measuring() -> None:
    """End the measurements of this server, so that a training has the machine to itself; it measures as it goes."""
    ended, _measuring[:] = tuple(_measuring), []
    for process in ended:
        process.kill()  # one that ended by itself is left alone


def estimate_memory(config: TrainingConfig) -> int:
    """Bytes that the training process needs, about: what a Step keeps for the backward pass, and the libraries."""
    return _PROCESS_BYTES + round(config.batch * config.tile**2 * _size(config)[1])


def remember_step(config: TrainingConfig, seconds: float) -> None:
    """Keep what a Step takes with these settings."""
    path = projects_home() / ".machine.json"
    with locked(path.with_suffix(".lock")):
        write_json(path, {**_known(), _key(config): round(seconds, 4)}, durable=False)


def time_step(config: TrainingConfig) -> float:
    """Seconds of one Step on made-up Tiles: the median of a few."""
    from core.annotation.labels import LabelSet
    from core.images import ImageSize, IntensityRule
    from core.training.loop import StepResult, TrainingData, train
    from core.training.tiles import LabelledPicture, PictureCache

    side, classes = config.tile, config.network.classes
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (side, side, 3), np.uint8)
    mask = random.integers(0, classes, (side // 16, side // 16), np.uint8).repeat(16, 0).repeat(16, 1)
    mask = np.pad(mask, ((0, side - len(mask)), (0, side - len(mask))))
    cache = PictureCache(lambda name: (image, mask), budget=1 << 30, spill=projects_home() / ".unused")
    labels = LabelSet.of(f"label {i}" for i in range(1, classes))
    picture = LabelledPicture("made up", ImageSize(side, side), frozenset(range(1, classes)))
    data = TrainingData(labels, IntensityRule(), [picture], [], cache)
    seconds = [0.0]
    for result in train(config, data):
        if isinstance(result, StepResult):
            seconds.append(result.seconds)
            if len(seconds) > _STEPS:
                break
    return median_step(seconds)


def median_step(seconds: Sequence[float]) -> float:
    """The median time between the moments at which Steps ended."""
    return statistics.median(b - a for a, b in itertools.pairwise(seconds))


def _whole(config: TrainingConfig, facts: DataFacts, step: float) -> float:
    """Seconds of the training: its Steps, its validations, and the measurement at the end (two models at most)."""
    per_pixel = step / (config.step_tiles * config.tile**2) * _FORWARD_SHARE * _OVERLAP
    validated = VALIDATION_SHARE * facts.total_pixels
    after_each = min(validated, config.validation_megapixels * 1e6) * per_pixel
    whole = config.steps * step + math.ceil(config.epochs / config.validate_every) * after_each
    if config.minutes is not None:
        whole = min(whole, config.minutes * 60)
    return _STARTING + whole + 2 * validated * per_pixel


def _size(config: TrainingConfig) -> tuple[float, float]:
    """Microseconds and bytes a pixel, from the network's width: the work grows with its square, memory with itself."""
    network = config.network
    (time_, memory), width = (_EFFICIENT_16, 16) if network.name == "efficient_unet" else (_UNET_32, 32)
    times = network.width / width
    return time_ * times**1.7, memory * times


def _known() -> dict[str, float]:
    try:
        value = read_json(projects_home() / ".machine.json")
    except ReadError:
        return {}  # nothing was timed yet, or the file is damaged: it is a cache
    return value if isinstance(value, dict) else {}


def _key(config: TrainingConfig) -> str:
    shape = " ".join(str(value) for value in astuple(config.network))
    tiles = f"{config.accumulate} x {config.batch} of {config.tile}"
    return f"{shape}, {tiles}, {config.device} {config.precision}, {os.cpu_count()} cores"


def main(arguments: Sequence[str]) -> None:
    from core.networks.runtime import share_cores, tune_allocator
    from core.process import give_way

    give_way()
    tune_allocator()
    share_cores()
    config = TrainingConfig.from_json(json.loads(arguments[0]))
    remember_step(config, time_step(config))


if __name__ == "__main__":
    main(sys.argv[1:])
