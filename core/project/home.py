"""Where Projects live on this machine, and the sample projects that a newcomer finds there."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from core.annotation.labels import IGNORE_ID, LabelSet
from core.errors import ConfigError, ReadError, WriteError
from core.files import locked, natural_key, safe_name, write_bytes
from core.formats.source import open_source
from core.project.importing import import_source
from core.project.index import Index
from core.project.project import Project
from core.project.report import usable
from core.project.split import ensure_split

REPOSITORY: Final = Path(__file__).resolve().parents[2]
_MARK: Final = ".samples-made"  # so that a sample project that was deleted does not come back
_LAST: Final = ".last-opened"  # the folder name of a Project


def projects_home() -> Path:
    """The folder of all Projects: MASKLOOP_HOME, else ~/maskloop."""
    return Path(os.environ.get("MASKLOOP_HOME") or Path.home() / "maskloop")


def list_projects() -> list[Path]:
    """Folders of Projects in natural order."""
    home = projects_home()
    found = [path.parent for path in home.glob("*/project.json")] if home.is_dir() else []
    return sorted(found, key=lambda folder: natural_key(folder.name))


def project_folder(name: str) -> Path:
    """The folder of the Project called `name` in a link. Raises ReadError when there is none."""
    folder = projects_home() / name
    if name != safe_name(name) or not (folder / "project.json").is_file():
        raise ReadError(f"There is no project {name!r}.", hint="Choose one on the Projects page.")
    return folder


def last_opened() -> Path | None:
    """The folder of the Project that was opened last on this machine; None when it is not known or not there."""
    try:
        return project_folder((projects_home() / _LAST).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, ReadError):
        return None


def remember_opened(folder: Path) -> None:
    """Keep that this Project was opened last. A home that cannot be written costs only this memory."""
    with suppress(WriteError):
        write_bytes(projects_home() / _LAST, folder.name.encode(), durable=False)


def create_project(name: str, *, preset: str, labels: LabelSet) -> Project:
    """A new Project in the home, in a folder of its name. Raises ConfigError when the name is taken."""
    if not name.strip():
        raise ConfigError("The project has no name.", hint="Give it a name.")
    return Project.create(projects_home() / safe_name(name.strip()), name=name.strip(), preset=preset, labels=labels)


class _SampleProject(NamedTuple):
    folder: str  # in sample_data/
    name: str
    preset: str
    model: str | None  # in models/


_SAMPLES: Final = (
    _SampleProject("town", "Sample 1 - town from above", "satellite", "sample-town"),
    _SampleProject("coins", "Sample 2 - coins", "general", None),
)


def samples_are_made() -> bool:
    return (projects_home() / _MARK).exists()


def ensure_sample_project(progress: Callable[[str], None] | None = None) -> None:
    """Make the sample projects once, on the first start; later calls return at once."""
    home = projects_home()
    if samples_are_made():
        return
    with locked(home / ".lock"):
        if (home / _MARK).exists():
            return
        for sample in _SAMPLES:
            if not (home / sample.name / "project.json").exists():
                if progress is not None:
                    progress(sample.name)
                _make_sample_project(home / sample.name, sample)
        write_bytes(home / _MARK, b"")


def _make_sample_project(folder: Path, sample: _SampleProject) -> None:
    building = folder.with_name(f".{folder.name}.part")  # half a sample project must never be found
    shutil.rmtree(building, ignore_errors=True)
    project = Project.create(building, name=sample.name, preset=sample.preset)
    import_source(project, open_source(REPOSITORY / "sample_data" / sample.folder), author="sample data")
    # Fixed here, as it was when the kept model was trained: it shall never be measured on pictures it learned from.
    rows = [row for row in Index(project).rows() if usable(row)]
    ensure_split(project, [row.name for row in rows], {row.name: set(row.pixels) - {0, IGNORE_ID} for row in rows})
    if sample.model and (REPOSITORY / "models" / sample.model / "model.json").is_file():
        shutil.copytree(REPOSITORY / "models" / sample.model, building / "models" / sample.model)
        project.set_current_model(building / "models" / sample.model)
    building.rename(folder)
