"""Measuring Runs against each other, in a thread."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from core.project.project import Project
from core.training.compare import measure_runs
from core.training.run import Run
from pages.ui.work import Stopped, Work, Works


@dataclass
class RunningMeasurement(Work):
    """What it finds is kept in the Runs' folders."""

    runs: Sequence[Run]


_measurements: Final[Works[RunningMeasurement]] = Works()


def measurement_of(project: Project) -> RunningMeasurement | None:
    return _measurements.of(project)


def begin_measurement(project: Project, runs: Sequence[Run]) -> RunningMeasurement:
    """While another one of this Project goes on, that is returned and nothing begins."""
    return _measurements.begin(project, RunningMeasurement(runs), _measure)


def forget_measurement(project: Project) -> None:
    _measurements.forget(project)


def _measure(going: RunningMeasurement, project: Project) -> None:
    with suppress(Stopped):
        measure_runs(project, going.runs, progress=going.step)
