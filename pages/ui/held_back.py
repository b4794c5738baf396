"""The labelled validation pictures of a Project under a model: what its mistakes are measured on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from core.annotation.raster import Mask
from core.inference.predict import Undecided, predict_undecided
from core.networks.card import ModelCard
from core.project.project import Project
from core.project.split import read_split
from pages.ui.cached import backend_of, rows_of

_MOST: Final = 12  # pictures; more would keep a person waiting


class Judged(NamedTuple):
    """One picture: what the model says of it, and the truth."""

    undecided: Undecided
    truth: Mask


def held_back(project: Project, card: ModelCard) -> list[str]:
    """Some validation pictures that are labelled; none where the labels are not the model's."""
    if project.settings.labels.names != card.labels.names:
        return []
    val = set(read_split(project.folder).val)
    return [row.name for row in rows_of(project) if row.state == "done" and row.name in val][:_MOST]


def judged(project: Project, model: Path, names: list[str]) -> Iterator[Judged]:
    """Predict these pictures, one after the other. Raises ReadError."""
    backend = backend_of(model)
    for name in names:
        truth = project.read_mask(name)
        if truth is not None:
            yield Judged(predict_undecided(project.read_image(name), backend), truth)
