"""Earlier versions of an Annotation: who made which when, and back to any of them."""

from pathlib import Path
from typing import NamedTuple

from core.errors import ReadError
from core.project.project import Project
from core.project.sample import SampleState, stamp_of


class Version(NamedTuple):
    """One saved state of a Sample's Annotation. `name`: its number, or refused-... or damaged-...."""

    name: str
    author: str
    time: str
    state: SampleState
    shapes: int
    path: Path
    current: bool


def versions(project: Project, sample: str) -> list[Version]:
    """All versions of a Sample that can be read, the latest first."""
    folder = project.history / sample
    kept = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    found = [_version(project, path, current=False) for path in kept]
    present = _version(project, project.annotation_path(sample), current=True)
    return [version for version in (present, *found) if version is not None]


def restore(project: Project, sample: str, version: str, *, author: str) -> int:
    """Make an earlier version the present one, as a new save; returns its number. Raises ReadError."""
    path = project.history / sample / f"{version}.json"
    if path.parent != project.history / sample:
        raise ReadError(f"{version!r} is not a version of {sample}.")
    annotation = project.read_annotation_file(path)
    if annotation is None:
        raise ReadError(f"Version {version} of {sample} is not in the history.", hint="Choose one that is listed.")
    return project.save_annotation(
        sample, annotation, author=author, state=stamp_of(annotation).state, what=f"Back to version {version}"
    )


def _version(project: Project, path: Path, *, current: bool) -> Version | None:
    try:
        annotation = project.read_annotation_file(path)
    except ReadError:  # damaged files are kept in the same folder; they cannot be gone back to
        return None
    if annotation is None:
        return None
    stamp = stamp_of(annotation)
    name = str(stamp.version) if current else path.stem
    return Version(name, stamp.author, stamp.time, stamp.state, len(annotation.shapes), path, current)
