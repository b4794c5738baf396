"""A corrected Prediction on its way into the Project, and the Run that learns from it. No streamlit here."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.inference.export import prediction_to_annotation
from core.inference.predict import Prediction
from core.project.import_pictures import Intake
from core.project.project import Project
from core.training.presets import data_facts, propose
from core.training.run import Run, create_run
from core.training.supervisor import start
from pages.ui.pictures import Picture

AUTHOR: Final = "correction"


class Change(NamedTuple):
    """Pixels that a correction gave to a class and took from it."""

    label: str
    added: int
    removed: int


def changes(before: Mask, after: Mask, labels: LabelSet) -> list[Change]:
    """What a correction changed, by class; classes that it left alone are not named."""
    differs = before != after
    added = np.bincount(after[differs], minlength=256)
    removed = np.bincount(before[differs], minlength=256)
    names = [*enumerate(labels.names), (IGNORE_ID, "not labelled")]
    return [Change(name, int(added[i]), int(removed[i])) for i, name in names if added[i] or removed[i]]


def save_correction(
    project: Project, picture: Picture, prediction: Prediction, corrected: Mask, labels: LabelSet, *, base_version: int
) -> str:
    """Put the picture, unless it is there, and the corrected Annotation into the Project; returns the Sample's name.

    base_version: that of the Sample's Annotation when the correction began; matters for a picture of the Project only.
    Raises StaleSaveError when somebody saved another in between, ReadError, WriteError.
    """
    annotation = prediction_to_annotation(Prediction(corrected, prediction.confidence), labels)
    project.add_labels(annotation.label_names)  # a model of another project may know more
    if picture.sample is not None:
        sample, version = picture.sample, base_version
    else:
        sample = add_picture(project, picture)
        version = project.annotation_version(sample)
    project.save_annotation(sample, annotation, author=AUTHOR, state="done", base_version=version)
    return sample


def add_picture(project: Project, picture: Picture) -> str:
    """The Sample of a picture, which comes in as an import does: of a stack all pages, as one group."""
    data = picture.read()
    samples: Sequence[str] = Intake(project, AUTHOR, lambda *_: None).add_bytes(data, picture.name)
    return samples[picture.page] if len(samples) > 1 else samples[0]


def retrain(project: Project) -> Run:
    """Begin a Run on all labels from the base, with the settings that fit the data set. Raises UserError."""
    run = create_run(project, propose(project.settings.preset, data_facts(project)), name="retrain")
    start(run)
    return run
