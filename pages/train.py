"""Train: what will be learned, one button, live curves, and what came of it. Earlier Runs below."""

from typing import Final

import streamlit as st

from core.project.project import Project
from core.training.run import Run, create_run, list_runs
from core.training.supervisor import start
from pages.ui import frame
from pages.ui.augment_preview import show_preview
from pages.ui.cached import rows_of
from pages.ui.compare import show_comparison
from pages.ui.run_view import show_run, state_words
from pages.ui.tensorboard import show_board
from pages.ui.training_form import choose_settings, show_estimate, show_set, training_set
from pages.ui.words import moment, score, told_apart

_NEW: Final = "New training"
_RUNS: Final = "Runs"
_COMPARE: Final = "Compare"


def train_page(project: Project) -> None:
    runs = list_runs(project)
    training = next((run for run in runs if run.alive), None)
    view = _choose_view(len(runs), training=training is not None) if runs else _NEW
    if view == _COMPARE:
        show_comparison(project, runs)
    elif view == _RUNS:
        show_run(project, _choose_run(project, runs, training))
        show_board(project)
    else:
        _offer_training(project)


def _choose_view(count: int, *, training: bool) -> str:
    """What to look at: the next training, those that were, or several of them. A Run in the address, as after a start,
    is looked at. While one trains there is no next."""
    if training and count < 2:
        return _RUNS
    in_address = st.query_params.get("run", "")
    options = [*([] if training else [_NEW]), _RUNS, *([_COMPARE] if count > 1 else [])]
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
    config, name = settings
    show_preview(project, chosen, config)
    with place:
        show_estimate(config, chosen.facts)
    if st.button("Start training", type="primary", icon=":material/play_arrow:", key="start-training"):
        run = create_run(project, config, name=name)
        start(run)
        st.query_params["run"] = run.id
        st.rerun()


def _choose_run(project: Project, runs: list[Run], training: Run | None) -> Run:
    """The Run to look at: that of the address, else the one that trains, else the newest."""
    by_id = {run.id: run for run in runs}
    wanted = by_id.get(st.query_params.get("run", ""), training or runs[0])
    if training is not None and st.query_params.get("run") != wanted.id:
        st.query_params["run"] = wanted.id  # so that its result is on the screen when it ends
    if len(runs) == 1:
        st.markdown(f"**{frame.escape(wanted.name)}**, {moment(wanted.created)}")
        return wanted
    current = project.current_model()
    titles = told_apart({run.id: _describe(run, is_current=current == run.best) for run in runs})
    chosen = st.selectbox(
        "Runs, the newest first",
        list(by_id),
        index=list(by_id).index(wanted.id),
        format_func=titles.__getitem__,
        key=f"run-{wanted.id}-{len(runs)}",
    )
    if chosen != wanted.id:
        st.query_params["run"] = chosen
        st.rerun()
    return by_id[chosen]


def _describe(run: Run, *, is_current: bool) -> str:
    from core.networks.card import read_card

    parts = [run.name, moment(run.created), state_words(run)]
    if run.best is not None:
        parts.append(f"IoU {score(read_card(run.best).metrics.get('mean_iou_foreground'))}")
    if is_current and run.best is not None:
        parts.append("in use")
    return " · ".join(parts)


frame.run(train_page, "Train")
