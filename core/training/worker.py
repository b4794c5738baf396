"""`python -m core.training.worker RUN_FOLDER`: the process that trains.

It writes all that a Run's folder holds and asks nobody: the app reads the folder. A file `stop` in it, or SIGTERM,
ends the training after the Step under way; a later start goes on from the last complete Epoch.
"""

import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil

from core.annotation.labels import IGNORE_ID
from core.annotation.overlay import overlay
from core.annotation.raster import Mask
from core.errors import ReadError, UserError, WriteError
from core.files import now, safe_name, write_bytes, write_error
from core.images import RGB, encode_jpeg, shrink
from core.networks.card import ModelCard
from core.networks.runtime import share_cores, tune_allocator
from core.process import give_way
from core.project.project import Project
from core.training.balance import class_weights
from core.training.columns import read_columns
from core.training.curves import Curves
from core.training.estimate import median_step, remember_step
from core.training.events import Events
from core.training.heartbeat import Pace, Status
from core.training.memory import out_of_memory
from core.training.retrain import compare_and_promote, read_comparison, read_truth
from core.training.run import Run, read_run, run_split, stop_requested, unlabelled_rows, usable_rows
from core.training.status import STATE_FILE, Failed, Stopped

if TYPE_CHECKING:
    from core.training.loop import EpochResult, TrainingData, TrainingState
    from core.training.team import Team

OnEpoch = Callable[[int, int, str], None]  # epochs done, epochs in all, what to say

_CACHE: Final = "cache"  # in the Run's folder
_CACHE_SHARE: Final = 0.25  # of the memory that is free at the start
_CACHE_MOST: Final = 4 << 30  # bytes
_PREVIEW_SIDE: Final = 360
_STEPS_TIMED: Final = 20  # the last ones: the next estimate for these settings is what this Run took


def main(arguments: Sequence[str]) -> int:
    folder = Path(arguments[0])
    give_way()
    if "WORLD_SIZE" in os.environ:
        return _in_team(folder)
    signal.signal(signal.SIGTERM, lambda *_: (folder / "stop").touch())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work(folder)
    except UserError:
        return 2  # said in status.json and log.txt
    return 0


def _in_team(folder: Path) -> int:
    """One of the processes that torchrun has started. Where one fails, torchrun ends the others."""
    tune_allocator()
    share_cores()
    from core.training.team import Team

    team = Team.joined()
    try:
        if team.leads:
            signal.signal(signal.SIGTERM, lambda *_: (folder / "stop").touch())
            work(folder, team=team)
        else:
            _follow(folder, team)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        team.leave()
    return 0


def _follow(folder: Path, team: "Team") -> None:
    from core.training.loop import follow

    run = read_run(folder)
    data = _training_data(Project.open(run.project_folder), run, spill=folder / _CACHE / str(team.rank))
    follow(run.config, data, team, resume=_read_state(folder))


def work(folder: Path, *, on_epoch: OnEpoch | None = None, team: "Team | None" = None) -> None:
    """Train the waiting Run in `folder` to its end, compare it with the current model, and say so in its files.

    team: the other processes that train it, which this one leads.
    Raises what made it fail, after writing it down: a UserError where a person can mend it.
    """
    tune_allocator()
    share_cores()
    run = read_run(folder)
    with Status(folder, run.config.epochs) as status:
        try:
            finished = _train(run, status, on_epoch, team)
            status.update(doing="compares")
            _compare(run)
            status.end("finished" if finished else "stopped")
            if finished:
                (folder / STATE_FILE).unlink(missing_ok=True)  # nothing to go on with: several times the model's size
        except KeyboardInterrupt:
            log(folder, "Stopped by the keyboard.")
            status.end("stopped")
            raise
        except Exception as error:  # the process ends here: whatever it was is written down, then raised
            _log_error(folder, error)
            problem = _as_user_error(folder, error)
            message = problem.message if problem else f"Training failed: {type(error).__name__}: {error}"
            hint = problem.hint if problem else "The log tells where. This is a mistake of ours: please report it."
            _say_failed(status, message, hint)
            if problem is not None and problem is not error:
                raise problem from error
            raise


def outcome(run: Run) -> dict[str, Any]:
    """What came of a Run, for the command line. Raises UserError when it failed."""
    if isinstance(run.status, Failed):
        raise UserError(run.status.message, hint=run.status.hint)
    comparison, epochs = read_comparison(run), read_columns(run.folder / "metrics.csv").get("epoch", [])
    state = "stopped" if isinstance(run.status, Stopped) else "finished"
    result: dict[str, Any] = {
        "run": str(run.folder),
        "state": state,
        "epochs": len(epochs),
        "checkpoint": str(run.best) if run.best else None,
        "promoted": comparison.promoted if comparison else False,
        "comparison": vars(comparison) if comparison else None,
    }
    lines = [f"{run.id} {state} after {len(epochs)} epochs"]
    if comparison is not None:
        iou = comparison.new["mean_iou_foreground"]
        measured = "not measured: no validation picture" if iou is None else f"{iou:.4f}"
        lines += [f"  validation, mean IoU of the labels: {measured} ({comparison.pictures} pictures)"]
        lines += [f"  {comparison.reason}", f"  model: {run.best}"]
    return {**result, "text": "\n".join(lines)}


