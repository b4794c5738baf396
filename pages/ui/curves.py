"""The curves of a Run: loss, IoU and learning rate over its epochs."""

from collections.abc import Sequence

import streamlit as st

from core.training.run import Run
from pages.ui.cached import columns_of
from pages.ui.charts import TRAINING, VALIDATION, Curve, line_color, show_curves

_MOST_POINTS = 400  # of the steps: more than a chart is wide in pixels helps nobody
Columns = dict[str, list[float | None]]


def show_run_curves(run: Run) -> bool:
    """Draw what there is; False before the first point. Reads the Run's two small tables only."""
    epochs, steps = columns_of(run.folder / "metrics.csv"), columns_of(run.folder / "steps.csv")
    if not steps.get("step") and not epochs.get("epoch"):
        return False
    left, right = st.columns(2)
    with left:
        st.markdown("**Loss**", help="What the training makes smaller. Training and validation should fall together.")
        show_curves(_loss(run, epochs, steps), key=f"loss-{run.id}", y_title="Loss")
    with right:
        st.markdown(
            "**IoU of the labels**",
            help="Overlap of prediction and truth, 1 is perfect: the mean over the labels, without background.",
        )
        if epochs.get("epoch"):
            place = st.container()  # the choice stands below, so that both charts begin at one height
            curves = _iou(run, epochs, _chosen_labels(run))
            with place:
                show_curves(curves, key=f"iou-{run.id}", y_title="IoU", y_domain=(0.0, 1.0))
        else:
            st.caption("The first point comes with the end of the first epoch.")
    with st.expander("Learning rate"):
        xs, rates = _of_steps(run, steps, "learning_rate")
        curve = Curve("learning rate", VALIDATION, xs, rates)
        show_curves(
            [curve._replace(faint=True)], key=f"rate-{run.id}", y_title="Learning rate", y_format=".2~e", height=160
        )
    st.caption("Drag to move a chart, Ctrl + wheel or a pinch to zoom, double click to see all of it again.")
    return True


def _chosen_labels(run: Run) -> Sequence[str]:
    names = [label.name for label in run.labels.foreground]
    if len(names) < 2:
        return []
    chosen = st.pills(
        "Curves by label", names, selection_mode="multi", key=f"labels-{run.id}", label_visibility="collapsed"
    )
    return [name for name in names if name in chosen]  # in the order of the labels, whatever was clicked first


def _loss(run: Run, epochs: Columns, steps: Columns) -> list[Curve]:
    xs, losses = _of_steps(run, steps, "loss")
    at = epochs.get("epoch", [])
    return [
        Curve("each step", TRAINING, xs, losses, faint=True),
        Curve("training", TRAINING, at, epochs.get("train_loss", []), dashed=True),
        Curve("validation", VALIDATION, at, epochs.get("val_loss", [])),
    ]


def _iou(run: Run, epochs: Columns, chosen: Sequence[str]) -> list[Curve]:
    at = epochs["epoch"]
    curves = [
        Curve("training", TRAINING, at, epochs["train_iou"], dashed=True),
        Curve("validation", VALIDATION, at, epochs["val_iou"]),
    ]
    colors = {label.name: label.color for label in run.labels.foreground}
    unknown: list[float | None] = [None] * len(at)
    for name in chosen:
        curves.append(Curve(name, line_color(colors[name]), at, epochs.get(f"val_iou:{name}", unknown)))
    return curves


def _of_steps(run: Run, steps: Columns, column: str) -> tuple[list[float | None], list[float | None]]:
    """Places in epochs and values of a column of steps.csv, thinned so that points once shown stay."""
    values = steps.get(column, [])
    stride = 1
    while len(values) / stride > _MOST_POINTS:
        stride *= 2
    per_epoch = run.config.steps_per_epoch
    places = [None if step is None else step / per_epoch for step in steps.get("step", [])]
    return places[::stride], values[::stride]
