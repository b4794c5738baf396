"""The models that can be used: the Project's current one, those of its Runs, and the kept ones."""

from pathlib import Path
from typing import Final, NamedTuple

import streamlit as st

from core.errors import ReadError
from core.networks.card import ModelCard, is_ensemble, read_card
from core.project.home import REPOSITORY
from core.project.project import Project
from core.training.run import FOLDS, list_runs
from pages.ui.cross_validation import ensemble_words
from pages.ui.links import link
from pages.ui.words import moment, score, told_apart

_KEPT: Final = REPOSITORY / "models"


class Model(NamedTuple):
    """A Checkpoint to choose. id: the Run's, or the folder's name."""

    id: str
    folder: Path
    card: ModelCard
    title: str


def choose_model(project: Project) -> Model | None:
    """The model to predict with: the one of the address, else the current one, else the best one at hand."""
    models = find_models(project)
    if not models:
        st.info("There is no model yet. Train one on your labelled pictures first.")
        link("train", "Train a model")
        return None
    if not any(model.folder.is_relative_to(project.folder) for model in models):
        st.info("This project has no model of its own yet. The models here were made for other pictures.")
        link("train", "Train a model")
    ids = [model.id for model in models]
    wanted = st.query_params.get("model", ids[0])
    chosen = st.selectbox(
        "Model",
        ids,
        index=ids.index(wanted) if wanted in ids else 0,
        format_func=told_apart({model.id: model.title for model in models}).__getitem__,
        key=f"model-{project.folder.name}-{wanted}-{len(ids)}",
    )
    if chosen != wanted and "model" in st.query_params:
        del st.query_params["model"]
    model = models[ids.index(chosen)]
    if is_ensemble(model.folder):
        st.caption(ensemble_words(model.card))
    return model


def find_models(project: Project) -> list[Model]:
    """All models at hand, the current one first, then by age. Folders that hold no readable model are left out."""
    current = project.current_model()
    sets = project.folder / FOLDS
    ensembles = sorted(filter(is_ensemble, sets.iterdir()), reverse=True) if sets.is_dir() else []
    found = [(folder.name, folder, "") for folder in ensembles]
    found += [(run.id, run.best, run.name) for run in list_runs(project) if run.best is not None]
    for home in (project.folder / "models", _KEPT):
        folders = sorted(path for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
        found += [(f"{home.parent.name}-{folder.name}", folder, folder.name) for folder in folders]
    models: list[Model] = []
    for id_, folder, name in found:
        try:
            card = read_card(folder)
        except ReadError:
            continue  # a half-written or foreign folder is no model to offer
        in_use = current is not None and folder.resolve() == current.resolve()
        models.append(
            Model(id_, folder, card, _title(name or card.name, card, in_use=in_use, alone=not is_ensemble(folder)))
        )
    models.sort(key=lambda model: current is None or model.folder.resolve() != current.resolve())  # stable
    return models


def _title(name: str, card: ModelCard, *, in_use: bool, alone: bool) -> str:
    parts = [name, moment(card.created)] if card.created else [name]
    iou = card.metrics.get("mean_iou_foreground")
    if iou is not None:
        parts.append(f"IoU of the labels {score(iou)}" + ("" if alone else " of its models alone"))
    parts.append(", ".join(label.name for label in card.labels.foreground[:4]))
    return ("In use: " if in_use else "") + " · ".join(parts)
