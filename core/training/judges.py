"""Who may say how good a model is on a picture: only weights that have not learned from it. No torch here."""

from collections.abc import Sequence
from pathlib import Path

from core.inference.ensemble import member_folders
from core.networks.card import is_ensemble
from core.project.project import Project
from core.project.split import read_split


def judges(project: Project, model: Path, names: Sequence[str]) -> dict[Path, list[str]] | None:
    """Which Checkpoint stands for `model` on which of the Samples `names`, each name once.

    The model itself where none of it has learned from the picture. Of an ensemble otherwise a member that has not: it
    is a little worse than all together, so what it gives is a modest figure of the ensemble. None when a picture is
    left that all have learned from. Raises ReadError.
    """
    members = member_folders(model) if is_ensemble(model) else [model]
    learned = {member: _trained_on(project, member) for member in members}
    found: dict[Path, list[str]] = {}
    for name in names:
        fair = [member for member in members if name not in learned[member]]
        if not fair:
            return None
        found.setdefault(model if len(fair) == len(members) else fair[0], []).append(name)
    return found


def _trained_on(project: Project, checkpoint: Path) -> set[str]:
    """The Samples that the Run of a Checkpoint trained on; none for a model that came from elsewhere."""
    run = checkpoint.resolve().parent
    return set(read_split(run).train) if run.parent == project.runs.resolve() else set()
