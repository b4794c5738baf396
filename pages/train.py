"""Train: what will be learned, one button, live curves, and what came of it. Earlier Runs below."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from core.project.project import Project
from core.training.config import TrainingConfig
from core.training.fold_set import FoldSet, create_set, list_sets
from core.training.run import Run, create_run, list_runs
from core.training.supervisor import start, start_set
from pages.ui import frame
from pages.ui.augment_preview import show_preview
from pages.ui.cached import rows_of
from pages.ui.compare import show_comparison
from pages.ui.cross_validation import folds_words, set_words, show_fold_set
from pages.ui.links import link
from pages.ui.run_view import show_run, state_words
from pages.ui.tensorboard import show_board
from pages.ui.training_form import choose_settings, show_estimate, show_set, training_set
from pages.ui.words import moment, score, told_apart

_NEW: Final = "New training"
_RUNS: Final = "Runs"
_COMPARE: Final = "Compare"


def train_page(project: Project) -> None:
    runs = list_runs(project)
    sets = {fold_set.id: fold_set for fold_set in list_sets(project, runs)}
    alone = [run for run in runs if run.fold is None or run.fold.set not in sets]
    entries: list[Run | FoldSet] = sorted([*alone, *sets.values()], key=lambda entry: entry.id, reverse=True)
    training = next((entry for entry in entries if entry.alive), None)
    view = _choose_view(len(entries), len(alone), training=training is not None) if entries else _NEW
    if view == _COMPARE:
        show_comparison(project, alone)
    elif view == _RUNS:
        fold = next((run for run in runs if run.id == st.query_params.get("run", "") and run not in alone), None)
        _show_entry(project, fold or _choose_entry(project, entries, training), sets)
        show_board(project)
    else:
        _offer_training(project)


def _show_entry(project: Project, entry: Run | FoldSet, sets: Mapping[str, FoldSet]) -> None:
    """A cross-validation, or a Run; a Run that is part of a cross-validation has a way back to it."""
    if isinstance(entry, FoldSet):
        show_fold_set(project, entry)
        return
    if entry.fold is not None and entry.fold.set in sets:
        back = sets[entry.fold.set]
        link("train", f"Back to {back.name}", icon=":material/arrow_back:", run=back.id)
        st.markdown(f"**{frame.escape(entry.name)}**")
    show_run(project, entry)


def _choose_view(count: int, comparable: int, *, training: bool) -> str:
    """What to look at: the next training, those that were, or several of them. A Run in the address, as after a start,
    is looked at. While one trains there is no next."""
    if training and count < 2:
        return _RUNS
    in_address = st.query_params.get("run", "")
    options = [*([] if training else [_NEW]), _RUNS, *([_COMPARE] if comparable > 1 else [])]
    chosen = st.segmented_control(
        "Show",
        options,
        default=_RUNS if in_address or training else _NEW,
        required=True,
        format_func=lambda name: f"{name} ({count})" if name == _RUNS else name,
        key=f"train-show-{in_address}{'-training' if training else ''}",
        label_visibility="collapsed",
    )
    return chosen


def _offer_training(project: Project) -> None:
    """The set, the settings, and the one button."""
    chosen = training_set(project, rows_of(project))
    place = show_set(chosen)
    if place is None:
        return
    settings = choose_settings(project, chosen)
    if settings is None:
        return
    config, name, folds = settings
    show_preview(project, chosen, config)
    with place:
        show_estimate(config, chosen.facts, times=max(folds, 1))
    if folds:
        st.caption(f"Cross-validation: {folds_words(folds, len(chosen.train) + len(chosen.val))}")
    if st.button("Start training", type="primary", icon=":material/play_arrow:", key="start-training"):
        st.query_params["run"] = _start(project, config, name, folds)
        st.rerun()


def _start(project: Project, config: TrainingConfig, name: str, folds: int) -> str:
    """The id of what trains now."""
    if folds:
        fold_set = create_set(project, config, folds, name=name)
        start_set(fold_set)
        return fold_set.id
    run = create_run(project, config, name=name)
    start(run)
    return run.id


def _choose_entry(project: Project, entries: Sequence[Run | FoldSet], training: Run | FoldSet | None) -> Run | FoldSet:
    """The Run or cross-validation to look at: that of the address, else the one that trains, else the newest."""
    by_id = {entry.id: entry for entry in entries}
    wanted = by_id.get(st.query_params.get("run", ""), training or entries[0])
    if training is not None and st.query_params.get("run") != wanted.id:
        st.query_params["run"] = wanted.id  # so that its result is on the screen when it ends
    if len(entries) == 1:
        st.markdown(f"**{frame.escape(wanted.name)}**, {moment(wanted.created)}")
        return wanted
    current = project.current_model()
    titles = told_apart({entry.id: _describe(entry, current) for entry in entries})
    chosen = st.selectbox(
        "Runs, the newest first",
        list(by_id),
        index=list(by_id).index(wanted.id),
        format_func=titles.__getitem__,
        key=f"run-{wanted.id}-{len(entries)}",
    )
    if chosen != wanted.id:
        st.query_params["run"] = chosen
        st.rerun()
    return by_id[chosen]


def _describe(entry: Run | FoldSet, current: Path | None) -> str:
    from core.networks.card import read_card

    if isinstance(entry, FoldSet):
        model, parts = entry.ensemble, [f"{entry.name}, {entry.of} folds", moment(entry.created), set_words(entry)]
    else:
        model, parts = entry.best, [entry.name, moment(entry.created), state_words(entry)]
    if model is not None:
        parts.append(f"IoU {score(read_card(model).metrics.get('mean_iou_foreground'))}")
    if model is not None and current == model:
        parts.append("in use")
    return " · ".join(parts)


frame.run(train_page, "Train")
