"""Starts training processes and watches them. A Run's process is of its own session: it outlives the app."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from core.errors import UserError
from core.files import locked, read_json, write_error
from core.project.project import Project
from core.training.estimate import stop_measuring
from core.training.fold_set import FoldSet, check_complete, list_sets
from core.training.run import Run, Waiting, list_runs, read_run, resume_run
from core.training.status import process_of, write_status

_REPOSITORY: Final = Path(__file__).resolve().parents[2]  # where `-m core...` finds the code, whatever the app's folder


def start(run: Run) -> None:
    """Train a waiting Run in the background. Returns at once; read_run tells how it goes.

    Raises UserError when another Run of the Project trains: two would share the cores, and both be done later.
    """
    with locked(run.project_folder / ".lock"):
        _refuse_beside_others(Project.open(run.project_folder))
        if not isinstance(read_run(run.folder).status, Waiting):
            raise UserError(f"The run {run.name} has been started before.", hint="Resume it, or start a new one.")
        stop_measuring()
        process = _launch(run.folder, "core.training.worker")
        write_status(run.folder, {"state": "waiting", **process_of(process.pid)})
    threading.Thread(target=_watch, args=(process, run.folder), name=f"watch {run.id}", daemon=True).start()


def resume(run: Run) -> None:
    """Go on with a stopped, failed or interrupted Run from its last Epoch. Raises UserError where that cannot be."""
    _refuse_beside_others(Project.open(run.project_folder))
    start(resume_run(run.folder))


def start_set(fold_set: FoldSet) -> None:
    """Train what is left of a cross-validation in the background, and measure it. Returns at once.

    Begins a new one and goes on with one that was stopped, failed or interrupted. Raises UserError as `start` does, and
    when one of its Runs is gone.
    """
    check_complete(fold_set)
    with locked(fold_set.project_folder / ".lock"):
        _refuse_beside_others(Project.open(fold_set.project_folder))
        stop_measuring()
        (fold_set.folder / "stop").unlink(missing_ok=True)
        process = _launch(fold_set.folder, "core.training.cross_validation")
        write_status(fold_set.folder, {"state": "waiting", **process_of(process.pid)})
    threading.Thread(target=_watch, args=(process, fold_set.folder), name=f"watch {fold_set.id}", daemon=True).start()


def alive_run(project: Project) -> Run | None:
    """The Run of this Project that trains now."""
    return next((run for run in list_runs(project) if run.alive), None)


def _refuse_beside_others(project: Project) -> None:
    """Raises UserError while something trains here: two would share the cores, and both be done later."""
    other: Run | FoldSet | None = alive_run(project)
    if other is not None:
        raise UserError(f"The run {other.name} is training.", hint="Wait for it, or stop it first.")
    other = next((fold_set for fold_set in list_sets(project) if fold_set.alive), None)
    if other is not None:
        raise UserError(f"The cross-validation {other.name} is under way.", hint="Wait for it, or stop it first.")


def _launch(folder: Path, program: str) -> subprocess.Popen[bytes]:
    try:
        with (folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", program, str(folder.resolve())],
                cwd=_REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise write_error(folder / "log.txt", error) from error


def _watch(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait for the process, so that it leaves no zombie, and write down how it ended where it could not itself."""
    code = process.wait()
    state = _unfinished(folder)
    if code == 0 or not state:
        return
    if code < 0:
        reason = f"The training process was killed (signal {-code})."
        if code == -9:
            reason += " When memory runs out, the system does that."
        write_status(folder, {"state": "interrupted", "reason": reason})
    else:
        message, hint = f"The training process ended with code {code}.", "The log says why."
        write_status(folder, {"state": "failed", "message": message, "hint": hint})


def _unfinished(folder: Path) -> bool:
    if not (folder / "config.json").exists():  # deleted meanwhile
        return False
    return read_json(folder / "status.json").get("state") in ("waiting", "running")
