"""Several Runs beside each other: what was set otherwise, and how good each is on pictures that none has trained on.

No torch at import: pages read what was measured.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.errors import ReadError, UserError
from core.files import read_json, write_json
from core.inference import load_backend
from core.networks.card import WEIGHTS_FILE
from core.project.index import SampleRow
from core.project.project import Project
from core.training.retrain import measure_on
from core.training.run import Run, run_split, usable_rows

Progress = Callable[[int, int, str], None]
_FILE: Final = "compared.json"  # in the Run's folder: what was measured of it, by what it was measured on


@dataclass(frozen=True)
class Measured:
    """Metrics (as Scores.to_json) of the best model of each Run, by its id, over the same pictures."""

    pictures: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, Any]]


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The settings in which the Runs differ, as `--set` names them, each with a value a Run."""
    flat = [_flat(run.config.to_json()) for run in runs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    found = {name: [settings.get(name) for settings in flat] for name in names}
    return {name: values for name, values in found.items() if any(value != values[0] for value in values)}


def shared_pictures(rows: Sequence[SampleRow], runs: Sequence[Run]) -> tuple[str, ...]:
    """Of the Samples that can be used: those that validate in at least one of the Runs and train in none of them."""
    splits = [run_split(run) for run in runs]
    trained = {name for split in splits for name in split.part("train")}
    validated = {name for split in splits for name in split.part("val")}
    return tuple(row.name for row in rows if row.name in validated - trained)


def read_measured(project: Project, runs: Sequence[Run]) -> Measured | None:
    """What `measure_runs` found, while pictures, annotations and models are the same; None otherwise."""
    rows = usable_rows(project)
    names = shared_pictures(rows, runs)
    known = {run.id: _known(run, _stamp(rows, run, names)) for run in runs}
    found = {run_id: metrics for run_id, metrics in known.items() if metrics is not None}
    return Measured(names, found) if len(found) == len(runs) else None


def measure_runs(project: Project, runs: Sequence[Run], *, progress: Progress | None = None) -> Measured:
    """Measure the best model of each Run on the pictures that none has trained on, and keep it in their folders.

    progress: is called with (pictures done, in all, name of the Run); what it raises goes through. Raises UserError
    when there is no such picture or a Run has no model, ReadError for a model that cannot be read.
    """
    rows = usable_rows(project)
    names = shared_pictures(rows, runs)
    if not names:
        raise UserError(
            "Each picture that validates in one of these runs trains in another.",
            hint="Choose runs that were begun after the same split, or train again.",
        )
    labels = runs[0].labels
    if any(run.labels.names != labels.names for run in runs):
        raise UserError(
            "These runs learned different labels, so one table cannot hold them.", hint="Choose others to compare."
        )
    metrics: dict[str, Mapping[str, Any]] = {}
    for i, run in enumerate(runs):
        stamp = _stamp(rows, run, names)
        known = _known(run, stamp)
        if known is None:
            if run.best is None:
                raise UserError(f"The run {run.name} has no model.", hint="Leave it out.")

            def step(done: int, _total: int, i: int = i, name: str = run.name) -> None:
                if progress is not None:
                    progress(i * len(names) + done, len(runs) * len(names), name)

            (scores,) = measure_on(project, labels, [load_backend(run.best)], names, step)
            known = scores.to_json(per_picture=False)
            write_json(run.folder / _FILE, {"stamp": stamp, "metrics": known})
        metrics[run.id] = known
    return Measured(names, metrics)


def _known(run: Run, stamp: str) -> Mapping[str, Any] | None:
    try:
        value = read_json(run.folder / _FILE)
        metrics: Mapping[str, Any] = value["metrics"]
        return metrics if value["stamp"] == stamp else None
    except (ReadError, KeyError, TypeError):
        return None


def _stamp(rows: Sequence[SampleRow], run: Run, names: Sequence[str]) -> str:
    """Changes with the model, and with the pictures and annotations that it is measured on."""
    weights = _file_stamp(run.best / WEIGHTS_FILE) if run.best else ""
    text = json.dumps([weights, [(row.name, row.stamp) for row in rows if row.name in set(names)]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _file_stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}-{status.st_size}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
