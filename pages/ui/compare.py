"""Runs beside each other: their curves in one chart, what was set otherwise, and one table on the same pictures."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

import streamlit as st

from core.project.project import Project
from core.training.compare import Measured, differences, read_measured
from core.training.run import Run
from pages.ui.cached import columns_of
from pages.ui.charts import Curve, label_text, show_curves
from pages.ui.frame import shown_errors
from pages.ui.progress import show_failure, show_progress
from pages.ui.running_measurement import begin_measurement, forget_measurement, measurement_of
from pages.ui.words import count, duration, moment, score, told_apart

_COLORS: Final = ("#7a69dd", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7")  # of lines; not of labels
_AT_FIRST: Final = 3  # Runs that are chosen when nobody has chosen
_PATIENCE: Final = 1.0  # seconds that a page waits for a short measurement before it shows a bar


def show_comparison(project: Project, runs: Sequence[Run]) -> None:
    """The whole view of the Runs, the newest first."""
    by_id = {run.id: run for run in runs}
    titles = told_apart({run.id: f"{run.name} · {moment(run.created)}" for run in runs})
    chosen = st.multiselect(
        "Runs to compare",
        list(by_id),
        default=list(by_id)[:_AT_FIRST],
        format_func=titles.__getitem__,
        max_selections=len(_COLORS),
        key="compare-runs",
    )
    compared = [by_id[run_id] for run_id in chosen]
    if len(compared) < 2:
        st.info("Choose two runs or more.")
        return
    plain = Counter(run.name for run in compared)
    names = [run.name if plain[run.name] == 1 else titles[run.id] for run in compared]
    _show_curves(compared, names)
    with shown_errors():
        _show_table(project, compared, names)
    _show_differences(compared, names)


def _show_curves(runs: Sequence[Run], names: Sequence[str]) -> None:
    left, right = st.columns(2)
    tables = [columns_of(run.folder / "metrics.csv") for run in runs]
    for place, column, title, domain in (
        (left, "val_loss", "Validation loss", None),
        (right, "val_iou", "Validation IoU of the labels", (0.0, 1.0)),
    ):
        curves = [
            Curve(name, color, table.get("epoch", []), table.get(column, [None] * len(table.get("epoch", []))))
            for name, color, table in zip(names, _COLORS, tables, strict=False)
        ]
        with place:
            st.markdown(f"**{title}**")
            key = f"compare-{column}-{'-'.join(run.id for run in runs)}"
            show_curves(curves, key=key, y_title=title, y_domain=domain)
    st.caption("Losses of different mixtures are not of one scale: compare the IoU there.")


def _show_table(project: Project, runs: Sequence[Run], names: Sequence[str]) -> None:
    st.markdown("**On the same pictures**")
    going = measurement_of(project)
    if going is not None and not going.over.is_set():
        show_progress(going, key=f"compare-{project.folder.name}")
        return
    if going is not None and not show_failure(going, forget=partial(forget_measurement, project)):
        forget_measurement(project)
    measured = read_measured(project, runs)
    if measured is None:
        st.caption("Each model is measured on the validation pictures that none of these runs has trained on.")
        if st.button("Measure", type="primary", icon=":material/straighten:", key="measure-runs"):
            begin_measurement(project, runs).over.wait(_PATIENCE)
            st.rerun()
        return
    _show_measured(runs, names, measured)


def _show_measured(runs: Sequence[Run], names: Sequence[str], measured: Measured) -> None:
    metrics = [measured.metrics[run.id] for run in runs]
    labels = [label.name for label in runs[0].labels.foreground]
    table = {
        "run": list(names),
        "mean IoU of the labels": [score(found["mean_iou_foreground"]) for found in metrics],
        **{
            f"IoU {label_text(label)}": [score(found["classes"].get(label, {}).get("iou")) for found in metrics]
            for label in labels
        },
        "boundary IoU": [score(found.get("boundary_iou_mean_of_labels")) for found in metrics],
        "mean Dice, with background": [score(found["mean_dice"]) for found in metrics],
        "pixel accuracy": [score(found["pixel_accuracy"]) for found in metrics],
        "trained": [_trained(run) for run in runs],
    }
    st.dataframe(table, hide_index=True, width="stretch")
    st.caption(
        f"Over {count(len(measured.pictures), 'picture')} together that validate and that none of these runs has "
        "trained on. Their best epochs were chosen on such pictures, so all figures flatter a little."
    )


def _trained(run: Run) -> str:
    seconds = [value for value in columns_of(run.folder / "metrics.csv").get("seconds", []) if value is not None]
    return duration(seconds[-1]) if seconds else "-"


def _show_differences(runs: Sequence[Run], names: Sequence[str]) -> None:
    st.markdown("**What was set otherwise**")
    found = differences(runs)
    if not found:
        st.caption("Nothing: the settings are the same, only the labels or the pictures may have changed.")
        return
    rows = {"setting": list(found)}
    for i, name in enumerate(names):
        rows[name] = [_shown(values[i]) for values in found.values()]
    st.dataframe(rows, hide_index=True, width="stretch")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
