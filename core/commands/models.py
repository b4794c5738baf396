"""Verbs about a model: evaluate, bench, export-model."""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.commands.progress import AddVerb, Progress, Result
from core.errors import ConfigError, ReadError
from core.files import natural_key
from core.images import IMAGE_SUFFIXES
from core.project.project import Project


def add_verbs(verb: AddVerb) -> None:
    judged = verb("evaluate", evaluate, "measure a model on pictures with known masks")
    judged.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    judged.add_argument("images", type=Path, metavar="IMAGES")
    judged.add_argument("masks", type=Path, metavar="MASKS", help="single-channel pictures of class ids, equal stems")
    judged.add_argument("--backend", default="torch", help="auto, or one that `bench` lists")

    compared = verb("bench", bench, "compare all ways to compute a model on this machine")
    compared.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    compared.add_argument("--size", type=int, default=512, metavar="N", help="side of the tiles in pixels")
    compared.add_argument("--images", type=Path, help="a folder of pictures to try it on, instead of the project's")
    compared.add_argument("--backends", help="only these, with commas between")

    taken = verb("export-model", export_model, "write a model for other programs")
    taken.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    taken.add_argument("--to", required=True, choices=("onnx", "openvino", "tensorrt", "package"), metavar="FORM")
    taken.add_argument("--out", type=Path, required=True, metavar="PATH", help="a file; for openvino a folder")


def evaluate(args: argparse.Namespace) -> Result:
    from core.inference.evaluate import evaluate, pair_files, read_pairs
    from core.inference.scores import ScoreConfig
    from core.inference.scores_text import score_lines

    backend = load_model(args)
    pairs = pair_files(args.images, args.masks)
    scoring = ScoreConfig()
    if (args.checkpoint / "project.json").is_file():
        settings = Project.open(args.checkpoint).settings
        scoring = ScoreConfig(pixel_size=settings.pixel_size, unit=settings.unit)
    started = time.monotonic()
    with Progress("evaluate") as progress:
        scores = evaluate(
            backend,
            read_pairs(pairs, backend.card),
            names=[pair.image.name for pair in pairs],
            scoring=scoring,
            progress=lambda done: progress.show(done, len(pairs), ""),
        )
    found = scores.to_json()
    seconds = round(time.monotonic() - started, 2)
    return {**found, "images": len(pairs), "seconds": seconds, "text": "\n".join(score_lines(found))}


def bench(args: argparse.Namespace) -> Result:
    from core.inference.bench import TRIED, bench

    names = tuple(args.backends.split(",")) if args.backends else TRIED
    unknown = set(names) - set(TRIED)
    if unknown:
        raise ConfigError(f"There is no backend {sorted(unknown)[0]!r}.", hint=f"Choose of {', '.join(TRIED)}.")
    pictures = list(pictures_in([args.images])) if args.images else []
    if not 32 <= args.size <= 4096:
        raise ConfigError(f"Tiles of {args.size} pixels cannot be compared.", hint="Choose 32 to 4096.")
    with Progress("bench") as progress:
        found = bench(
            checkpoint_of(args),
            pictures=pictures,
            side=args.size,
            names=names,
            progress=lambda share, what: progress.show(round(100 * share), 100, what),
        )
    lines = [
        f"{found.machine}, {found.side} x {found.side} pixels, {'real' if found.real_pictures else 'made'} pictures"
    ]
    for one in found.backends:
        if one.problem:
            lines.append(f"{one.name:17} not here: {one.problem}")
            continue
        verdict = "" if one.agrees else ", does not agree"
        lines.append(
            f"{one.name:17} {one.ms:8.1f} ms, {one.ratio:5.2f} times, mask IoU {one.mask_iou:.4f}{verdict}, "
            f"{one.memory_mb:.0f} MB, {one.load_seconds:.1f} s to the first mask"
        )
    return {**found.to_json(), "text": "\n".join([*lines, f"Taken by --backend auto: {found.best}"])}


def export_model(args: argparse.Namespace) -> Result:
    from core.inference.model_files import MODEL_FORMATS
    from core.inference.package import write_package
    from core.networks.runtime import share_cores

    share_cores()
    parity = {**MODEL_FORMATS, "package": write_package}[args.to](checkpoint_of(args), args.out)
    size = sum(path.stat().st_size for path in ([args.out] if args.out.is_file() else args.out.iterdir()))
    text = f"Wrote {args.out} ({size / 1e6:.1f} MB). "
    result = {"out": str(args.out), "to": args.to, "bytes": size, "parity": parity.to_json() if parity else None}
    if parity is None:
        return {**result, "text": text + "Nothing has compared it with the network yet."}
    text += f"Against the network: probabilities differ by at most {parity.max_difference:.6f}, "
    return {**result, "text": text + f"IoU of the masks {parity.mask_iou:.4f}."}


def checkpoint_of(args: argparse.Namespace) -> Path:
    """The model's folder; of a Project, its current model. Raises ReadError."""
    folder: Path = args.checkpoint
    if not (folder / "project.json").is_file():
        return folder
    current = Project.open(folder).current_model()
    if current is None:
        raise ReadError(f"{folder} has no model yet.", hint="Train one first: python -m core train PROJECT.")
    return current


def load_model(args: argparse.Namespace) -> Any:
    """The Backend that the arguments name. Raises ReadError, ConfigError."""
    from core.inference import load_backend
    from core.networks.runtime import share_cores, tune_allocator

    share_cores()
    tune_allocator()
    return load_backend(checkpoint_of(args), args.backend)


def pictures_in(paths: Sequence[Path]) -> Iterator[Path]:
    """The files, and those of the folders that are pictures."""
    for path in paths:
        if path.is_dir():
            found = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
            yield from sorted(found, key=lambda p: natural_key(p.name))
        else:
            yield path
