"""Back ends on two trained networks: the naive UNet of 31 M parameters, and the default.

    python -m benchmarks.back_ends [--minutes 4] [--side 512] [--rounds 7] [--keep FOLDER]

Both are trained on nuclei_dsb2018 for so many minutes, then all back ends are asked in turn, each in a process of its
own, on validation pictures (`core/inference/bench.py`). The last line compares the default network in its best back end
with the naive network in plain PyTorch. Figures hold on a machine that does nothing else.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks._sets import LabelledSet, measure, read_set, training_data
from core.inference.bench import BASE, Bench, bench
from core.inference.torch_backend import network_backend
from core.inference.trial_tiles import BESIDE
from core.networks.card import ModelCard, NetworkConfig
from core.networks.checkpoint import save_checkpoint
from core.networks.runtime import share_cores, tune_allocator
from core.training.config import TrainingConfig
from core.training.loop import EpochResult, train

NETWORKS: Final = {
    "naive": NetworkConfig(name="unet", width=64, depth=4, up="transposed"),
    "default": TrainingConfig().network,
}
_EPOCHS: Final = 10


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="a folder for the checkpoints; those that are there are not trained")
    args = parser.parse_args(arguments)
    share_cores()
    tune_allocator()
    chosen, found, quality = read_set("nuclei_dsb2018"), dict[str, Bench](), dict[str, float]()
    with tempfile.TemporaryDirectory() as work:
        for name, network in NETWORKS.items():
            folder = (args.keep or Path(work)) / name
            if not (folder / "model.json").is_file():
                quality[name] = _train(replace(network, classes=len(chosen.labels)), chosen, args.minutes, folder)
            found[name] = bench(folder, side=args.side, rounds=args.rounds)
            _print(name, found[name], quality.get(name))
    base = next(one for one in found["naive"].backends if one.name == BASE)
    best = min((one for one in found["default"].backends if one.agrees), key=lambda one: one.ms)
    print(f"\nThe default network in {best.name}: {base.ms / best.ms:.1f} times as fast as the naive one in {BASE}.")
    return 0


def _train(network: NetworkConfig, chosen: LabelledSet, minutes: float, folder: Path) -> float:
    """Save the trained network with pictures to try it on; the IoU of its label on the validation pictures."""
    config = TrainingConfig(
        network=network,
        pretrained=network.name == "efficient_unet",
        augment="cell",
        minutes=minutes,
        epochs=_EPOCHS,
        learning_rate=3e-3,
    )
    with tempfile.TemporaryDirectory() as spill:
        results = train(config, training_data(chosen, Path(spill)))
        last = [result for result in results if isinstance(result, EpochResult)][-1]
    card = ModelCard(network, chosen.labels)
    save_checkpoint(folder, last.network, card)
    (folder / BESIDE).mkdir(exist_ok=True)
    for pair in chosen.val:
        shutil.copy(pair.image, folder / BESIDE)
    iou = measure(network_backend(last.network, card), chosen.val).mean_iou_foreground
    return iou if iou is not None else 0.0


def _print(name: str, found: Bench, iou: float | None) -> None:
    told = f", IoU of nucleus on validation pictures {iou:.3f}" if iou is not None else ""
    print(f"\n{name}{told}; {found.machine}, {found.side} x {found.side} pixels\n")
    print("| back end | ms | times plain PyTorch | mask IoU | largest difference | peak MB | s to the first mask |")
    print("|---|---|---|---|---|---|---|")
    for one in found.backends:
        if one.problem:
            print(f"| {one.name} | not here: {one.problem} |")
            continue
        agrees = "" if one.agrees else " (not offered)"
        print(
            f"| {one.name} | {one.ms:.1f} | {one.ratio:.2f} | {one.mask_iou:.4f}{agrees} | {one.max_difference:.4f} "
            f"| {one.memory_mb:.0f} | {one.load_seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
