"""A cross-validation: the choice of folds, how far it is, its one table, and its ensemble.

All is read from the Project each time, so a closed tab or a killed server changes nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import streamlit as st

from core.networks.card import ModelCard
from core.project.index import SampleRow
from core.project.project import Project
from core.project.split import read_split
from core.training.fold_set import MOST_FOLDS, FoldSet, delete_set, learning, read_set, request_stop_set, together
from core.training.fold_table import Table, read_table
from core.training.run import Finished, Run, Running, stop_requested
from core.training.supervisor import start_set
from pages.ui.charts import label_text
from pages.ui.figures import show_figures, show_meanings
from pages.ui.frame import escape, shown_errors
from pages.ui.links import link, url
from pages.ui.run_view import state_words
from pages.ui.words import count, duration, moment, score

_REFRESH: Final = "2s"
_LINK: Final = {"Run": st.column_config.LinkColumn(display_text="look")}
_FIGURES: Final = {
    "mean IoU of the labels": "mean_iou_foreground",
    "boundary IoU": "boundary_iou_mean_of_labels",
    "mean Dice, with background": "mean_dice",
    "pixel accuracy": "pixel_accuracy",
}
_HONEST: Final = (
    "Each picture was measured once, by the model that has not learned from it. The best epoch of each model was "
    "chosen on the same pictures, which flatters a little."
)


def choose_folds(project: Project, rows: Sequence[SampleRow], *, key: str) -> int:
    """How many folds the person wants; 0 is off."""
    drawn = read_split(project.folder)
    groups = together(rows, drawn)
    most = min(MOST_FOLDS, len({groups[name] for name in learning(rows, drawn, groups)}))
    chosen = st.selectbox(
        "Cross-validation",
        [0, *range(2, most + 1)],
        format_func=lambda folds: f"{folds} folds" if folds else "Off",
        key=f"{key}-{most}",
        help="So many trainings one after the other. Each holds back another part of the pictures, so that every "
        "picture is measured once, by a model that has not learned from it; pages of a stack stay together, test "
        "pictures stay out. It takes as many times longer. At the end the models can predict together.",
    )
    return int(chosen)


def folds_words(folds: int, pictures: int) -> str:
    """What a cross-validation will do, in a sentence."""
    each = round(pictures * (folds - 1) / folds)
    return f"{folds} trainings one after the other, each from about {count(each, 'picture')}. Test pictures stay out."


def ensemble_words(card: ModelCard) -> str:
    """What an ensemble is worth, honestly."""
    figure = score(card.metrics.get("mean_iou_foreground"))
    return (
        f"An ensemble: {card.training.get('folds', 'several')} models predict and their mean counts, which takes as "
        "many times longer. Its own quality is not measured, because its models have learned from all the pictures: "
        f"{figure} is the mean IoU of the labels that they reached one by one on pictures they had not learned from."
    )


def set_words(fold_set: FoldSet) -> str:
    """Where a cross-validation stands, in a word or two."""
    if fold_set.alive:
        return "training" if fold_set.running else "measuring"
    return "finished" if fold_set.finished else f"{fold_set.done} of {fold_set.of} folds done"


def show_fold_set(project: Project, fold_set: FoldSet) -> None:
    """The whole view; while it is alive it renews itself without the rest of the page."""
    with shown_errors():
        st.fragment(_view, run_every=_REFRESH if fold_set.alive else None)(project, fold_set.id, fold_set.alive)


def _view(project: Project, set_id: str, was_alive: bool) -> None:
    fold_set = read_set(project, set_id)
    if was_alive and not fold_set.alive:
        st.rerun()
    with shown_errors():
        _show_status(fold_set)
        table = read_table(fold_set)
        if table is not None and fold_set.finished:
            _show_table(fold_set, table)
            _show_ensemble(project, fold_set, table)
        else:
            _show_runs(fold_set)
        _show_actions(project, fold_set)


# ----------------------------------------------------------------------------------------------------------- status


def _show_status(fold_set: FoldSet) -> None:
    status, run = fold_set.status, fold_set.running
    done = f"{fold_set.done} of {count(fold_set.of, 'fold')} done"
    if fold_set.alive and stop_requested(fold_set.folder):
        st.progress(fold_set.done / fold_set.of, f"{done}, stopping after this step; what was learned is kept")
    elif run is not None:
        st.progress(_share(fold_set, run), _running_words(fold_set, run))
    elif fold_set.alive and status.get("doing") == "measures":
        measured, total = int(status.get("done", 0)), max(int(status.get("total", 0)), 1)
        words = f"Measuring each picture by the model that has not learned from it: {measured} of {total}"
        st.progress(min(measured / total, 1.0), words)
    elif fold_set.alive:
        st.progress(fold_set.done / fold_set.of, f"{done}, starting: the libraries are being loaded.")
    elif fold_set.finished:
        seconds = sum(one.status.seconds for one in fold_set.runs if isinstance(one.status, Finished))
        st.caption(f"Finished: {count(fold_set.of, 'fold')} in {duration(seconds)} of training.")
    elif status.get("state") == "failed":
        text = f"**{escape(str(status.get('message', '')))}** {escape(str(status.get('hint', '')))}"
        st.error(f"{text} {done}.", icon=":material/error:")
    elif status.get("state") == "stopped":
        st.info(f"Stopped, {done}.", icon=":material/stop_circle:")
    elif status.get("state") == "waiting" and "pid" not in status:
        st.info("This cross-validation has not been started.")
    else:
        st.warning(
            f"**Interrupted.** The training process is gone. {done}; go on from there.", icon=":material/power_off:"
        )


def _share(fold_set: FoldSet, run: Run) -> float:
    """The part of all training that is done."""
    of_run = 0.0
    if isinstance(run.status, Running) and run.status.seconds_left is not None:
        of_run = run.status.seconds / max(run.status.seconds + run.status.seconds_left, 1e-6)
    return min(max((fold_set.done + of_run) / fold_set.of, 0.0), 1.0)


def _running_words(fold_set: FoldSet, run: Run) -> str:
    parts = [f"Fold {run.fold.number if run.fold else 1} of {fold_set.of}"]
    if isinstance(run.status, Running):
        parts.append(f"epoch {max(run.status.epoch, 1)} of {run.status.epochs}")
    left = fold_set.seconds_left()
    return ", ".join(parts if left is None else [*parts, f"about {duration(left)} left for all folds"])


# ------------------------------------------------------------------------------------------------------------ table


def _show_runs(fold_set: FoldSet) -> None:
    """While it goes on: what each fold does."""
    rows = [
        {"Fold": run.fold.number if run.fold else 0, "State": state_words(run), "Run": url("train", run=run.id)}
        for run in fold_set.runs
    ]
    st.dataframe(rows, hide_index=True, width="stretch", column_config=_LINK)


def _show_table(fold_set: FoldSet, table: Table) -> None:
    """Each fold, all pictures together, and how much the folds differ."""
    own = {run.id for run in fold_set.runs}
    rows = [
        _row(f"fold {fold['number']}", fold["pictures"], fold["scores"], table.labels)
        | {"Run": url("train", run=fold["run"]) if fold["run"] in own else None}
        for fold in table.folds
    ]
    rows.append(_row("all pictures together", table.pictures, table.pooled, table.labels))
    for name in ("mean", "spread"):
        rows.append(_over(f"{name} over the folds", name, table))
    st.dataframe(rows, hide_index=True, width="stretch", column_config=_LINK, placeholder="")
    st.caption(
        f"{_HONEST} Spread: the standard deviation over the folds; it tells how much the figure depends on which "
        f"pictures one happens to hold back. Measured {moment(table.created)}, on the labels as they were then."
    )
    with st.expander("More figures, of all pictures together", icon=":material/table_chart:"):
        show_figures(table.pooled, fold_set.runs[0].labels)
        show_meanings(table.pooled)


def _row(name: str, pictures: int, scores: Any, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "": name,
        "pictures": pictures,
        **{title: score(scores[key]) for title, key in _FIGURES.items()},
        **{f"IoU {label_text(label)}": score(scores["classes"][label]["iou"]) for label in labels},
    }


def _over(name: str, which: str, table: Table) -> dict[str, Any]:
    found = table.over_folds
    return {
        "": name,
        **{title: score(found[key][which]) for title, key in _FIGURES.items()},
        **{f"IoU {label_text(label)}": score(found[f"iou:{label}"][which]) for label in table.labels},
    }


def _show_ensemble(project: Project, fold_set: FoldSet, table: Table) -> None:
    """Whether the ensemble is in use; the person decides."""
    st.markdown(
        f"**Ensemble**: the {fold_set.of} models predict together, as one model. Its own quality cannot be measured "
        "here, because its models have learned from all of these pictures. What is known are the figures above, of "
        "its models one by one on pictures that they had not learned from: "
        f"mean IoU of the labels **{score(table.pooled['mean_iou_foreground'])}**."
    )
    current, ensemble = project.current_model(), fold_set.ensemble
    assert ensemble is not None
    if current is not None and current.resolve() == ensemble.resolve():
        st.success("**This ensemble is in use.**", icon=":material/check_circle:")
    elif st.button("Use the ensemble", key=f"use-{fold_set.id}"):
        _act(lambda: project.set_current_model(ensemble))


# ---------------------------------------------------------------------------------------------------------- actions


def _show_actions(project: Project, fold_set: FoldSet) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if fold_set.alive:
            stopping = stop_requested(fold_set.folder)
            if st.button("Stop", icon=":material/stop_circle:", key=f"stop-{fold_set.id}", disabled=stopping):
                _act(lambda: request_stop_set(fold_set))
            return
        if not fold_set.finished and st.button("Go on", icon=":material/resume:", key=f"resume-{fold_set.id}"):
            _act(lambda: start_set(fold_set))
        if fold_set.ensemble is not None:
            link("predict", "Predict with it", model=fold_set.id)
        with st.popover("Delete", icon=":material/delete:"):
            st.markdown(
                f"Delete **{escape(fold_set.name)}** with its {count(len(fold_set.runs), 'run')}, their models, the "
                "table and the ensemble? This cannot be undone."
            )
            if st.button("Delete for good", key=f"delete-{fold_set.id}"):
                _act(lambda: delete_set(project, fold_set))


def _act(action: Callable[[], object]) -> None:
    """Do it and show the page anew; an error that a person can mend stays to be read."""
    with shown_errors():
        action()
        st.rerun()
