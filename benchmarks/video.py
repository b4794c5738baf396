"""A still scene with one thing that moves, with and without the reuse of windows that did not change.

    python -m benchmarks.video [--model CHECKPOINT] [--picture PICTURE] [--frames 30] [--noise 0 1 2] [--threads 2]

The picture is the background of all frames, a part of it moves across, and each frame gets its own sensor noise. Frame
by frame all settings predict in turn, so other programs disturb them alike. Printed: milliseconds a frame (median),
windows reused, and against the full computation the share of pixels of another class and the mean IoU, over all frames
and around the moving thing only.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from core.errors import ReadError
from core.images import RGB, read_image
from core.inference import load_backend
from core.inference.backend import Backend
from core.inference.metrics import ConfusionMatrix
from core.inference.predict import Prediction, predict
from core.inference.video import FrameMemory, ReuseConfig
from core.networks.runtime import share_cores, tune_allocator

ROOT: Final = Path(__file__).resolve().parents[1]
PICTURE: Final = ROOT.parent / "shared/data/roads_massachusetts_full/images"
SETTINGS: Final[dict[str, ReuseConfig | None]] = {
    "all computed": None,
    "exact (0, 0)": ReuseConfig(0, 0),
    "2, 6": ReuseConfig(2, 6),
    "4, 6 (default)": ReuseConfig(),
    "4, no cap": ReuseConfig(4, 255),
}


class Measured:
    """What one setting came to."""

    def __init__(self, classes: int) -> None:
        self.seconds: list[float] = []
        self.reused: list[float] = []
        self.all, self.moving = ConfusionMatrix(classes), ConfusionMatrix(classes)


def sequence(picture: RGB, count: int, side: int, noise: float) -> Iterator[tuple[RGB, tuple[slice, slice]]]:
    """Frames, and where the moving thing is in each: a square of the picture that goes along its diagonal."""
    random = np.random.default_rng(0)
    thing = picture[:side, -side:].copy()
    reach = np.array(picture.shape[:2]) - side
    for index in range(count):
        top, left = (reach * index // max(1, count - 1)).tolist()
        place = (slice(top, top + side), slice(left, left + side))
        frame = picture.copy()
        frame[place] = thing
        if noise:
            shaken = frame + random.normal(0, noise, frame.shape).astype(np.float32)
            frame = np.rint(shaken).clip(0, 255).astype(np.uint8)
        yield frame, place


def measure(backend: Backend, picture: RGB, count: int, side: int, noise: float) -> dict[str, Measured]:
    classes = backend.card.network.classes
    found = {name: Measured(classes) for name in SETTINGS}
    memories = {name: FrameMemory(config) if config else None for name, config in SETTINGS.items()}
    predict(picture, backend)  # the first call sets the network up for this size
    for number, (frame, place) in enumerate(sequence(picture, count, side, noise)):
        truth: Prediction | None = None
        for name, memory in memories.items():
            if memory is not None:
                memory.begin()
            started = time.perf_counter()
            prediction = predict(frame, backend, memory=memory)
            took = time.perf_counter() - started
            truth = truth or prediction
            measured = found[name]
            if number:  # in the first frame there is nothing to reuse
                measured.seconds.append(took)
                measured.reused.append(memory.reused if memory is not None else 0.0)
            measured.all.add(truth.mask, prediction.mask)
            measured.moving.add(truth.mask[place], prediction.mask[place])
    return found


def print_table(found: dict[str, Measured]) -> None:
    print("| setting | ms a frame | times | reused | other pixels | mean IoU | moving: other | moving: IoU |")
    print("|---|---|---|---|---|---|---|---|")
    base = statistics.median(found["all computed"].seconds)
    for name, measured in found.items():
        seconds = statistics.median(measured.seconds)
        print(
            f"| {name} | {1000 * seconds:.0f} | {base / seconds:.1f} | {statistics.mean(measured.reused):.0%} "
            f"| {_differ(measured.all):.4%} | {measured.all.mean_iou or 1:.4f} "
            f"| {_differ(measured.moving):.3%} | {measured.moving.mean_iou or 1:.4f} |",
            flush=True,
        )


def _differ(matrix: ConfusionMatrix) -> float:
    """The share of pixels that have another class."""
    return 1 - (matrix.pixel_accuracy or 0.0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "models/sample-town")
    parser.add_argument("--picture", type=Path, help="default: the first of shared/data/roads_massachusetts_full")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--side", type=int, default=48, help="pixels, of the moving thing")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.0, 2.0], help="standard deviation, of 0..255")
    args = parser.parse_args(arguments)
    tune_allocator()
    share_cores()
    path = args.picture or next(iter(sorted(PICTURE.glob("*"))), None)
    if path is None:
        raise ReadError(f"{PICTURE} is not there.", hint="Name a picture with --picture.")
    picture, backend = read_image(path), load_backend(args.model)
    print(f"{path.name}, {picture.shape[1]} x {picture.shape[0]}, {args.frames} frames, {args.side} pixels move")
    for noise in args.noise:
        print(f"\nnoise of {noise:g}")
        print_table(measure(backend, picture, args.frames, args.side, noise))
    return 0


if __name__ == "__main__":
    sys.exit(main())
