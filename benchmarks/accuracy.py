"""How good a model each recipe reaches in the same computing time, on pictures that never trained.

    python -m benchmarks.accuracy [--core-seconds 480] [--seeds 2] [--protocols NAME ...] [--recipes NAME ...]
                                  [--labelled N] [--set KEY=VALUE] [--at-once 2]

Each training has so many seconds of one processor core, so that other work on the machine changes little. The splits
stand in benchmarks/_protocols.py. A row is the mean over the seeds of the test part's figures from one confusion
matrix each, and in brackets the lowest and highest.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from benchmarks._protocols import PROTOCOLS, Protocol, Split, read_split
from core.annotation.labels import IGNORE_ID
from core.annotation.raster import Mask
from core.images import RGB, ImageSize, IntensityRule, read_image
from core.inference.evaluate import Pair
from core.inference.metrics import ConfusionMatrix
from core.inference.predict import predict
from core.inference.torch_backend import network_backend
from core.networks.card import ModelCard
from core.networks.runtime import tune_allocator
from core.training.config import TrainingConfig
from core.training.loop import EpochResult, StepResult, TrainingData, train
from core.training.presets import DataFacts, propose
from core.training.tiles import LabelledPicture, PictureCache

RECIPES: Final[Mapping[str, Mapping[str, str]]] = {  # settings on top of what the app proposes for the preset
    "proposed": {},
    "plain unet": {"network.name": "unet", "network.width": "32", "augment": "none"},
}
_TIMED: Final = 4  # Steps, the first left out
_EPOCHS: Final = 5


def main() -> None:
    parser = argparse.ArgumentParser(description="Test figures of each recipe after equal computing time.")
    parser.add_argument("--core-seconds", type=float, default=480)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS), choices=PROTOCOLS)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--labelled", type=int, default=None, help="labelled training pictures, the others without")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for all")
    parser.add_argument("--at-once", type=int, default=2, help="trainings at the same time, a core each")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    settings = dict(text.split("=", 1) for text in args.set)
    if args.child:
        name, recipe, seed = args.child
        settings = {**RECIPES[recipe], **settings}
        print(json.dumps(_child(name, settings, int(seed), args.core_seconds, args.labelled)))
        return
    print(f"{args.core_seconds:g} s of one core each, {args.seeds} seed(s), settings {settings or 'as proposed'}")
    print("| set | recipe | steps | mean IoU of the labels | mean Dice, all classes | IoU of each label |")
    print("|---|---|---|---|---|---|", flush=True)
    with ThreadPoolExecutor(args.at_once) as pool:
        jobs = {
            (name, recipe): [pool.submit(_run, name, recipe, seed, args) for seed in range(args.seeds)]
            for name, recipe in product(args.protocols, args.recipes)
        }
        for (name, recipe), futures in jobs.items():
            print(_row(name, recipe, [future.result() for future in futures]), flush=True)


def _row(name: str, recipe: str, results: list[dict[str, Any]]) -> str:
    labels = ", ".join(
        f"{label} {_spread([result['iou'][label] for result in results])}" for label in results[0]["iou"]
    )
    mean, dice = (_spread([result[key] for result in results]) for key in ("mean_iou", "mean_dice"))
    return f"| {name} | {recipe} | {results[0]['steps']} | {mean} | {dice} | {labels} |"


def _spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    mean = statistics.mean(known)
    return f"{mean:.3f}" if len(known) == 1 else f"{mean:.3f} ({min(known):.3f}-{max(known):.3f})"


def _run(name: str, recipe: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.accuracy", "--core-seconds", str(args.core_seconds)]
    command += [part for text in args.set for part in ("--set", text)]
    command += ["--labelled", str(args.labelled)] if args.labelled is not None else []
    output = subprocess.run([*command, "--child", name, recipe, str(seed)], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    return result


# --------------------------------------------------------------------------------------------------------- one training


def _child(name: str, settings: Mapping[str, str], seed: int, seconds: float, labelled: int | None) -> dict[str, Any]:
    tune_allocator()
    torch.set_num_threads(1)
    protocol, split = PROTOCOLS[name], read_split(name, labelled=labelled)
    with tempfile.TemporaryDirectory() as spill:
        data, facts = _training_data(protocol, split, Path(spill))
        config = replace(propose(protocol.preset, facts), seed=seed, epochs=_EPOCHS).with_settings(settings)
        steps = max(_EPOCHS, round(seconds / _step_seconds(config, data)))
        config = replace(config, steps_per_epoch=max(1, steps // _EPOCHS))
        last = [result for result in train(config, data) if isinstance(result, EpochResult)][-1]
    backend = network_backend(last.network, ModelCard(config.network, split.labels))
    matrix = ConfusionMatrix(len(split.labels))
    for pair in split.test:
        image, truth = read_pair(pair, protocol.left_out)
        matrix.add(truth, predict(image, backend).mask)
    ious = dict(zip(split.labels.names[1:], matrix.iou()[1:], strict=True))
    return {
        "steps": config.steps,
        "mean_iou": matrix.mean_iou_foreground,
        "mean_dice": matrix.mean_dice,
        "iou": ious,
    }


def _step_seconds(config: TrainingConfig, data: TrainingData) -> float:
    """Of one core."""
    moments = []
    for result in train(config, data):
        if isinstance(result, StepResult):
            moments.append(time.process_time())
            if len(moments) > _TIMED:
                break
    return (moments[-1] - moments[0]) / (len(moments) - 1)


def read_pair(pair: Pair, left_out: int | None) -> tuple[RGB, Mask]:
    """Picture and Mask, decoded anew; the class `left_out` counts as not labelled."""
    with Image.open(pair.mask) as opened:
        mask = np.array(opened, np.uint8)
    if left_out is not None:
        mask[mask == left_out] = IGNORE_ID
    return read_image(pair.image), mask


def _training_data(protocol: Protocol, split: Split, spill: Path) -> tuple[TrainingData, DataFacts]:
    by_name = {pair.image.stem: pair for pair in split.train}
    listed, pixels = [], Counter[int]()
    for name, pair in by_name.items():
        mask = read_pair(pair, protocol.left_out)[1]
        counts = {int(i): int(n) for i, n in enumerate(np.bincount(mask.ravel())) if n and i != IGNORE_ID}
        pixels.update(counts)
        listed.append(LabelledPicture(name, ImageSize(*mask.shape), frozenset(counts) - {0}, counts))
    cache = PictureCache(lambda name: read_pair(by_name[name], protocol.left_out), budget=2 << 30, spill=spill)
    facts = DataFacts(len(listed), Counter(picture.size for picture in listed), pixels, len(split.labels))
    return TrainingData(split.labels, IntensityRule(), listed, [], cache), facts


if __name__ == "__main__":
    main()
