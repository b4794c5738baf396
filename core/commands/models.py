"""Verbs about a model: evaluate, predict, bench, export-model."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.commands.progress import AddVerb, Progress, Result
from core.errors import ConfigError, ReadError
from core.files import natural_key, unused_name
from core.images import IMAGE_SUFFIXES, probe_image, read_image
from core.project.project import Project


def add_verbs(verb: AddVerb) -> None:
    judged = verb("evaluate", evaluate, "measure a model on pictures with known masks")
    judged.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    judged.add_argument("images", type=Path, metavar="IMAGES")
    judged.add_argument("masks", type=Path, metavar="MASKS", help="single-channel pictures of class ids, equal stems")
    judged.add_argument("--backend", default="torch")

    guessed = verb("predict", predict, "predict the masks of pictures")
    guessed.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    guessed.add_argument("image", type=Path, nargs="+", metavar="IMAGE", help="pictures or folders of pictures")
    guessed.add_argument("--out", type=Path, required=True, metavar="DIR")
    guessed.add_argument("--formats", default="mask", help="of mask, overlay, labelme, with commas between")
    guessed.add_argument("--backend", default="torch")
    guessed.add_argument("--page", type=int, help="of a stack: this page only, from 1; else all")

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

    backend = _load(args)
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


def predict(args: argparse.Namespace) -> Result:
    from core.inference.export import PREDICTION_FORMATS, class_areas, write_prediction
    from core.inference.predict import predict

    formats = args.formats.split(",")
    unknown = set(formats) - set(PREDICTION_FORMATS)
    if unknown:
        hint = f"Choose of {', '.join(PREDICTION_FORMATS)}."
        raise ConfigError(f"There is no format {sorted(unknown)[0]!r}.", hint=hint)
    backend = _load(args)
    labels, images = backend.card.labels, list(_pictures(args.image))
    if any(path.resolve().parent == args.out.resolve() for path in images):
        raise ConfigError(
            f"{args.out} holds the pictures themselves; a mask could overwrite one.", hint="Choose another."
        )
    written, failed = [], []
    names: set[str] = set()
    with Progress("predict") as progress:
        pages = list(_pages(images, args.page))
        for number, (path, page) in enumerate(pages):
            name = unused_name(path.stem if page is None else f"{path.stem}_p{page + 1:04d}", names)
            names.add(name.casefold())
            try:
                image = read_image(path, page=page or 0, intensity=backend.card.intensity)
            except ReadError as error:  # one bad picture costs only itself
                print(error, file=sys.stderr)
                failed.append({"image": str(path), "message": error.message, "hint": error.hint})
                continue
            started = time.monotonic()
            prediction = predict(image, backend)
            files = write_prediction(
                prediction,
                image,
                name=name,
                image_name=Path(os.path.relpath(path, args.out)).as_posix(),
                labels=labels,
                folder=args.out,
                formats=formats,
            )
            written.append(
                {
                    "image": str(path),
                    "files": [str(file) for file in files],
                    "areas": class_areas(prediction.mask, labels),
                    "seconds": round(time.monotonic() - started, 3),
                }
            )
            progress.show(number + 1, len(pages), path.name)
    if failed and not written:
        raise ReadError("None of the pictures could be read.", hint="See the lines above.")
    text = f"{len(written)} predicted into {args.out}" + (f", {len(failed)} could not be read" if failed else "")
    return {"out": str(args.out), "predictions": written, "failed": failed, "text": text}


def bench(args: argparse.Namespace) -> Result:
    from core.inference.bench import TRIED, bench

    names = tuple(args.backends.split(",")) if args.backends else TRIED
    unknown = set(names) - set(TRIED)
    if unknown:
        raise ConfigError(f"There is no backend {sorted(unknown)[0]!r}.", hint=f"Choose of {', '.join(TRIED)}.")
    pictures = list(_pictures([args.images])) if args.images else []
    if not 32 <= args.size <= 4096:
        raise ConfigError(f"Tiles of {args.size} pixels cannot be compared.", hint="Choose 32 to 4096.")
    with Progress("bench") as progress:
        found = bench(
            _checkpoint(args),
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
    parity = {**MODEL_FORMATS, "package": write_package}[args.to](_checkpoint(args), args.out)
    size = sum(path.stat().st_size for path in ([args.out] if args.out.is_file() else args.out.iterdir()))
    text = f"Wrote {args.out} ({size / 1e6:.1f} MB). "
    result = {"out": str(args.out), "to": args.to, "bytes": size, "parity": parity.to_json() if parity else None}
    if parity is None:
        return {**result, "text": text + "Nothing has compared it with the network yet."}
    text += f"Against the network: probabilities differ by at most {parity.max_difference:.6f}, "
    return {**result, "text": text + f"IoU of the masks {parity.mask_iou:.4f}."}


def _checkpoint(args: argparse.Namespace) -> Path:
    """The model's folder; of a Project, its current model. Raises ReadError."""
    folder: Path = args.checkpoint
    if not (folder / "project.json").is_file():
        return folder
    current = Project.open(folder).current_model()
    if current is None:
        raise ReadError(f"{folder} has no model yet.", hint="Train one first: python -m core train PROJECT.")
    return current


def _load(args: argparse.Namespace) -> Any:
    from core.inference import load_backend
    from core.networks.runtime import share_cores, tune_allocator

    share_cores()
    tune_allocator()
    return load_backend(_checkpoint(args), args.backend)


def _pictures(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = [p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
            yield from sorted(found, key=lambda p: natural_key(p.name))
        else:
            yield path


def _pages(paths: Sequence[Path], page: int | None) -> Iterator[tuple[Path, int | None]]:
    """Each picture, and each page of a stack; None for a picture of one page."""
    for path in paths:
        try:
            count = probe_image(path).pages
        except ReadError:
            count = 1  # said when it is read
        if count == 1:
            yield path, None
        else:
            yield from ((path, number) for number in ([page - 1] if page else range(count)))
