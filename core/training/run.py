"""A Run: one training, and its folder, through which the app and the training process talk.

    <project>/runs/<YYYYmmdd-HHMMSS>-<name>/
        config.json       settings, labels, and a fingerprint of the annotations at the start
        split.json        which Samples train and which validate: a snapshot
        status.json       state, process and heartbeat, written every two seconds
        metrics.csv       a row an Epoch; steps.csv: a row every second or so; log.txt
        previews/         <sample>.jpg: picture, truth and prediction side by side
        comparison.json   the new model and the current one on the same validation pictures
        best/             Checkpoint; last/state.safetensors: all that is needed to go on

No torch here: pages read Runs.
"""

import csv
import hashlib
import io
import os
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psutil

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError, UserError
from core.files import now, read_json, safe_name, write_bytes, write_error, write_json
from core.project.index import Index, SampleRow
from core.project.project import Project
from core.project.report import usable
from core.project.split import Split, ensure_split, read_split
from core.training.config import TrainingConfig

SCHEMA: Final = 1
STALE_AFTER: Final = 8.0  # seconds without a heartbeat; the worker beats every 2
STATE_FILE: Final = "last/state.safetensors"
_LOG_TAIL: Final = 30  # lines


@dataclass(frozen=True)
class Waiting:
    """Made or begun, but no Step yet: the libraries load."""


@dataclass(frozen=True)
class Running:
    """Epochs count from 1; `epoch` is the one that is under way."""

    epoch: int
    epochs: int
    heartbeat: float  # seconds since 1970
    seconds: float  # trained so far
    seconds_left: float | None  # None before the first measurement
    doing: str  # "trains", "validates", "compares"


@dataclass(frozen=True)
class Finished:
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Stopped:
    """A person stopped it; `last_epoch` is complete and can be gone on from (0: none)."""

    last_epoch: int
    seconds: float


@dataclass(frozen=True)
class Failed:
    message: str
    hint: str
    log_tail: str


@dataclass(frozen=True)
class Interrupted:
    """The process is gone without a word: killed, machine off. `last_epoch` can be gone on from (0: none)."""

    last_epoch: int
    reason: str


Status = Waiting | Running | Finished | Stopped | Failed | Interrupted


@dataclass(frozen=True)
class Run:
    """One training as its folder says it is now."""

    folder: Path
    name: str
    config: TrainingConfig
    labels: LabelSet
    created: str  # ISO time
    fingerprint: str  # of the annotations it trains on
    status: Status

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def project_folder(self) -> Path:
        return self.folder.parent.parent

    @property
    def alive(self) -> bool:
        return isinstance(self.status, Running) or (isinstance(self.status, Waiting) and _has_process(self.folder))

    @property
    def best(self) -> Path | None:
        """The folder of its best Checkpoint, None before the first one."""
        return self.folder / "best" if (self.folder / "best" / "model.json").is_file() else None

    @property
    def resumable(self) -> bool:
        return not self.alive and not isinstance(self.status, Finished) and (self.folder / STATE_FILE).is_file()


# ------------------------------------------------------------------------------------------------- make and read


def create_run(project: Project, config: TrainingConfig, *, name: str = "") -> Run:
    """A new Run that waits. Samples that are done and readable train; `config` takes the Project's label count.

    Raises UserError when there is nothing to learn from.
    """
    labels = project.settings.labels
    rows = usable_rows(project)
    split = ensure_split(project, [row.name for row in rows], {row.name: _drawn(row) for row in rows})
    split = _only(split, {row.name for row in rows})
    _check_learnable(labels, rows, split)
    config = replace(config, network=replace(config.network, classes=len(labels)))
    name = name.strip() or config.preset
    folder = _free_folder(project.runs, name)
    write_json(folder / "split.json", split.to_json())
    write_json(folder / "status.json", {"state": "waiting"})
    header = {
        "schema": SCHEMA,
        "name": name,
        "created": now(),
        "fingerprint": _fingerprint(rows),
        "labels": labels.to_json(),
        "training": config.to_json(),
    }
    write_json(folder / "config.json", header)  # last: a folder without it is no Run
    return read_run(folder)


def read_run(folder: Path) -> Run:
    """The Run in `folder`. Raises ReadError when there is none."""
    value = read_json(folder / "config.json")
    try:
        if value["schema"] != SCHEMA:
            raise ReadError(f"The run {folder.name} was made by another version of Maskloop.", hint="Train anew.")
        return Run(
            folder=folder,
            name=value["name"],
            config=TrainingConfig.from_json(value["training"]),
            labels=LabelSet.from_json(value["labels"]),
            created=value["created"],
            fingerprint=value["fingerprint"],
            status=_read_status(folder),
        )
    except ConfigError as error:
        raise ReadError(f"config.json in {folder.name}: {error.message}", hint=error.hint) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"config.json in {folder.name} is damaged ({error!r}).", hint="Delete this run.") from error


