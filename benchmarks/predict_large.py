"""A large picture through `predict`: peak memory of the process, and the time beside that of the network alone.

    python -m benchmarks.predict_large [--size 6000x4000] [--network efficient_unet|unet-32|unet-64] [--rounds 3]

Each window goes through the network twice in a row, for `predict` and for the clock alone, so other programs disturb
both alike; the table holds medians over the rounds. Goal: under 1.5 GB, at most 1.05 times the network's time.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._memory import memory_mb
from core.annotation.labels import LabelSet
from core.images import ImageSize
from core.inference.backend import Backend
from core.networks.card import ModelCard, NetworkConfig

NETWORKS: Final = {
    "efficient_unet": NetworkConfig(),
    "unet-32": NetworkConfig(name="unet", width=32, depth=4, up="transposed"),
    "unet-64": NetworkConfig(name="unet", width=64, depth=4, up="transposed"),
}


class Measured(NamedTuple):
    """Seconds and ratio are medians of the rounds; memory is that of the whole process, torch and picture included."""

    windows: int
    side: tuple[int, int]
    precision: str
    loaded_mb: float
    peak_mb: float
    total: float
    network: float
    ratio: float


class Alternating:
    """A backend that computes each window twice: for the caller and, before or after in turn, for the clock alone."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.card = backend.card
        self.multiple_of = backend.multiple_of
        self.seconds = 0.0
        self._after = False

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self._after = not self._after
        result = self._backend.logits(batch) if self._after else None
        started = time.perf_counter()
        self._backend.logits(batch)
        self.seconds += time.perf_counter() - started
        return self._backend.logits(batch) if result is None else result


def measure(config: NetworkConfig, size: ImageSize, rounds: int) -> Measured:
    """Predict noise of `size`. To be called in a fresh process: its peak memory is part of the answer."""
    from core.inference.predict import predict
    from core.inference.torch_backend import load
    from core.inference.windows import plan_windows
    from core.networks import build_network
    from core.networks.checkpoint import save_checkpoint
    from core.networks.runtime import tune_allocator

    tune_allocator()
    card = ModelCard(config, LabelSet.of(["thing"]))
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), build_network(config), card)
        backend = load(Path(folder))
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    plan = plan_windows(size, window=card.window, overlap=0.2, multiple_of=config.multiple_of)
    side = (plan.rows.side, plan.columns.side)
    loaded = memory_mb("VmRSS")
    predict(image[: side[0], : side[1]], backend)  # the first call sets the network up for this size
    peak, totals, networks = 0.0, [], []
    for _ in range(rounds):
        alternating = Alternating(backend)
        started = time.perf_counter()
        predict(image, alternating)
        totals.append(time.perf_counter() - started - alternating.seconds)
        networks.append(alternating.seconds)
        peak = peak or memory_mb("VmHWM")
    ratio = statistics.median(total / network for total, network in zip(totals, networks, strict=True))
    total, network = statistics.median(totals), statistics.median(networks)
    return Measured(plan.total, side, backend.precision, loaded, peak, total, network, ratio)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="6000x4000", help="width x height in pixels")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(arguments)
    width, height = (int(number) for number in args.size.split("x"))
    print(f"predict on {width} x {height} pixels, medians of {args.rounds} rounds")
    print("| network | windows | precision | loaded MB | peak MB | predict s | network s | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name in args.network or ["efficient_unet"]:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(measure, NETWORKS[name], ImageSize(height, width), args.rounds).result()
        windows = f"{found.windows} of {found.side[1]} x {found.side[0]}"
        print(
            f"| {name} | {windows} | {found.precision} | {found.loaded_mb:.0f} | {found.peak_mb:.0f} "
            f"| {found.total:.2f} | {found.network:.2f} | {found.ratio:.3f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
