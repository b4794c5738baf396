"""Work on a model that takes longer than a page waits: comparing its back ends, writing it for other programs."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.errors import UserError
from core.files import safe_name
from core.inference.bench import bench
from core.project.exporting import model_exports_folder
from core.project.home import REPOSITORY
from core.project.project import Project
from pages.ui.work import Stopped, Work, Works

SUFFIXES: Final = {"package": ".zip", "onnx": ".onnx"}


@dataclass
class RunningBench(Work):
    """One comparison; what it measured is kept with the model."""

    model: Path


@dataclass
class RunningModelExport(Work):
    """One file for other programs. `report` is what the command line says of it, once it is over."""

    model: Path
    form: str
    target: Path
    report: dict[str, Any] | None = None


_benches: Final[Works[RunningBench]] = Works()
_exports: Final[Works[RunningModelExport]] = Works()


def bench_work(project: Project) -> RunningBench | None:
    """The comparison that goes on, or whose end nobody has closed yet."""
    return _benches.of(project)


def begin_bench(project: Project, model: Path) -> RunningBench:
    """Begin to compare. While another one of this Project goes on, that is returned and nothing begins."""
    return _benches.begin(project, RunningBench(model), _bench)


def forget_bench(project: Project) -> None:
    _benches.forget(project)


def export_work(project: Project) -> RunningModelExport | None:
    """The export that goes on, or whose end nobody has closed yet."""
    return _exports.of(project)


def begin_model_export(project: Project, model: Path, form: str) -> RunningModelExport:
    """Begin to write the model as `form`, a key of SUFFIXES. The same while another one goes on."""
    target = model_exports_folder(project) / f"{safe_name(project.folder.name, limit=70)}-model{SUFFIXES[form]}"
    return _exports.begin(project, RunningModelExport(model, form, target), _export)


def forget_model_export(project: Project) -> None:
    _exports.forget(project)


def _bench(going: RunningBench, project: Project) -> None:
    def show(share: float, what: str) -> None:
        going.step(round(1000 * share), 1000, what)
        going.what = what

    with suppress(Stopped):
        bench(going.model, progress=show)


def _export(going: RunningModelExport, project: Project) -> None:
    """In another process: it needs torch, and some seconds of it would stand in every page's way."""
    going.what = "Writing the file and comparing it with the model; usually 15 to 60 seconds"
    going.target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "core", "export-model", str(going.model.resolve()), "--json"]
    command += ["--to", going.form, "--out", str(going.target.resolve())]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while True:
            if going.stop.is_set():
                process.kill()
            with suppress(subprocess.TimeoutExpired):  # read while waiting: a full pipe would stop the process
                said, problem = process.communicate(timeout=0.2)
                break
    if going.stop.is_set():
        return
    if process.returncode:
        raise UserError(problem.strip().splitlines()[-1] if problem.strip() else "The export ended without a word.")
    going.report = json.loads(said.splitlines()[-1])