def log(folder: Path, text: str) -> None:
    """A line of log.txt. Raises WriteError."""
    try:
        with (folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now():%H:%M:%S} {text}\n")
    except OSError as error:
        raise write_error(folder / "log.txt", error) from error


# -------------------------------------------------------------------------------------------------------- training


def _train(run: Run, status: Status, on_epoch: OnEpoch | None, team: "Team | None") -> bool:
    """Train; False when it was stopped before its end."""
    from core.training.loop import Notice, StepResult, train

    project, config = Project.open(run.project_folder), run.config
    so_many = f", {config.accumulate} of them a step" if config.accumulate > 1 else ""
    tiles = f"batch {config.batch} of {config.tile} pixels{so_many}"
    processes = f", {team.size} processes" if team and team.size > 1 else ""
    log(run.folder, f"{config.network.name}, {tiles}, seed {config.seed}{processes}")
    data = _training_data(project, run, spill=run.folder / _CACHE)
    _log_data(run, data)
    state = _read_state(run.folder)
    curves, events = Curves(run, state), Events(run, state, lambda text: log(run.folder, text))
    pace, times = Pace(run.config), deque[float](maxlen=_STEPS_TIMED)
    try:
        for result in train(config, data, resume=state, team=team):
            if isinstance(result, StepResult):
                if curves.add_step(result):
                    events.add_step(result)
                times.append(result.seconds)
                status.update(**pace.of(result))
                if stop_requested(run.folder):
                    log(run.folder, f"Stopped in epoch {result.epoch}, at step {result.step}.")
                    return False
                if result.step % config.steps_per_epoch == 0:
                    status.update(doing="validates")
                continue
            if isinstance(result, Notice):
                log(run.folder, result.text)
                curves.go_back(result.step)
                events.go_back(result.step)
                continue
            _write_epoch(run, data, curves, events, result)
            _remember(run, list(times))
            status.update(doing="trains")
            if on_epoch is not None:
                on_epoch(result.epoch, pace.epochs, _in_words(result))
    finally:
        shutil.rmtree(run.folder / _CACHE, ignore_errors=True)  # decoded pictures that memory did not hold
    return True


def _remember(run: Run, moments: Sequence[float]) -> None:
    """Keep what a Step took, for the next estimate. Not worth failing for: a Project may lie outside the home."""
    if len(moments) < 3:
        return
    try:
        remember_step(run.config, median_step(moments))
    except WriteError as error:
        log(run.folder, f"The time of a step was not kept for later estimates. {error}")


def _training_data(project: Project, run: Run, *, spill: Path) -> "TrainingData":
    """The pictures of the Run's split as they are now; those that were removed or reopened since are left out."""
    from core.training.loop import TrainingData
    from core.training.tiles import LabelledPicture, PictureCache

    unlabelled = (
        {row.name: row.size for row in unlabelled_rows(project, run_split(run))} if run.config.consistency else {}
    )

    def read(name: str) -> tuple[RGB, Mask]:
        image = project.read_image(name)
        if name in unlabelled:
            return image, np.full(image.shape[:2], IGNORE_ID, np.uint8)
        return image, read_truth(project, name, run.labels)

    rows, split = {row.name: row for row in usable_rows(project)}, run_split(run)
    listed = {}
    for part in ("train", "val"):
        names = [name for name in split.part(part) if name in rows]
        listed[part] = [
            LabelledPicture(
                name,
                rows[name].size,
                frozenset(i for i, count in rows[name].pixels.items() if count and 0 < i < len(run.labels)),
                rows[name].pixels,
            )
            for name in names
        ]
    if not listed["train"]:
        raise UserError("None of the pictures that this run trained on is left.", hint="Start a new run.")
    random.Random(run.config.seed).shuffle(listed["val"])  # so that the first few are of all kinds
    share = _CACHE_SHARE / int(os.environ.get("WORLD_SIZE", "1"))
    budget = min(int(psutil.virtual_memory().available * share), _CACHE_MOST)
    cache = PictureCache(read, budget=budget, spill=spill)
    further = [LabelledPicture(name, size, frozenset()) for name, size in unlabelled.items()]
    return TrainingData(run.labels, project.settings.intensity, listed["train"], listed["val"], cache, further)


