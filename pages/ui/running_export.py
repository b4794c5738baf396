"""Exports on their way, and what they say when they are over."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from core.files import safe_name
from core.formats.dataset import Part
from core.project.exporting import ExportReport, export_labels, exports_folder
from core.project.project import Project
from pages.ui.work import Stopped, Work, Works


class Wish(NamedTuple):
    """What is to go out: all finished pictures or those of one part, with the pictures themselves or without."""

    format: str
    part: Part | None = None
    with_pictures: bool = True


@dataclass
class RunningExport(Work):
    """One export. `report` is there once it is over, unless it was stopped or failed."""

    wish: Wish
    target: Path
    report: ExportReport | None = None


_exports: Final[Works[RunningExport]] = Works()


def export_of(project: Project) -> RunningExport | None:
    """The export that goes on, or whose report nobody has closed yet."""
    return _exports.of(project)


def begin_export(project: Project, wish: Wish) -> RunningExport:
    """Begin to write it. While another one of this Project goes on, that is returned and nothing begins."""
    # with its ending it must be a safe name itself, or it cannot be fetched
    parts = (safe_name(project.folder.name, limit=70), wish.format, *filter(None, [wish.part]))
    target = exports_folder(project) / f"{'-'.join(parts)}.zip"
    return _exports.begin(project, RunningExport(wish, target), _export)


def forget_export(project: Project) -> None:
    """Its report was read. One that goes on stays."""
    _exports.forget(project)


def _export(going: RunningExport, project: Project) -> None:
    format, part, with_pictures = going.wish
    with suppress(Stopped):  # then nothing is left behind, and there is nothing to say
        going.report = export_labels(
            project, format, going.target, part=part, with_pictures=with_pictures, progress=going.step
        )
