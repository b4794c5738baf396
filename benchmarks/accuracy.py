"""How good a model each recipe reaches in the same computing time, on pictures that never trained.

    python -m benchmarks.accuracy [--core-seconds 480] [--seeds 2] [--protocols NAME ...] [--recipes NAME ...]
                                  [--labelled N] [--set KEY=VALUE] [--at-once 2]

Each training has so many seconds of one processor core, so that other work on the machine changes little. The splits
stand in benchmarks/_protocols.py. A row is the mean over the seeds of the test part's figures from one confusion
matrix each, and in brackets the lowest and highest. "s a megapixel" is what one core takes to predict.
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
from core.images import RGB, ImageSize, IntensityRule, probe_image, read_image
from core.inference.evaluate import Pair
from core.inference.metrics import ConfusionMatrix
from core.inference.predict import predict
from core.inference.torch_backend import network_backend
from core.networks.card import ModelCard
from core.networks.network import Network
from core.networks.runtime import tune_allocator
from core.training.config import TrainingConfig
from core.training.loop import EpochResult, StepResult, TrainingData, train
from core.training.presets import CLASSIC, CLASSIC_SUFFIX, DataFacts, propose
from core.training.tiles import LabelledPicture, PictureCache

RECIPES: Final[Mapping[str, Mapping[str, str]]] = {  # settings on top of what the app proposes for the preset
    "proposed": {},
    "classic": {},  # the classic preset of the same kind, in as many Steps as the time allows
    "plain unet": {"network.name": "unet", "augment": "none"},
    "from scratch": {"pretrained": "no"},
    "unet 16": {"network.name": "unet", "network.width": "16"},
    "unet 32": {"network.name": "unet"},
    "residual unet 16": {"network.name": "residual_unet", "network.width": "16"},
    "unet 16, cbam": {"network.name": "unet", "network.width": "16", "network.attention": "cbam"},
    "unet 16, strided": {"network.name": "unet", "network.width": "16", "network.down": "strided"},
    "unet 16, group norm": {"network.name": "unet", "network.width": "16", "network.norm": "group"},
    "deep supervision": {"network.supervision": "2"},
    "early exits": {"network.supervision": "2", "network.early_exit": "yes"},
    "unet 16, early exits": {
        "network.name": "unet",
        "network.width": "16",
        "network.supervision": "2",
        "network.early_exit": "yes",
    },
}
_TIMED: Final = 2  # Steps, about
_EPOCHS: Final = 5


def main() -> None:
    parser = argparse.ArgumentParser(description="Test figures of each recipe after equal computing time.")
    parser.add_argument("--core-seconds", type=float, default=480)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS), choices=PROTOCOLS)
    parser.add_argument("--recipes", nargs="+", default=["proposed", "classic"], choices=RECIPES)
    parser.add_argument("--labelled", type=int, default=None, help="labelled training pictures, the others without")
    parser.add_argument("--tuning", action="store_true", help="test on a part of the training pictures")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for all")
    parser.add_argument("--at-once", type=int, default=2, help="trainings at the same time, a core each")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    settings = dict(text.split("=", 1) for text in args.set)
    if args.child:
        name, recipe, seed = args.child
        print(json.dumps(_child(name, recipe, settings, int(seed), args.core_seconds, args.labelled, args.tuning)))
        return
    print(f"{args.core_seconds:g} s of one core each, {args.seeds} seed(s), settings {settings or 'as proposed'}")
    print(
        "| set | recipe | steps | mean IoU of the labels | mean Dice, all classes | s a megapixel | IoU of each label |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
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
    cost = f"{statistics.mean(result['cost'] for result in results):.2f}"
    notes = "".join(f"; {result['note']}" for result in results if result["note"])
    return f"| {name} | {recipe} | {results[0]['steps']} | {mean} | {dice} | {cost} | {labels}{notes} |"


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
    command += ["--tuning"] if args.tuning else []
    output = subprocess.run([*command, "--child", name, recipe, str(seed)], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    return result


# --------------------------------------------------------------------------------------------------------- one training


def _child(
    name: str, recipe: str, settings: Mapping[str, str], seed: int, seconds: float, labelled: int | None, tuning: bool
) -> dict[str, Any]:
    tune_allocator()
    torch.set_num_threads(1)
    protocol, split = PROTOCOLS[name], read_split(name, labelled=labelled, tuning=tuning)
    with tempfile.TemporaryDirectory() as spill:
        data, facts = _training_data(protocol, split, Path(spill))
        preset = protocol.preset + (CLASSIC_SUFFIX if recipe == "classic" and protocol.preset in CLASSIC else "")
        settings = {**RECIPES[recipe], **settings}
        config = replace(propose(preset, facts), seed=seed, epochs=_EPOCHS).with_settings(settings)
        steps = max(_EPOCHS, round(seconds / _step_seconds(config, data)))
        config = replace(config, steps_per_epoch=max(1, steps // _EPOCHS))
        last = [result for result in train(config, data) if isinstance(result, EpochResult)][-1]
    card = ModelCard(config.network, split.labels, clean_up=config.clean_up)
    result = {"steps": config.steps, **_measured(last.network, card, protocol, split)}
    if config.network.early_exit:
        whole = _measured(last.network, replace(card, network=replace(card.network, early_exit=False)), protocol, split)
        result["note"] = f"whole network: {whole['mean_iou']:.3f}, {whole['cost']:.2f} s; {result['note']}"
    return result


def _measured(network: Network, card: ModelCard, protocol: Protocol, split: Split) -> dict[str, Any]:
    backend = network_backend(network, card)
    matrix, pixels, seconds = ConfusionMatrix(len(split.labels)), 0, 0.0
    for pair in split.test:
        image, truth = read_pair(pair, protocol.left_out)
        began = time.process_time()
        found = predict(image, backend).mask
        seconds += time.process_time() - began
        pixels += truth.size
        matrix.add(truth, found)
    return {
        "mean_iou": matrix.mean_iou_foreground,
        "mean_dice": matrix.mean_dice,
        "iou": dict(zip(split.labels.names[1:], matrix.iou()[1:], strict=True)),
        "cost": seconds / (pixels / 1e6),
        "note": f"windows by the output they ended at: {dict(sorted(backend.exits.items()))}" if backend.exits else "",
    }


def _step_seconds(config: TrainingConfig, data: TrainingData) -> float:
    """Of one core, in the middle of a training: then pictures without labels teach as well."""
    moments = []
    for result in train(replace(config, epochs=1, steps_per_epoch=2 * _TIMED), data):
        if isinstance(result, StepResult):
            moments.append(time.process_time())
    middle = moments[_TIMED // 2 :]
    return (middle[-1] - middle[0]) / (len(middle) - 1)


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
    unlabelled = {f"unlabelled {path.stem}": path for path in split.unlabelled}
    further = [LabelledPicture(name, probe_image(path).size, frozenset()) for name, path in unlabelled.items()]

    def read(name: str) -> tuple[RGB, Mask]:
        if name in by_name:
            return read_pair(by_name[name], protocol.left_out)
        image = read_image(unlabelled[name])
        return image, np.full(image.shape[:2], IGNORE_ID, np.uint8)

    cache = PictureCache(read, budget=2 << 30, spill=spill)
    facts = DataFacts(len(listed), Counter(picture.size for picture in listed), pixels, len(split.labels))
    return TrainingData(split.labels, IntensityRule(), listed, [], cache, further), facts


if __name__ == "__main__":
    main()
