"""One Run: how far it is, its curves and sample pictures, what came of it, and what can be done with it.

All is read from the Run's folder each time, so a closed tab or a killed server changes nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st

from core.errors import UserError
from core.networks.card import read_card
from core.project.project import Project
from core.training.retrain import Comparison, promote, read_comparison
from core.training.run import (
    Failed,
    Finished,
    Interrupted,
    Run,
    Running,
    Stopped,
    Waiting,
    delete_run,
    log_tail,
    previews,
    read_run,
    rename_run,
    request_stop,
    stop_requested,
)
from core.training.supervisor import resume, start
from pages.ui.cached import columns_of, stamp_of
from pages.ui.charts import label_text, show_class_bars
from pages.ui.curves import show_run_curves
from pages.ui.figures import has_figures, show_figures, show_meanings
from pages.ui.frame import escape, show_error, shown_errors
from pages.ui.links import link
from pages.ui.words import count, duration, moment, score

_REFRESH: Final = "2s"
_MUCH_WAITING: Final = 0.1  # of an epoch's time
_DOING: Final = {
    "trains": "learning",
    "validates": "measuring on the validation pictures",
    "compares": "comparing with the current model",
}


def show_run(project: Project, run: Run) -> None:
    """The whole view; while the Run is alive it renews itself without the rest of the page."""
    with shown_errors():
        st.fragment(_view, run_every=_REFRESH if run.alive else None)(project, run.id, run.alive)


def show_progress(project: Project, run: Run) -> None:
    """How far a Run is and what came of it, without curves; renews itself while it is alive."""
    with shown_errors():
        st.fragment(_progress, run_every=_REFRESH if run.alive else None)(project, run.id, run.alive)


def state_words(run: Run) -> str:
    """Where a Run stands, in a word."""
    match run.status:
        case Waiting():
            return "starting" if run.alive else "not started"
        case Running():
            return "training"
        case Finished():
            return "finished"
        case Stopped():
            return "stopped"
        case Failed():
            return "failed"
        case Interrupted():
            return "interrupted"


def _progress(project: Project, run_id: str, was_alive: bool) -> None:
    run = read_run(project.runs / run_id)
    if was_alive and not run.alive:
        st.rerun()
    with shown_errors():
        _show_status(run)
        _show_outcome(project, run)


def _view(project: Project, run_id: str, was_alive: bool) -> None:
    run = read_run(project.runs / run_id)
    if was_alive and not run.alive:
        st.rerun()  # the page around offers other things now, and nothing needs renewing any more
    with shown_errors():
        _show_status(run)
        _show_outcome(project, run)
        _show_actions(project, run)
    if not show_run_curves(run) and run.alive:
        st.caption("The curves begin with the first step.")
    _show_waiting(run)
    _show_previews(run)
    with st.expander("Settings and log"):
        st.caption(_settings_words(run))
        st.code(log_tail(run.folder, lines=200) or "The log is empty.", language=None, height=240)


# ----------------------------------------------------------------------------------------------------------- status


def _show_status(run: Run) -> None:
    match run.status:
        case Waiting() if run.alive:
            st.progress(0.0, "Starting: the libraries are being loaded. The first point comes in some seconds.")
        case Waiting():
            st.info("This run has not been started.")
        case Running() as status:
            left = status.seconds_left
            share = 0.0 if left is None else status.seconds / max(status.seconds + left, 1e-6)
            parts = [f"Epoch {max(status.epoch, 1)} of {status.epochs}", _DOING.get(status.doing, status.doing)]
            if left is not None and status.doing != "compares":
                parts.append(f"about {duration(left)} left")
            if stop_requested(run.folder):
                parts = [parts[0], "stopping after this step; what was learned is kept"]
            st.progress(min(max(share, 0.0), 1.0), ", ".join(parts))
        case Failed(message, hint, log):
            st.error(f"**{escape(message)}** {escape(hint)}", icon=":material/error:")
            if log:
                st.code("\n".join(log.splitlines()[-12:]), language=None)
        case Interrupted(last_epoch, reason):
            kept = f"Epoch {last_epoch} is complete; go on from there." if last_epoch else "No epoch was complete."
            st.warning(f"**Interrupted.** {escape(reason)} {kept}", icon=":material/power_off:")
        case Stopped(last_epoch, seconds):
            kept = f"{count(last_epoch, 'epoch')} complete" if last_epoch else "before the first epoch was complete"
            st.info(f"Stopped after {duration(seconds)}, {kept}.", icon=":material/stop_circle:")
        case Finished(epochs, seconds):
            st.caption(f"Finished: {count(epochs, 'epoch')} in {duration(seconds)}.")


def _show_outcome(project: Project, run: Run) -> None:
    """The measured result, beside that of the model it was compared with."""
    if run.alive or run.best is None:
        return
    comparison = read_comparison(run)
    if comparison is None:
        _show_unmeasured(project, run, run.best)
        return
    new = comparison.new["mean_iou_foreground"]
    if new is None:
        st.markdown("Trained without a validation picture, so its quality is **not measured**.")
    else:
        st.markdown(
            f"Mean IoU of the labels on {count(comparison.pictures, 'validation picture')}: **{new:.2f}**",
            help="Measured on pictures that it did not learn from: the mean over the labels, background left out.",
        )
    _show_verdict(project, run, comparison)
    if new is not None:
        _show_scores(run, comparison)


def _show_unmeasured(project: Project, run: Run, best: Path) -> None:
    """The best model of a Run that ended before its comparison."""
    iou = read_card(best).metrics.get("mean_iou_foreground")
    quality = "" if iou is None else f", with a mean IoU of the labels of **{iou:.2f}** on validation pictures"
    st.markdown(f"It has a model of its best epoch{quality}. It was not compared with the current one.")
    if _in_use(project, run):
        st.caption("This model is in use.")
    elif st.button("Use this model", key=f"promote-{run.id}"):
        _act(lambda: promote(project, run))


def _show_verdict(project: Project, run: Run, comparison: Comparison) -> None:
    """Whether its model is in use and why; the person may overrule it."""
    in_use = _in_use(project, run)
    reason = escape(comparison.reason)
    if in_use:
        st.success(f"**This model is in use.** {reason}", icon=":material/check_circle:")
        return
    if comparison.promoted:
        st.info("This model was in use; another one is now.", icon=":material/history:")
    else:
        st.warning(f"**Not in use.** {reason}", icon=":material/balance:")
    if st.button("Use it anyway" if not comparison.promoted else "Use this model again", key=f"promote-{run.id}"):
        _act(lambda: promote(project, run))


def _show_scores(run: Run, comparison: Comparison) -> None:
    """IoU by label: the new model, and the one that was current then."""
    new, current = comparison.new["classes"], comparison.current["classes"] if comparison.current else None
    names = [label.name for label in run.labels.foreground]
    series = {"this run": {name: new.get(name, {}).get("iou") for name in names}}
    if current is not None:
        series["model before"] = {name: current.get(name, {}).get("iou") for name in names}
    table, bars = st.columns([2, 3], vertical_alignment="center")
    with table:
        rows = [("mean of the labels", _score_of(comparison.new), _score_of(comparison.current))]
        rows += [(label_text(name), *(values[name] for values in series.values()), None)[:3] for name in names]
        header = {"IoU": [row[0] for row in rows], "this run": [score(row[1]) for row in rows]}
        if current is not None:
            header["model before"] = [score(row[2]) for row in rows]
        st.dataframe(header, hide_index=True, width="stretch")
    with bars:
        title = "IoU by label" + (" (pale: the model before)" if current is not None else "")
        show_class_bars(series, labels=run.labels, key=f"bars-{run.id}", title=title)
    if has_figures(comparison.new):
        with st.expander("More figures", icon=":material/table_chart:"):
            _show_more(run, comparison)


def _show_more(run: Run, comparison: Comparison) -> None:
    show_figures(comparison.new, run.labels)
    if comparison.current is not None and has_figures(comparison.current):
        st.markdown("**The model before**, on the same pictures")
        show_figures(comparison.current, run.labels)
    show_meanings(comparison.new)


def _score_of(metrics: object) -> float | None:
    value = metrics.get("mean_iou_compared", None) if isinstance(metrics, dict) else None
    return value if isinstance(value, float) else None


def _in_use(project: Project, run: Run) -> bool:
    current = project.current_model()
    return current is not None and run.best is not None and current.resolve() == run.best.resolve()


# ---------------------------------------------------------------------------------------------------------- actions


def _show_actions(project: Project, run: Run) -> None:
    """Stop while it lives; afterwards go on, rename, delete."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.alive:
            stopping = stop_requested(run.folder)
            if st.button("Stop", icon=":material/stop_circle:", key=f"stop-{run.id}", disabled=stopping):
                _act(lambda: request_stop(run))
            return
        if run.resumable and st.button("Go on training", icon=":material/resume:", key=f"resume-{run.id}"):
            _act(lambda: resume(run))
        if isinstance(run.status, Waiting) and st.button("Start", icon=":material/play_arrow:", key=f"start-{run.id}"):
            _act(lambda: start(run))
        if run.best is not None:
            link("predict", "Predict with it", model=run.id)
        with st.popover("Rename", icon=":material/edit:"):
            name = st.text_input("Name", run.name, key=f"name-{run.id}-{run.name}", max_chars=60)
            if st.button("Rename", key=f"rename-{run.id}"):
                _act(lambda: rename_run(run, name))
        with st.popover("Delete", icon=":material/delete:"):
            st.markdown(f"Delete **{escape(run.name)}** and its models? This cannot be undone.")
            if st.button("Delete for good", key=f"delete-{run.id}"):
                _act(lambda: delete_run(project, run))


