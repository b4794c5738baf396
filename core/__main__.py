"""The command line: every step of the loop without a browser. `python -m core VERB --help` explains each.

Progress goes to stderr. With --json the last line of stdout is one JSON object. Exit 0, or 2 with "message hint" on
stderr for what a person can mend. Anything else is our bug and keeps its traceback.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from core.annotation.labels import LabelSet, parse_labels_txt
from core.errors import ConfigError, ReadError, UserError
from core.files import natural_key, unused_name
from core.formats import FORMATS
from core.images import IMAGE_SUFFIXES, probe_image, read_image
from core.project.project import PRESET_NAMES, Project

Result = dict[str, Any]
_ENDLESS: Final = 100_000  # epochs


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        result: Result = args.verb(args)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    text = result.pop("text", "")
    print(json.dumps(result, ensure_ascii=False) if args.json else text)
    return 0


# ------------------------------------------------------------------------------------------------------------ verbs


def create(args: argparse.Namespace) -> Result:
    names = list(args.label)
    if args.labels:
        names = [*parse_labels_txt(_read_text(args.labels), name=args.labels.name).names, *names]
    labels = LabelSet.of(dict.fromkeys(names))
    project = Project.create(args.project, name=args.project.resolve().name, preset=args.preset, labels=labels)
    drawn = [label.name for label in labels.foreground]
    text = f"Created {project.folder} ({args.preset}), labels: {', '.join(drawn) or 'those of the first import'}"
    return {"project": str(project.folder), "preset": args.preset, "labels": drawn, "text": text}


def import_(args: argparse.Namespace) -> Result:
    from core.formats.source import open_source
    from core.project.importing import import_source

    project = Project.open(args.project)
    source = open_source(args.source)
    images = open_source(args.images) if args.images else None
    with _Progress("import") as progress:
        report = import_source(
            project,
            source,
            images=images,
            format=args.format,
            progress=lambda done, total, name: progress.show(done, total, name),
        )
    return {**report.to_json(), "text": "\n".join(report.sentences())}


def export_labels(args: argparse.Namespace) -> Result:
    from core.project.exporting import export_labels as export

    project = Project.open(args.project)
    with _Progress("export") as progress:
        told = export(
            project,
            args.to,
            args.out,
            part=args.part,
            with_pictures=not args.without_pictures,
            progress=lambda done, total, name: progress.show(done, total, name),
        )
    return {**told.to_json(), "out": str(args.out), "text": "\n".join(told.sentences())}


def report(args: argparse.Namespace) -> Result:
    from core.project.index import Index
    from core.project.report import make_report
    from core.project.split import read_split

    project = Project.open(args.project)
    index = Index(project)
    with _Progress("index") as progress:
        index.refresh(progress=lambda done, total: progress.show(done, total, ""))
    found = make_report(index.rows(), read_split(project.folder), project.settings.labels)
    model = project.current_model()
    states = found.states
    lines = [
        f"{project.settings.name}: {found.pictures} pictures, {states['done']} done, {states['doing']} begun, "
        f"{states['review']} need review, {states['todo']} to do",
        *(
            f"  {name}: {found.pixels[name]} pixels, {found.objects.get(name, 0)} objects in {count} pictures"
            for name, count in found.pictures_with.items()
        ),
        f"{len(found.problems)} problems" if found.problems else "No problems",
        *(f"  {problem.sample} {problem.text}" for problem in found.problems),
    ]
    return {**found.to_json(), "current_model": str(model) if model else None, "text": "\n".join(lines)}


def train(args: argparse.Namespace) -> Result:
    from core.training import worker
    from core.training.fold_set import create_set
    from core.training.presets import data_facts, propose
    from core.training.run import create_run, read_run, resume_run

    if args.resume and args.folds:
        raise ConfigError("--resume goes on with the folds that there are.", hint="Leave --folds out.")
    if args.folds and args.processes > 1:
        raise ConfigError("A cross-validation trains in one process.", hint="Leave --processes out.")
    if args.resume and (folder := _set_folder(args)) is not None:
        return _train_set(folder)
    if args.resume:
        run = resume_run(_run_folder(args))
        project = Project.open(run.folder.parent.parent)
    else:
        project = Project.open(args.project)
        config = propose(args.preset or project.settings.preset, data_facts(project))
        config = config.with_settings(dict(_setting(text) for text in args.set))
        epochs = _ENDLESS if args.minutes and not args.epochs else args.epochs  # the time alone ends it
        changes = {"epochs": epochs, "minutes": args.minutes, "seed": args.seed}
        config = replace(config, **{key: value for key, value in changes.items() if value is not None})
        if args.folds:
            return _train_set(create_set(project, config, args.folds).folder)
        run = create_run(project, config)
    started = time.monotonic()
    if args.processes > 1:
        _train_together(run.folder, args.processes)
    else:
        with _Progress("train") as progress:
            worker.work(run.folder, on_epoch=lambda done, total, text: progress.show(done, total, text))
    return {**worker.outcome(read_run(run.folder)), "seconds": round(time.monotonic() - started, 1)}


def _train_together(folder: Path, processes: int) -> None:
    """By torchrun, which several machines can be given to as well: see core/training/team.py."""
    import subprocess

    from core.training.run import Failed, read_run

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    print(f"{processes} processes train; {folder / 'log.txt'} says how it goes.", file=sys.stderr, flush=True)
    worker = [*torchrun, "-m", "core.training.worker", str(folder.resolve())]
    code = subprocess.run(worker, cwd=Path(__file__).resolve().parents[1], stdout=sys.stderr, check=False).returncode
    if code and not isinstance(read_run(folder).status, Failed):  # that one has its own words
        raise UserError(f"The processes ended with code {code}.", hint=f"{folder / 'log.txt'} may say why.")


def tensorboard(args: argparse.Namespace) -> Result:
    from core.training.tensorboard import has_events, serve

    project = Project.open(args.project)
    if not has_events(project):
        raise ReadError(f"No run of {project.folder} has events for TensorBoard.", hint="Train first.")
    address = serve(project.runs, port=args.port)
    print(f"TensorBoard is at {address} until Ctrl+C.", file=sys.stderr, flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return {"address": address, "text": "TensorBoard has ended."}


def _train_set(folder: Path) -> Result:
    """Train what is left of a cross-validation."""
    from core.training import cross_validation
    from core.training.fold_set import read_set
    from core.training.fold_table import outcome

    project, started = Project.open(folder.parent.parent), time.monotonic()
    if read_set(project, folder.name).alive:
        raise UserError(f"The cross-validation {folder.name} is under way.", hint="Wait for it, or stop it first.")
    (folder / "stop").unlink(missing_ok=True)
    with _Progress("train") as progress:
        cross_validation.work(folder, on_epoch=lambda done, total, text: progress.show(done, total, text))
    return {**outcome(read_set(project, folder.name)), "seconds": round(time.monotonic() - started, 1)}


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
    with _Progress("evaluate") as progress:
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
    with _Progress("predict") as progress:
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


# ------------------------------------------------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description="Maskloop without a browser.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, run: Callable[[argparse.Namespace], Result], about: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=about, description=about)
        added.add_argument("--json", action="store_true", help="print one JSON object as the last line")
        added.set_defaults(verb=run)
        return added

    made = verb("create", create, "make a new project")
    made.add_argument("project", type=Path, metavar="PROJECT")
    made.add_argument("--preset", choices=PRESET_NAMES, default="general")
    made.add_argument("--labels", type=Path, help="a labels.txt, one name a line")
    made.add_argument("--label", action="append", default=[], metavar="NAME", help="a label; may be repeated")

    brought = verb("import", import_, "bring pictures and annotations into a project")
    brought.add_argument("project", type=Path, metavar="PROJECT")
    brought.add_argument("source", type=Path, metavar="SOURCE", help="a file, a folder or a zip")
    brought.add_argument("--images", type=Path, help="where the pictures are, when not beside the annotations")
    brought.add_argument("--format", default="auto", help=f"auto, or one of {', '.join(FORMATS)}")

    taken = verb("export-labels", export_labels, "write the finished annotations as a zip in another format")
    taken.add_argument("project", type=Path, metavar="PROJECT")
    able = [name for name, format in FORMATS.items() if format.write]
    taken.add_argument("--to", required=True, choices=able, metavar="FORMAT", help=f"one of {', '.join(able)}")
    taken.add_argument("--out", type=Path, required=True, metavar="ZIP")
    taken.add_argument("--part", choices=("train", "val", "test"), help="only this part of the split")
    taken.add_argument("--without-pictures", action="store_true", help="the labels only")

    told = verb("report", report, "say what a project holds and what is wrong with it")
    told.add_argument("project", type=Path, metavar="PROJECT")

    trained = verb("train", train, "train a model on all finished annotations")
    trained.add_argument("project", type=Path, metavar="PROJECT")
    presets = f"instead of the project's own: {', '.join(PRESET_NAMES)}, or one as in 'satellite classic'"
    trained.add_argument("--preset", help=presets)
    trained.add_argument("--epochs", type=int, help="each ends with a measurement")
    trained.add_argument("--minutes", type=float, help="train for so many minutes")
    trained.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting; may be repeated")
    trained.add_argument("--resume", metavar="RUN", help="go on with this run or cross-validation (its name or folder)")
    folds = "cross-validation: so many runs, each validates on another part; then their ensemble"
    trained.add_argument("--folds", type=int, metavar="K", help=folds)
    trained.add_argument("--processes", type=int, default=1, metavar="N", help="so many train together, a GPU each")
    trained.add_argument("--seed", type=int)

    watched = verb("tensorboard", tensorboard, "show the curves and pictures of all runs in TensorBoard")
    watched.add_argument("project", type=Path, metavar="PROJECT")
    watched.add_argument("--port", type=int, default=0, help="a free one, if not given")

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
    return parser


def _load(args: argparse.Namespace) -> Any:
    from core.inference import load_backend
    from core.networks.runtime import share_cores, tune_allocator

    share_cores()
    tune_allocator()
    folder = args.checkpoint
    if (folder / "project.json").is_file():
        current = Project.open(folder).current_model()
        if current is None:
            raise ReadError(f"{folder} has no model yet.", hint="Train one first: python -m core train PROJECT.")
        folder = current
    return load_backend(folder, args.backend)


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


def _set_folder(args: argparse.Namespace) -> Path | None:
    """The cross-validation that --resume names, None when it names a Run."""
    from core.training.run import FOLDS

    for folder in (args.project / FOLDS / args.resume, Path(args.resume)):
        if folder.resolve().parent.name == FOLDS and (folder / "config.json").is_file():
            return folder.resolve()
    return None


def _run_folder(args: argparse.Namespace) -> Path:
    folder = args.project / "runs" / args.resume
    return folder if folder.is_dir() else Path(args.resume)


def _setting(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise ConfigError(f"--set {text} has no value.", hint="Write --set key=value.")
    return key.strip(), value.strip()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read ({error}).", hint="Give a text file in UTF-8.") from error


class _Progress:
    """A line on stderr that says how far and how long still."""

    def __init__(self, what: str) -> None:
        self._what, self._started, self._shown = what, time.monotonic(), 0.0

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and sys.stderr.isatty():
            print(file=sys.stderr)

    def show(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if done < total and now - self._shown < 0.5:
            return
        self._shown = now
        left = (now - self._started) / max(done, 1) * (total - done)
        line = f"{self._what} {done}/{total} {text}" + (f", {left:.0f} s left" if done < total else "")
        print(
            f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, end="" if sys.stderr.isatty() else "\n"
        )


if __name__ == "__main__":
    sys.exit(main())
