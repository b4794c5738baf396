"""Training speed and what it brings: our default against the naive recipe, in turns, each in its own process.

    python -m benchmarks.training_speed [--rounds 3] [--seconds 600] [--set nuclei_dsb2018]

Naive: UNet of 31 M parameters, float32, contiguous tensors, PNG decoded for each crop, nothing cached, glibc's own
malloc, AdamW, cross entropy. Both train on Tiles of 256 x 256 in batches of 8. First table: Tiles a second, the first
Step left out, and the most memory that the process had. Second: IoU of the validation pictures after `--seconds` of the
naive recipe and after parts of that time of ours, its schedule fitted to each (0 leaves it out).
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks._sets import LabelledSet, measure, read_pair, read_set, training_data
from core.inference.bench import peak_memory
from core.inference.torch_backend import network_backend
from core.networks import build_network
from core.networks.card import ModelCard, NetworkConfig
from core.networks.network import Network
from core.networks.runtime import tune_allocator
from core.training.config import TrainingConfig
from core.training.loop import EpochResult, train

_BATCH, _TILE = 8, 256
_STEPS = {"naive": 2, "ours": 10}  # timed in a round, after the first
_PARTS = (1 / 40, 1 / 20, 1 / 10)  # of the naive recipe's time, for ours
Recipe = Callable[[LabelledSet, float, int], Iterator[Network]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Training speed against the naive recipe.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=600, help="naive training before the IoU is measured; 0: leave out"
    )
    parser.add_argument("--set", default="nuclei_dsb2018")
    parser.add_argument("--child", choices=list(_RECIPES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(_child(args.child, args.set, args.seconds)))
        return
    speeds: dict[str, list[float]] = {name: [] for name in _RECIPES}
    peaks = dict.fromkeys(_RECIPES, 0.0)
    for _ in range(args.rounds):
        for name in _RECIPES:
            result = _run(name, args.set, 0)
            speeds[name].append(result["tiles_per_second"])
            peaks[name] = max(peaks[name], result["peak_mb"])
    print(
        f"{args.set}, batch {_BATCH} of {_TILE} x {_TILE}, "
        f"{torch.get_num_threads()} threads, {args.rounds} rounds in turns"
    )
    print("| recipe | tiles a second: median | lowest | highest | peak memory, MB |")
    print("|---|---|---|---|---|")
    for name, values in speeds.items():
        figures = f"{statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} | {peaks[name]:.0f}"
        print(f"| {name} | {figures} |")
    print(f"\nours / naive: {statistics.median(speeds['ours']) / statistics.median(speeds['naive']):.1f}")
    if args.seconds:
        print("\n| recipe | seconds of training | steps | mean IoU of the labels, validation |")
        print("|---|---|---|---|")
        for name, part in (("naive", 1.0), *(("ours", part) for part in _PARTS)):
            result = _run(name, args.set, part * args.seconds)
            print(f"| {name} | {part * args.seconds:.0f} | {result['steps']} | {result['iou']:.3f} |", flush=True)


def _run(recipe: str, name: str, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.training_speed", "--child", recipe, "--set", name]
    command += ["--seconds", str(seconds)]
    surroundings = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}  # for both: a busy machine disturbs them equally
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=surroundings).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def _child(recipe: str, name: str, seconds: float) -> dict[str, Any]:
    """Train for `seconds` and measure, or with 0 only time some Steps."""
    chosen, moments = read_set(name), list[float]()
    steps = math.inf if seconds else _STEPS[recipe] + 1
    began = time.monotonic()
    for trained in _RECIPES[recipe](chosen, seconds, _STEPS[recipe] + 1):
        network = trained
        moments.append(time.monotonic())
        if len(moments) >= steps or (seconds and moments[-1] - began >= seconds):
            break
    durations = np.diff(moments)
    result: dict[str, Any] = {"steps": len(moments), "tiles_per_second": _BATCH / float(np.median(durations))}
    result["peak_mb"] = peak_memory() / 1e6
    if seconds:
        card = ModelCard(_config(recipe, chosen), chosen.labels)
        result["iou"] = measure(network_backend(network.eval(), card), chosen.val).mean_iou_foreground
    return result


def _config(recipe: str, chosen: LabelledSet) -> NetworkConfig:
    classes = len(chosen.labels)
    if recipe == "ours":
        return replace(TrainingConfig().network, classes=classes)
    return NetworkConfig(name="unet", classes=classes, width=64, depth=4, up="transposed")


def _ours(chosen: LabelledSet, seconds: float, steps: int) -> Iterator[Network]:
    """The default, its schedule fitted to the time; yields the averaged network after each Step."""
    tune_allocator()
    config = TrainingConfig(
        network=_config("ours", chosen),
        batch=_BATCH,
        tile=_TILE,
        augment="cell",
        epochs=100_000 if seconds else steps,
        steps_per_epoch=1,
        minutes=seconds / 60 if seconds else None,
    )
    with tempfile.TemporaryDirectory() as spill:
        for result in train(config, training_data(chosen, Path(spill))):
            if isinstance(result, EpochResult):
                yield result.network


def _naive(chosen: LabelledSet, seconds: float, steps: int) -> Iterator[Network]:
    network = build_network(_config("naive", chosen)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=False, foreach=False)
    random = np.random.default_rng(0)
    while True:
        crops = [_naive_crop(chosen, random) for _ in range(_BATCH)]
        images = torch.stack([torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image, _ in crops])
        target = torch.stack([torch.from_numpy(mask).long() for _, mask in crops])
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network((images.contiguous() * 255 - 127) / 128), target, ignore_index=255)
        loss.backward()
        optimizer.step()
        yield network


def _naive_crop(chosen: LabelledSet, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random crop of a picture that is decoded for it, mirrored or not."""
    image, mask = read_pair(chosen.train[random.integers(len(chosen.train))])
    height, width = mask.shape
    below, right = max(0, _TILE - height), max(0, _TILE - width)
    image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="reflect")
    mask = np.pad(mask, ((0, below), (0, right)), constant_values=255)
    top, left = random.integers(mask.shape[0] - _TILE + 1), random.integers(mask.shape[1] - _TILE + 1)
    area = np.s_[top : top + _TILE, left : left + _TILE]
    turn = -1 if random.random() < 0.5 else 1
    return image[area][:, ::turn].copy(), mask[area][:, ::turn].copy()


_RECIPES: dict[str, Recipe] = {"naive": _naive, "ours": _ours}


if __name__ == "__main__":
    main()