def _act(action: Callable[[], object]) -> None:
    """Do it and show the page anew; an error that a person can mend stays to be read."""
    try:
        action()
    except UserError as error:
        show_error(error)
    else:
        st.rerun()


# ---------------------------------------------------------------------------------------------------------- details


def _show_waiting(run: Run) -> None:
    """What slows the training down, where it is not the learning."""
    shares = columns_of(run.folder / "metrics.csv").get("waiting_share", [])
    share = shares[-1] if shares else None
    if share is not None and share > _MUCH_WAITING:
        st.caption(
            f"{100 * share:.0f} % of the time of the last epoch waited for data: pictures were read and varied more "
            "slowly than the network learns."
        )


def _show_previews(run: Run) -> None:
    """Sample pictures of the validation part, as of the last epoch."""
    shown = previews(run)
    if not shown:
        return
    st.markdown("**Sample pictures**: picture, truth, prediction" + (" (renewed each epoch)" if run.alive else ""))
    for column, path in zip(st.columns(2) * len(shown), shown, strict=False):
        column.image(_picture(str(path), stamp_of(path)), caption=path.stem, width="stretch")


@st.cache_data(max_entries=64, show_spinner=False)
def _picture(path: str, stamp: int) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _settings_words(run: Run) -> str:
    config = run.config
    weights = "pretrained" if config.pretrained else "from scratch"
    return (
        f"Started {moment(run.created)}. {config.network.name}, {weights}, width {config.network.width}; "
        f"{config.epochs} epochs of {config.steps_per_epoch} steps, {config.batch} tiles of {config.tile} pixels, "
        f"learning rate {config.learning_rate:g}, variation {config.augment}, seed {config.seed}. Folder: {run.folder}"
    )