def list_runs(project: Project) -> list[Run]:
    """All Runs, the newest first; folders that cannot be read are left out."""
    runs = []
    folders = sorted(project.runs.iterdir(), reverse=True) if project.runs.is_dir() else []
    for folder in folders:
        if (folder / "config.json").is_file():
            try:
                runs.append(read_run(folder))
            except ReadError:
                continue  # written by another version, or damaged: it does not hide the others
    return runs


def resume_run(folder: Path) -> Run:
    """The Run in `folder`, waiting to go on from its last Epoch. Raises UserError where that cannot be."""
    run = read_run(folder)
    if run.alive:
        raise UserError(f"The run {run.name} is still training.", hint="Wait for it, or stop it first.")
    if isinstance(run.status, Finished):
        raise UserError(f"The run {run.name} has finished.", hint="Start a new one, with more epochs if need be.")
    if not run.resumable:
        raise UserError(f"The run {run.name} ended before its first epoch was complete.", hint="Start a new one.")
    (folder / "stop").unlink(missing_ok=True)
    write_json(folder / "status.json", {"state": "waiting"})
    return read_run(folder)


# -------------------------------------------------------------------------------------------------------- change


def request_stop(run: Run) -> None:
    """Ask a Run to end after the Step under way; what its complete Epochs have learned is kept."""
    write_bytes(run.folder / "stop", b"", durable=False)
    if isinstance(run.status, Waiting) and not run.alive:
        write_status(run.folder, {"state": "stopped", "epoch": 0, "seconds": 0.0})


def stop_requested(folder: Path) -> bool:
    return (folder / "stop").exists()


def rename_run(run: Run, name: str) -> Run:
    """Another name for people; the folder keeps its own."""
    if not name.strip():
        raise ConfigError("A run needs a name.")
    value = read_json(run.folder / "config.json")
    write_json(run.folder / "config.json", {**value, "name": name.strip()})
    return read_run(run.folder)


def delete_run(project: Project, run: Run) -> None:
    """Delete a Run and its models. Raises UserError while it trains, and when its model is the current one."""
    if run.alive:
        raise UserError(f"The run {run.name} is still training.", hint="Stop it first.")
    current = project.current_model()
    if current is not None and current.resolve().is_relative_to(run.folder.resolve()):
        raise UserError(f"The model in use comes from the run {run.name}.", hint="Make another model current first.")
    try:
        (run.folder / "config.json").unlink()  # first: half a folder is no Run
        shutil.rmtree(run.folder)
    except OSError as error:
        raise write_error(run.folder, error) from error


# -------------------------------------------------------------------------------------------------------- status


def write_status(folder: Path, status: Mapping[str, Any]) -> None:
    write_json(folder / "status.json", dict(status), durable=False)


def process_of(pid: int) -> dict[str, Any]:
    """What identifies a process: its number alone is given to another one later."""
    return {"pid": pid, "process_created": psutil.Process(pid).create_time(), "host": socket.gethostname()}


def _process_state(status: Mapping[str, Any]) -> bool | None:
    """Whether the process of a status lives; None when that cannot be known from here."""
    if "pid" not in status or status.get("host") != socket.gethostname():
        return None
    try:
        process = psutil.Process(int(status["pid"]))
        same = abs(process.create_time() - float(status["process_created"])) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None


def _has_process(folder: Path) -> bool:
    return bool(_process_state(_raw_status(folder)))


def _raw_status(folder: Path) -> dict[str, Any]:
    try:
        value = read_json(folder / "status.json")
    except ReadError:
        return {}
    return value if isinstance(value, dict) else {}


def _read_status(folder: Path) -> Status:
    value = _raw_status(folder)
    state, epoch, seconds = value.get("state"), int(value.get("epoch", 0)), float(value.get("seconds", 0.0))
    if state == "waiting":
        gone = "pid" in value and _process_state(value) is False
        return Interrupted(_last_epoch(folder), "The training process ended while it loaded.") if gone else Waiting()
    if state == "running":
        return _running(folder, value)
    if state == "finished":
        return Finished(epoch, seconds)
    if state == "stopped":
        return Stopped(_last_epoch(folder), seconds)
    if state == "failed":
        return Failed(str(value.get("message", "")), str(value.get("hint", "")), log_tail(folder))
    reason = str(value.get("reason", "")) or "Its status cannot be read."
    return Interrupted(_last_epoch(folder), reason)


