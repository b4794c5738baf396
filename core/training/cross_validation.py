"""`python -m core.training.cross_validation SET_FOLDER`: the process that trains a cross-validation.

One Run after the other, each as the worker does it; then every picture is measured once, by the model that has not
learned from it, and the best models become one model, their ensemble. A file `stop` in the folder, or SIGTERM, ends it
after the Step under way; a later start goes on where it was, and finished Runs are not trained again.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.errors import UserError, WriteError
from core.files import now, write_json
from core.inference import load_backend
from core.inference.ensemble import write_ensemble
from core.inference.scores import Scores
from core.networks.card import ModelCard, read_card
from core.process import give_way
from core.project.project import Project
from core.training import worker
from core.training.fold_set import TABLE_FILE, FoldSet, check_complete, read_set, stop_folder
from core.training.fold_table import Table, over_folds, table_lines
from core.training.retrain import measure_on, validation_names
from core.training.run import Finished, Run, Waiting, read_run, resume_run
from core.training.status import process_of, write_status


class _Stopped(Exception):
    """A person asked to stop in between."""


def main(arguments: Sequence[str]) -> int:
    folder = Path(arguments[0])
    give_way()
    signal.signal(signal.SIGTERM, lambda *_: stop_folder(folder, _set_in(folder).runs))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work(folder)
    except UserError:
        return 2  # said in status.json and log.txt
    return 0


def work(folder: Path, *, on_epoch: worker.OnEpoch | None = None) -> None:
    """Train what is left of the cross-validation in `folder`, measure it, make its ensemble; all is said in its files.

    Raises what made it fail, after writing it down.
    """
    try:
        fold_set = _set_in(folder)
        check_complete(fold_set)
        for run in fold_set.runs:
            _train(fold_set, run, on_epoch)
        _finish(_set_in(folder))
    except (_Stopped, KeyboardInterrupt) as error:
        worker.log(folder, "Stopped.")
        write_status(folder, {"state": "stopped"})
        if isinstance(error, KeyboardInterrupt):
            raise
    except UserError as error:
        _fail(folder, str(error), error.message, error.hint)
        raise
    except Exception as error:  # the process ends here: whatever it was is written down, then raised
        hint = "The log tells where. This is a mistake of ours: please report it."
        _fail(folder, "".join(traceback.format_exception(error)), f"It failed: {type(error).__name__}: {error}", hint)
        raise


# -------------------------------------------------------------------------------------------------------- training


def _set_in(folder: Path) -> FoldSet:
    return read_set(Project.open(folder.resolve().parent.parent), folder.name)


def _train(fold_set: FoldSet, run: Run, on_epoch: worker.OnEpoch | None) -> None:
    """Train one Run to its end. Raises _Stopped when it ended before."""
    if isinstance(run.status, Finished):
        return
    run = _made_ready(run)
    if (fold_set.folder / "stop").exists():
        raise _Stopped
    number, of = _number_of(run), fold_set.of
    worker.log(fold_set.folder, f"Fold {number} of {of} trains: {run.id}")
    write_status(fold_set.folder, _status(doing="trains", done=number - 1, total=of))

    def tell(done: int, total: int, text: str) -> None:
        if on_epoch is not None:
            on_epoch(done, total, f"fold {number} of {of}: {text}")

    worker.work(run.folder, on_epoch=tell)
    if not isinstance(read_run(run.folder).status, Finished):
        raise _Stopped


def _made_ready(run: Run) -> Run:
    """The Run waiting, from its last complete Epoch where there is one, else from its beginning."""
    if run.alive:
        raise UserError(f"The run {run.name} is still training.", hint="Wait for it, or stop it first.")
    (run.folder / "stop").unlink(missing_ok=True)
    if run.resumable:
        return resume_run(run.folder)
    if not isinstance(run.status, Waiting):
        write_status(run.folder, {"state": "waiting"})
    return read_run(run.folder)


def _status(**doing: Any) -> dict[str, Any]:
    return {"state": "running", **doing, **process_of(os.getpid())}


# ----------------------------------------------------------------------------------------------- table and ensemble


def _finish(fold_set: FoldSet) -> None:
    """Measure, make the ensemble, and use it where the Project has no model yet."""
    project = Project.open(fold_set.project_folder)
    total = sum(len(validation_names(project, run)) for run in fold_set.runs)

    def tell(done: int) -> None:
        if (fold_set.folder / "stop").exists():
            raise _Stopped
        write_status(fold_set.folder, _status(doing="measures", done=done, total=total))

    tell(0)
    table = measure(project, fold_set, tell)
    write_json(fold_set.folder / TABLE_FILE, asdict(table))
    members = [_best(run) for run in fold_set.runs]
    write_ensemble(fold_set.folder, members, _card(fold_set, table, read_card(members[0])))
    if project.current_model() is None:
        project.set_current_model(fold_set.folder)
    for line in table_lines(table):
        worker.log(fold_set.folder, line.strip())
    write_status(fold_set.folder, {"state": "finished"})


def measure(project: Project, fold_set: FoldSet, progress: Callable[[int], None]) -> Table:
    """Predict every picture by the model of the fold that it validates. progress: is told the pictures done."""
    labels = fold_set.runs[0].labels
    pooled: Scores | None = None
    folds, done = [], 0
    for run in fold_set.runs:
        names = validation_names(project, run)

        def tell(of_fold: int, _total: int, before: int = done) -> None:
            progress(before + of_fold)

        (scores,) = measure_on(project, labels, [load_backend(_best(run))], names, tell)
        done += len(names)
        pooled = pooled or Scores(labels, scores.config)
        pooled.merge(scores)
        found = scores.to_json(per_picture=False)
        folds.append({"run": run.id, "number": _number_of(run), "pictures": len(names), "scores": found})
    assert pooled is not None
    foreground = [label.name for label in labels.foreground]
    return Table(now(), foreground, folds, pooled.to_json(), over_folds([fold["scores"] for fold in folds], foreground))


def _card(fold_set: FoldSet, table: Table, first: ModelCard) -> ModelCard:
    """That of the first member. Its figures are the pooled ones: of the members, not of the ensemble itself."""
    return replace(
        first,
        name=f"{fold_set.name}, ensemble of {fold_set.of}",
        created=table.created,
        metrics={key: value for key, value in table.pooled.items() if key != "per_picture"},
        training={
            "cross_validation": fold_set.id,
            "folds": fold_set.of,
            "measured": "each picture by the member that has not learned from it",
            "preset": first.training.get("preset"),
            "pictures": table.pictures,
        },
    )


def _best(run: Run) -> Path:
    if run.best is None:
        raise UserError(f"The run {run.name} has no model.", hint="Delete the cross-validation and start a new one.")
    return run.best


def _number_of(run: Run) -> int:
    return run.fold.number if run.fold else 0


def _fail(folder: Path, text: str, message: str, hint: str) -> None:
    """Write down why it failed; where the disk refuses even that, the process's own end has to do."""
    try:
        worker.log(folder, f"Failed: {text}")
        write_status(folder, {"state": "failed", "message": message, "hint": hint})
    except WriteError:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
