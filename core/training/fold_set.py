"""A cross-validation: Runs that each hold back another part of the pictures, so that every picture validates once.

    <project>/folds/<YYYYmmdd-HHMMSS>-<name>/
        config.json    its name, and how many Runs it has; each Run's own config.json says which fold it is
        status.json    the process that trains them one after the other, and what it does; log.txt
        scores.json    its table, when all have been trained
        model.json     and ensemble.json: the mean of their best models as one model, see inference/ensemble.py

No torch here: pages read FoldSets.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from core.errors import ConfigError, ReadError, UserError
from core.files import now, read_json, write_error, write_json
from core.networks.card import is_ensemble
from core.project.folds import folds_of
from core.project.index import SampleRow
from core.project.project import Project
from core.project.split import Part, Split
from core.training.config import TrainingConfig
from core.training.run import (
    FOLDS,
    Finished,
    Fold,
    Run,
    Running,
    check_learnable,
    create_run,
    delete_run,
    drawn_split,
    free_folder,
    list_runs,
    usable_rows,
)
from core.training.status import has_process, raw_status

SCHEMA: Final = 1
MOST_FOLDS: Final = 10
TABLE_FILE: Final = "scores.json"
_ANEW: Final = "Delete this folder, and train anew."


@dataclass(frozen=True)
class FoldSet:
    """One cross-validation as its folder and its Runs say it is now. runs: by their numbers."""

    folder: Path
    name: str
    of: int
    created: str  # ISO time
    runs: tuple[Run, ...]
    status: Mapping[str, Any]  # state: waiting, running, stopped, failed or finished; doing, done, total; message, hint

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def project_folder(self) -> Path:
        return self.folder.parent.parent

    @property
    def alive(self) -> bool:
        return self.running is not None or has_process(self.folder)

    @property
    def running(self) -> Run | None:
        """The Run that trains now; None also while all of them are measured."""
        return next((run for run in self.runs if run.alive), None)

    @property
    def done(self) -> int:
        """How many Runs have finished."""
        return sum(isinstance(run.status, Finished) for run in self.runs)

    @property
    def ensemble(self) -> Path | None:
        """The folder of its ensemble, None before the end."""
        return self.folder if is_ensemble(self.folder) else None

    @property
    def finished(self) -> bool:
        return self.ensemble is not None and (self.folder / TABLE_FILE).is_file()

    def seconds_left(self) -> float | None:
        """Of all training that is left, from what the Runs have taken so far; None before the first measurement."""
        now_at, left = self.running, 0.0
        taken = [run.status.seconds for run in self.runs if isinstance(run.status, Finished)]
        if now_at is not None and isinstance(now_at.status, Running):
            if now_at.status.seconds_left is None:
                return None
            left = now_at.status.seconds_left
            taken.append(now_at.status.seconds + left)
        waiting = self.of - self.done - (now_at is not None)
        if waiting and not taken:
            return None
        return left + (waiting * sum(taken) / len(taken) if waiting else 0.0)


# ------------------------------------------------------------------------------------------------- make and read


def create_set(project: Project, config: TrainingConfig, k: int, *, name: str = "") -> FoldSet:
    """A new cross-validation of k Runs that wait. Raises UserError when one of them has nothing to learn from."""
    if not 2 <= k <= MOST_FOLDS:
        raise ConfigError(f"{k} folds are not possible.", hint=f"Choose 2 to {MOST_FOLDS}; 5 is common.")
    labels, rows = project.settings.labels, usable_rows(project)
    check_learnable(labels, rows, Split({row.name: "train" for row in rows}))
    splits = fold_splits(rows, drawn_split(project, rows), k)
    for number, split in enumerate(splits, start=1):
        try:
            check_learnable(labels, rows, split)
        except UserError as error:
            raise UserError(
                f"Fold {number} of {k} has nothing to learn from. {error.message}",
                hint="Mark objects in more pictures, or choose another number of folds.",
            ) from error
    name = name.strip() or config.preset
    folder = free_folder(project.folder / FOLDS, name)
    runs: list[Run] = []
    try:
        for number, split in enumerate(splits, start=1):
            called, fold = f"{name}, fold {number} of {k}", Fold(folder.name, number, k)
            runs.append(create_run(project, config, name=called, split=split, fold=fold))
        write_json(folder / "status.json", {"state": "waiting"})
        header = {"schema": SCHEMA, "name": name, "created": now(), "of": k}
        write_json(folder / "config.json", header)  # last: a folder without it is no FoldSet
    except UserError:
        for run in runs:
            delete_run(project, run)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return read_set(project, folder.name)


def fold_splits(rows: Sequence[SampleRow], drawn: Split, k: int) -> list[Split]:
    """A Split for each fold. Pictures that test, and all of their groups, are in none of them.

    Pictures of one group stay together, and so do those with the same bytes. Raises ConfigError for too few groups.
    """
    groups = together(rows, drawn)
    names = learning(rows, drawn, groups)
    assigned: list[dict[str, Part]] = folds_of(names, groups, k, drawn.seed)
    return [replace(drawn, assignments=assignments) for assignments in assigned]


def together(rows: Sequence[SampleRow], drawn: Split) -> dict[str, str]:
    """Sample -> group: that of the Split, where copies of one picture make one group of two."""
    groups = {row.name: drawn.group_of(row.name) for row in rows}
    first: dict[str, str] = {}  # digest -> a Sample with it
    for row in rows:
        twin = first.setdefault(row.digest, row.name)
        if groups[twin] != groups[row.name]:
            moved = groups[row.name]
            groups = {name: groups[twin] if group == moved else group for name, group in groups.items()}
    return groups


def learning(rows: Sequence[SampleRow], drawn: Split, groups: Mapping[str, str]) -> list[str]:
    """The Samples that take part in a cross-validation: all but those that test, and their groups."""
    held_back = {groups.get(name, drawn.group_of(name)) for name in drawn.test}
    return [row.name for row in rows if groups[row.name] not in held_back]


def read_set(project: Project, set_id: str, runs: Sequence[Run] | None = None) -> FoldSet:
    """The cross-validation of that id; `runs`: those of the Project, when they are known. Raises ReadError."""
    folder = project.folder / FOLDS / set_id
    value = read_json(folder / "config.json")
    try:
        if value["schema"] != SCHEMA:
            raise ReadError(f"The cross-validation {set_id} was made by another version of Maskloop.", hint=_ANEW)
        name, of, created = str(value["name"]), int(value["of"]), str(value["created"])
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"config.json in {folder} is damaged ({error!r}).", hint=_ANEW) from error
    its_runs = [run for run in (list_runs(project) if runs is None else runs) if run.fold and run.fold.set == set_id]
    return FoldSet(folder, name, of, created, tuple(sorted(its_runs, key=_number)), raw_status(folder))


def list_sets(project: Project, runs: Sequence[Run] | None = None) -> list[FoldSet]:
    """All cross-validations, the newest first; folders that cannot be read are left out."""
    home = project.folder / FOLDS
    folders = sorted(home.iterdir(), reverse=True) if home.is_dir() else []
    folders = [folder for folder in folders if (folder / "config.json").is_file()]
    if folders and runs is None:
        runs = list_runs(project)
    found = []
    for folder in folders:
        try:
            found.append(read_set(project, folder.name, runs))
        except ReadError:
            continue  # written by another version, or damaged: it does not hide the others
    return found


def check_complete(fold_set: FoldSet) -> None:
    """Raises UserError when a Run of the set is gone."""
    if [_number(run) for run in fold_set.runs] != list(range(1, fold_set.of + 1)):
        raise UserError(
            f"Of the {fold_set.of} runs of the cross-validation {fold_set.name} {len(fold_set.runs)} are left.",
            hint="Delete it and start a new one.",
        )


# -------------------------------------------------------------------------------------------------------- change


def request_stop_set(fold_set: FoldSet) -> None:
    """Ask a cross-validation to end after the Step under way; it can be gone on with."""
    stop_folder(fold_set.folder, fold_set.runs)


def stop_folder(folder: Path, runs: Sequence[Run]) -> None:
    try:
        (folder / "stop").touch()  # first: the process looks here after it has taken the Run's own stop away
        for run in runs:
            if not isinstance(run.status, Finished):
                (run.folder / "stop").touch()
                break
    except OSError as error:
        raise write_error(folder / "stop", error) from error


def delete_set(project: Project, fold_set: FoldSet) -> None:
    """Delete a cross-validation with its Runs, their models, its table and its ensemble.

    Raises UserError while it trains, and when the current model is its ensemble or one of its Runs'.
    """
    if fold_set.alive:
        raise UserError(f"The cross-validation {fold_set.name} is still under way.", hint="Stop it first.")
    current = project.current_model()
    folders = [fold_set.folder, *(run.folder for run in fold_set.runs)]
    if current is not None and any(current.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise UserError(
            f"The model in use comes from the cross-validation {fold_set.name}.",
            hint="Make another model current first.",
        )
    try:
        (fold_set.folder / "config.json").unlink()  # first: what is left of a set are Runs like any other
        shutil.rmtree(fold_set.folder)
    except OSError as error:
        raise write_error(fold_set.folder, error) from error
    for run in fold_set.runs:
        delete_run(project, run)


# ------------------------------------------------------------------------------------------------------- details


def _number(run: Run) -> int:
    return run.fold.number if run.fold else 0
