"""A Run: one training, and its folder, through which the app and the training process talk.

    <project>/runs/<YYYYmmdd-HHMMSS>-<name>/
        config.json       settings, labels, and a fingerprint of the annotations at the start
        split.json        which Samples train and which validate: a snapshot
        status.json       state, process and heartbeat, written every two seconds
        metrics.csv       a row an Epoch; steps.csv: a row every second or so; log.txt
        previews/         <sample>.jpg: picture, truth and prediction side by side
        tensorboard/      the curves once more, and pictures of about 20 Epochs, as TensorBoard events
        comparison.json   the new model and the current one on the same validation pictures
        best/             Checkpoint; last/state.safetensors: all that is needed to go on

No torch here: pages read Runs.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError, UserError
from core.files import now, read_json, safe_name, write_bytes, write_error, write_json
from core.project.index import Index, SampleRow
from core.project.project import Project
from core.project.report import MAX_PIXELS, usable
from core.project.split import Split, ensure_split, read_split
from core.training.columns import read_columns
from core.training.config import TrainingConfig
from core.training.status import STATE_FILE, Finished, Running, Status, Waiting, has_process, read_status, write_status
from core.training.status import Failed as Failed  # these four are part of this door, though not used here
from core.training.status import Interrupted as Interrupted
from core.training.status import Stopped as Stopped
from core.training.status import log_tail as log_tail

SCHEMA: Final = 1
FOLDS: Final = "folds"  # the Project's folder of cross-validations


@dataclass(frozen=True)
class Fold:
    """Which part of a cross-validation a Run is. set: the id of its FoldSet. number: from 1 to `of`."""

    set: str
    number: int
    of: int


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
    fold: Fold | None = None

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def project_folder(self) -> Path:
        return self.folder.parent.parent

    @property
    def alive(self) -> bool:
        return isinstance(self.status, Running) or (isinstance(self.status, Waiting) and has_process(self.folder))

    @property
    def best(self) -> Path | None:
        """The folder of its best Checkpoint, None before the first one."""
        return self.folder / "best" if (self.folder / "best" / "model.json").is_file() else None

    @property
    def resumable(self) -> bool:
        return not self.alive and not isinstance(self.status, Finished) and (self.folder / STATE_FILE).is_file()


# ------------------------------------------------------------------------------------------------- make and read


def create_run(
    project: Project, config: TrainingConfig, *, name: str = "", split: Split | None = None, fold: Fold | None = None
) -> Run:
    """A new Run that waits. Samples that are done and readable train; `config` takes the Project's label count.

    split: instead of the Project's, for a Run that is one fold of a cross-validation. Raises UserError when there is
    nothing to learn from.
    """
    labels = project.settings.labels
    rows = usable_rows(project)
    split = _only(split or drawn_split(project, rows), {row.name for row in rows})
    check_learnable(labels, rows, split)
    config = replace(config, network=replace(config.network, classes=len(labels)))
    name = name.strip() or config.preset
    folder = free_folder(project.runs, name)
    write_json(folder / "split.json", split.to_json())
    write_json(folder / "status.json", {"state": "waiting"})
    header = {
        "schema": SCHEMA,
        "name": name,
        "created": now(),
        "fingerprint": _fingerprint(rows),
        "labels": labels.to_json(),
        "training": config.to_json(),
        "fold": asdict(fold) if fold else None,
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
            status=read_status(folder),
            fold=_fold(value.get("fold")),
        )
    except ConfigError as error:
        raise ReadError(f"config.json in {folder.name}: {error.message}", hint=error.hint) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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
    (folder / "comparison.json").unlink(missing_ok=True)  # of the model as it was when the Run was stopped
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
    """Delete a Run and its models.

    Raises UserError while it trains, when its model is the current one, and when it is part of a cross-validation,
    whose table and ensemble need all of its Runs.
    """
    if run.alive:
        raise UserError(f"The run {run.name} is still training.", hint="Stop it first.")
    if run.fold is not None and (project.folder / FOLDS / run.fold.set / "config.json").is_file():
        raise UserError(
            f"The run {run.name} is part of a cross-validation, whose table and ensemble need its model.",
            hint="Delete the cross-validation as a whole.",
        )
    current = project.current_model()
    if current is not None and current.resolve().is_relative_to(run.folder.resolve()):
        raise UserError(f"The model in use comes from the run {run.name}.", hint="Make another model current first.")
    try:
        (run.folder / "config.json").unlink()  # first: half a folder is no Run
        shutil.rmtree(run.folder)
    except OSError as error:
        raise write_error(run.folder, error) from error


# -------------------------------------------------------------------------------------------------------- curves


def read_metrics(run: Run) -> dict[str, list[float | None]]:
    """Columns of metrics.csv, a value an Epoch, None where nothing was measured:

    epoch, step, seconds, train_loss, val_loss, train_iou, val_iou (both: mean IoU of the drawn labels), val_mean_iou
    (with background), learning_rate, waiting_share (0..1 of the Steps' time, for Tiles), and val_iou:<label> for each
    label.
    """
    return read_columns(run.folder / "metrics.csv")


def read_steps(run: Run) -> dict[str, list[float | None]]:
    """Columns of steps.csv: step, epoch, seconds, loss, learning_rate."""
    return read_columns(run.folder / "steps.csv")


def previews(run: Run) -> list[Path]:
    """Pictures of picture | truth | prediction, by name."""
    return sorted((run.folder / "previews").glob("*.jpg"))


# ------------------------------------------------------------------------------------------------------- details


def usable_rows(project: Project) -> list[SampleRow]:
    """The Samples that can train or validate, as the files are now."""
    index = Index(project)
    index.refresh()
    return [row for row in index.rows() if usable(row)]


def unlabelled_rows(project: Project, split: Split) -> list[SampleRow]:
    """The Samples that nobody has begun and that are no copy of one that validates or tests, in `split` or for good."""
    index = Index(project)
    index.refresh()
    rows, parts = index.rows(), (read_split(project.folder), split)
    held_back = {row.digest for row in rows for one in parts if one.assignments.get(row.name) in ("val", "test")}
    return [
        row
        for row in rows
        if row.state == "todo" and not row.error and row.size.pixels <= MAX_PIXELS and row.digest not in held_back
    ]


def _fold(value: Any) -> Fold | None:
    return Fold(str(value["set"]), int(value["number"]), int(value["of"])) if value else None


def drawn_split(project: Project, rows: Sequence[SampleRow]) -> Split:
    """The Project's Split, with a place for each of `rows`."""
    return ensure_split(project, [row.name for row in rows], {row.name: _drawn(row) for row in rows})


def _drawn(row: SampleRow) -> set[int]:
    return {class_id for class_id, count in row.pixels.items() if count and 0 < class_id < 255}


def _only(split: Split, names: set[str]) -> Split:
    return replace(split, assignments={name: part for name, part in split.assignments.items() if name in names})


def check_learnable(labels: LabelSet, rows: Sequence[SampleRow], split: Split) -> None:
    """Raises UserError when a Run with this Split would have nothing to learn from."""
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


def free_folder(runs: Path, name: str) -> Path:
    """A new folder in `runs`, called by the time and `name`."""
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
