"""Which network is the default: equal computing time for each, the IoU of whole validation pictures after it.

    python -m benchmarks.default_network [--seconds 120] [--seeds 1] [--sets nuclei_dsb2018 ...] [--networks ...]

Time is that of one processor core, so that other work on the machine changes nothing: a Step of each network is timed,
and each trains for as many Steps as fit. Else all settings are the Preset's.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks._sets import measure, read_set, training_data
from core.inference.torch_backend import network_backend
from core.networks.card import ModelCard
from core.networks.runtime import tune_allocator
from core.training.loop import EpochResult, StepResult, train
from core.training.presets import PRESETS

_SETS = {
    "nuclei_dsb2018": "cell",
    "isbi2012_membrane": "medical",
    "buildings_oam": "satellite",
    "street_camvid": "general",
    "defects_neu_steel": "industrial",
}
_NETWORKS = {
    "efficient_unet, ImageNet": {},
    "efficient_unet, from scratch": {"pretrained": "no"},
    "unet 16": {"network.name": "unet", "network.width": "16"},
    "unet 32": {"network.name": "unet", "network.width": "32"},
}
_TIMED = 4  # Steps, the first left out
_EPOCHS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description="IoU of each network after equal computing time.")
    parser.add_argument("--seconds", type=float, default=120, help="of one core, for each training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--sets", nargs="+", default=["nuclei_dsb2018", "isbi2012_membrane", "buildings_oam"], choices=_SETS
    )
    parser.add_argument("--networks", nargs="+", default=list(_NETWORKS), choices=_NETWORKS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for all")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    settings = dict(text.split("=", 1) for text in args.set)
    if args.child:
        name, network, seed = args.child
        print(json.dumps(_child(name, network, int(seed), args.seconds, settings)))
        return
    print(f"{args.seconds:g} s of one core each, {args.seeds} seed(s), batch and tile of the preset")
    print("| set | network | steps | mean IoU of the labels, validation | lowest | highest |")
    print("|---|---|---|---|---|---|")
    for name in args.sets:
        for network in args.networks:
            results = [_run(name, network, seed, args) for seed in range(args.seeds)]
            ious = [result["iou"] for result in results]
            figures = f"{statistics.mean(ious):.3f} | {min(ious):.3f} | {max(ious):.3f}"
            print(f"| {name} | {network} | {results[0]['steps']} | {figures} |", flush=True)


def _run(name: str, network: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.default_network", "--seconds", str(args.seconds)]
    command += [part for text in args.set for part in ("--set", text)]
    output = subprocess.run([*command, "--child", name, network, str(seed)], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(output.stdout.splitlines()[-1])
    return result


def _child(name: str, network: str, seed: int, seconds: float, settings: dict[str, str]) -> dict[str, Any]:
    tune_allocator()
    torch.set_num_threads(1)
    chosen = read_set(name)
    preset = PRESETS[_SETS[name]]
    config = replace(preset, seed=seed, network=replace(preset.network, classes=len(chosen.labels)))
    config = config.with_settings({**_NETWORKS[network], **settings})
    with tempfile.TemporaryDirectory() as spill:
        data = training_data(chosen, Path(spill))
        moments = []
        for result in train(config, data):
            if isinstance(result, StepResult):
                moments.append(time.process_time())
                if len(moments) > _TIMED:
                    break
        step = (moments[-1] - moments[0]) / (len(moments) - 1)
        steps = max(_EPOCHS, round(seconds / step))
        config = replace(config, epochs=_EPOCHS, steps_per_epoch=steps // _EPOCHS)
        last = [result for result in train(config, data) if isinstance(result, EpochResult)][-1]
    backend = network_backend(last.network, ModelCard(config.network, chosen.labels))
    return {"steps": config.steps, "iou": measure(backend, chosen.val).mean_iou_foreground}


if __name__ == "__main__":
    main()
