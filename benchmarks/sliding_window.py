"""Our windows against MONAI's sliding_window_inference: same network, window, overlap and precision.

    python -m benchmarks.sliding_window [--side 4096] [--rounds 2]

Each way in a process of its own, in turns. Memory is the peak beside the loaded network, which has computed one window.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from benchmarks._memory import memory_mb
from core.images import ImageSize
from core.inference.predict import predict
from core.inference.rows import PredictConfig, plan_of
from core.inference.torch_backend import TorchBackend, load
from core.networks.runtime import share_cores, tune_allocator
from core.project.home import REPOSITORY

_WAYS: Final = ("maskloop", "monai")
_MODEL: Final = REPOSITORY / "models" / "sample-town"
_OVERLAP: Final = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", choices=_WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.child:
        share_cores()
        tune_allocator()
        print(json.dumps(_measured(args.child, args.side)))
        return 0
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in _WAYS}
    for _ in range(args.rounds):
        for way in _WAYS:
            command = [sys.executable, "-m", "benchmarks.sliding_window", "--child", way, "--side", str(args.side)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[way].append(json.loads(output.splitlines()[-1]))
    print(f"{args.side} x {args.side} pixels, overlap {_OVERLAP:g}, {found['maskloop'][0]['precision']}")
    print("| way | seconds, median | windows | peak memory beside the network, MB |")
    print("|---|---|---|---|")
    for way, runs in found.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        print(f"| {way} | {seconds:.2f} | {runs[0]['windows']} | {statistics.median(run['mb'] for run in runs):.0f} |")
    return 0


def _measured(way: str, side: int) -> dict[str, Any]:
    backend = load(_MODEL)
    image = np.random.default_rng(0).integers(1, 256, (side, side, 3), dtype=np.uint8)
    plan = plan_of(ImageSize(side, side), backend, PredictConfig(overlap=_OVERLAP))
    window = plan.rows.side
    predict(image[:window, :window], backend)
    before = memory_mb("VmRSS")
    began = time.perf_counter()
    if way == "maskloop":
        predict(image, backend, config=PredictConfig(overlap=_OVERLAP))
        windows = plan.total
    else:
        windows = _by_monai(image, backend, window)
    seconds = time.perf_counter() - began
    peak = memory_mb("VmHWM") - before
    return {"seconds": seconds, "windows": windows, "mb": peak, "precision": backend.precision}


def _by_monai(image: np.ndarray[Any, Any], backend: TorchBackend, window: int) -> int:
    """Gaussian blending, as ours; how many windows it computed."""
    from monai.inferers import sliding_window_inference

    seen = 0

    def network(batch: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += len(batch)
        return torch.from_numpy(backend.logits(batch.numpy())).softmax(dim=1)

    picture = torch.from_numpy(backend.card.normalisation.apply(image))[None]
    with torch.inference_mode():
        found = sliding_window_inference(
            picture, (window, window), 1, network, overlap=_OVERLAP, mode="gaussian", padding_mode="reflect"
        )
    assert isinstance(found, torch.Tensor)
    found.argmax(dim=1).to(torch.uint8).numpy()
    return seen


if __name__ == "__main__":
    sys.exit(main())
