"""Verbs about training: train, tensorboard."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.commands.progress import AddVerb, Progress, Result
from core.errors import ConfigError, ReadError, UserError
from core.project.project import PRESET_NAMES, Project

_ENDLESS: Final = 100_000  # epochs


def add_verbs(verb: AddVerb) -> None:
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
        with Progress("train") as progress:
            worker.work(run.folder, on_epoch=lambda done, total, text: progress.show(done, total, text))
    return {**worker.outcome(read_run(run.folder)), "seconds": round(time.monotonic() - started, 1)}


def _train_together(folder: Path, processes: int) -> None:
    """By torchrun, which several machines can be given to as well: see core/training/team.py."""
    import subprocess

    from core.training.run import Failed, read_run

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    print(f"{processes} processes train; {folder / 'log.txt'} says how it goes.", file=sys.stderr, flush=True)
    worker = [*torchrun, "-m", "core.training.worker", str(folder.resolve())]
    code = subprocess.run(worker, cwd=Path(__file__).resolve().parents[2], stdout=sys.stderr, check=False).returncode
    if code and not isinstance(read_run(folder).status, Failed):  # that one has its own words
        raise UserError(f"The processes ended with code {code}.", hint=f"{folder / 'log.txt'} may say why.")


def _train_set(folder: Path) -> Result:
    """Train what is left of a cross-validation."""
    from core.training import cross_validation
    from core.training.fold_set import read_set
    from core.training.fold_table import outcome

    project, started = Project.open(folder.parent.parent), time.monotonic()
    if read_set(project, folder.name).alive:
        raise UserError(f"The cross-validation {folder.name} is under way.", hint="Wait for it, or stop it first.")
    (folder / "stop").unlink(missing_ok=True)
    with Progress("train") as progress:
        cross_validation.work(folder, on_epoch=lambda done, total, text: progress.show(done, total, text))
    return {**outcome(read_set(project, folder.name)), "seconds": round(time.monotonic() - started, 1)}


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