def _log_data(run: Run, data: "TrainingData") -> None:
    log(run.folder, f"{len(data.train)} pictures train, {len(data.val)} validate")
    if not data.val:
        log(run.folder, "No picture validates: the best epoch is the one of the lowest training loss.")
    if data.unlabelled:
        log(run.folder, f"{len(data.unlabelled)} pictures without labels teach as well")
    weights = class_weights(
        run.config.class_weights, [picture.pixels for picture in data.train], classes=len(run.labels)
    )
    if weights:
        said = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(run.labels.names, weights, strict=True))
        log(run.folder, f"So much does a pixel of each class weigh: {said}")


def _write_epoch(run: Run, data: "TrainingData", curves: Curves, events: Events, result: "EpochResult") -> None:
    """The Epoch's files: best model, previews, curve point, and last of all the state to go on from."""
    from core.networks.checkpoint import save_checkpoint

    if result.is_best:
        save_checkpoint(run.folder / "best", result.network, _card(run, data, result))
    pictures = {}
    for name, mask in result.predictions.items():
        picture = data.cache[name]
        pictures[name] = triplet(picture.image, picture.mask, mask, run)
        path = run.folder / "previews" / f"{safe_name(name)}.jpg"
        write_bytes(path, encode_jpeg(pictures[name]), durable=False)
    curves.add_epoch(result)
    events.add_epoch(result, pictures)
    _write_state(run.folder, result.state)
    waiting = f"{result.waiting_share:.0%} of the time waited for data".replace("%", " %")
    best = ", the best so far" if result.is_best else ""
    log(run.folder, f"Epoch {result.epoch}: {_in_words(result)}{best}; {waiting}")


def triplet(image: RGB, truth: Mask, prediction: Mask, run: Run) -> RGB:
    """Picture, truth and prediction side by side."""
    parts = [image, overlay(image, truth, run.labels), overlay(image, prediction, run.labels)]
    small = [shrink(part, _PREVIEW_SIDE) for part in parts]
    gap = np.full((small[0].shape[0], 4, 3), 255, np.uint8)
    return np.hstack((small[0], gap, small[1], gap, small[2]))


def _card(run: Run, data: "TrainingData", result: "EpochResult") -> ModelCard:
    config = run.config
    return ModelCard(
        network=config.network,
        labels=run.labels,
        intensity=data.intensity,
        window=max(config.tile, 512),
        clean_up=config.clean_up,
        name=run.name,
        created=now(),
        metrics=result.val_matrix.to_json(run.labels) if result.val_matrix else {},
        training={
            "run": run.id,
            "preset": config.preset,
            "pretrained": config.pretrained,
            "epoch": result.epoch,
            "seconds": round(result.seconds, 1),
            "pictures": len(data.train),
            "seed": config.seed,
        },
    )


def _in_words(result: "EpochResult") -> str:
    text = f"loss {result.train_loss:.3f}"
    iou = result.val_matrix.mean_iou_foreground if result.val_matrix else None
    return text if iou is None else f"{text}, validation IoU of the labels {iou:.3f}"


def _compare(run: Run) -> None:
    run = read_run(run.folder)
    if run.best is None:
        log(run.folder, "Stopped before the first epoch was complete, so there is no model.")
        return
    comparison = compare_and_promote(Project.open(run.project_folder), run)
    log(run.folder, comparison.reason)


# --------------------------------------------------------------------------------------------------- state to go on


def _write_state(folder: Path, state: "TrainingState") -> None:
    """Everything in one file, so that it is whole or absent: the numbers stand in the header of the tensors."""
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
    write_bytes(folder / STATE_FILE, save(tensors, metadata={"numbers": json.dumps(dict(state.numbers))}))


def _read_state(folder: Path) -> "TrainingState | None":
    """None when no Epoch is complete yet. Raises ReadError."""
    from safetensors import SafetensorError, safe_open

    from core.training.loop import TrainingState

    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
            return TrainingState(tensors, json.loads(file.metadata()["numbers"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ReadError(f"The state of the run {folder.name} is damaged.", hint="Start a new run.") from error


# ---------------------------------------------------------------------------------------------------------- errors


def _log_error(folder: Path, error: Exception) -> None:
    text = str(error) if isinstance(error, UserError) else "".join(traceback.format_exception(error))
    try:
        log(folder, f"Failed: {text}")
    except WriteError:
        print(text, file=sys.stderr)


def _say_failed(status: Status, message: str, hint: str) -> None:
    try:
        status.end("failed", message=message, hint=hint)
    except WriteError as error:  # the disk is full to the last byte: the page will say that the process is gone
        print(error, file=sys.stderr)


def _as_user_error(folder: Path, error: Exception) -> UserError | None:
    """What a person can do about `error`; None for a mistake of ours."""
    if isinstance(error, UserError):
        return error
    if out_of_memory(error):
        return UserError(
            "There is not enough memory to train with these settings.",
            hint="Choose a smaller batch or tile, or a narrower network, or close other programs.",
        )
    if isinstance(error, OSError):
        return write_error(folder, error)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