def _running(folder: Path, value: Mapping[str, Any]) -> Status:
    lives, heartbeat = _process_state(value), float(value.get("heartbeat", 0.0))
    if lives is False or (lives is None and time.time() - heartbeat > STALE_AFTER):
        return Interrupted(_last_epoch(folder), "The training process is gone.")
    left = value.get("seconds_left")
    return Running(
        epoch=int(value.get("epoch", 0)),
        epochs=int(value.get("epochs", 0)),
        heartbeat=heartbeat,
        seconds=float(value.get("seconds", 0.0)),
        seconds_left=None if left is None else float(left),
        doing=str(value.get("doing", "trains")),
    )


def _last_epoch(folder: Path) -> int:
    """The last complete Epoch that can be gone on from; 0 when there is none."""
    if not (folder / STATE_FILE).is_file():
        return 0
    epochs = read_columns(folder / "metrics.csv").get("epoch", [])
    return int(epochs[-1] or 0) if epochs else 0


def log_tail(folder: Path, *, lines: int = _LOG_TAIL) -> str:
    """The end of log.txt."""
    try:
        with (folder / "log.txt").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 16_384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


# -------------------------------------------------------------------------------------------------------- curves


def read_metrics(run: Run) -> dict[str, list[float | None]]:
    """Columns of metrics.csv, a value an Epoch, None where nothing was measured:

    epoch, step, seconds, train_loss, val_loss, train_iou, val_iou (both: mean IoU of the drawn labels), val_mean_iou
    (with background), learning_rate, and val_iou:<label> for each label.
    """
    return read_columns(run.folder / "metrics.csv")


def read_steps(run: Run) -> dict[str, list[float | None]]:
    """Columns of steps.csv: step, epoch, seconds, loss, learning_rate."""
    return read_columns(run.folder / "steps.csv")


def read_columns(path: Path) -> dict[str, list[float | None]]:
    """A CSV of numbers as columns. A torn or foreign row is left out: somebody may be writing it just now."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    whole = text[: text.rfind("\n") + 1]
    rows = csv.reader(io.StringIO(whole, newline=""))
    names = next(rows, [])
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    for row in rows:
        if len(row) != len(names):
            continue
        try:
            values = [float(cell) if cell else None for cell in row]
        except ValueError:
            continue
        for name, value in zip(names, values, strict=True):
            columns[name].append(value)
    return columns


def previews(run: Run) -> list[Path]:
    """Pictures of picture | truth | prediction, by name."""
    return sorted((run.folder / "previews").glob("*.jpg"))


# ------------------------------------------------------------------------------------------------------- details


def usable_rows(project: Project) -> list[SampleRow]:
    """The Samples that can train or validate, as the files are now."""
    index = Index(project)
    index.refresh()
    return [row for row in index.rows() if usable(row)]


def _drawn(row: SampleRow) -> set[int]:
    return {class_id for class_id, count in row.pixels.items() if count and 0 < class_id < 255}


def _only(split: Split, names: set[str]) -> Split:
    return replace(split, assignments={name: part for name, part in split.assignments.items() if name in names})


def _check_learnable(labels: LabelSet, rows: Sequence[SampleRow], split: Split) -> None:
    if len(labels) < 2:
        raise UserError("The project has no label yet.", hint="Add a label and mark it in some pictures.")
    if not rows:
        raise UserError("No picture is finished yet.", hint="Annotate at least one picture and mark it as done.")
    training = [row for row in rows if split.assignments.get(row.name) == "train"]
    if not training:
        raise UserError("All finished pictures validate or test; none trains.", hint="Annotate another picture.")
    if not any(_drawn(row) for row in training):
        raise UserError(
            "Nothing is marked in the pictures that train.", hint="Mark at least one object in one of them."
        )


def _fingerprint(rows: Sequence[SampleRow]) -> str:
    """Changes whenever a picture or an Annotation does."""
    text = "\n".join(f"{row.name}\t{row.stamp}" for row in rows)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def labels_changed(project: Project, run: Run) -> bool:
    """Whether the annotations are others than those that the Run began with."""
    return _fingerprint(usable_rows(project)) != run.fingerprint


def run_split(run: Run) -> Split:
    return read_split(run.folder)


def _free_folder(runs: Path, name: str) -> Path:
    stem = f"{datetime.now():%Y%m%d-%H%M%S}-{safe_name(name, limit=40).replace(' ', '-')}"
    folder, number = runs / stem, 2
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            folder, number = runs / f"{stem}-{number}", number + 1
        except OSError as error:
            raise write_error(folder, error) from error
        else:
            return folder
