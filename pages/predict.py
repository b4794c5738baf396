"""Predict: choose a model and pictures, look at the masks, measure, take them along, correct them, retrain."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, Final

import streamlit as st

from core.images import ImageSize
from core.networks.card import WEIGHTS_FILE
from core.project.project import Project
from core.training.run import Run, labels_changed, list_runs, read_run
from pages.ui import frame, session
from pages.ui.cached import stamp_of
from pages.ui.charts import label_text
from pages.ui.correction import retrain
from pages.ui.doubt import show_doubt
from pages.ui.downloads import show_downloads
from pages.ui.finish import finish_card, show_finish
from pages.ui.fix import choose_fix, show_fix
from pages.ui.links import link
from pages.ui.measurements import show_measurements
from pages.ui.models import Model, choose_model
from pages.ui.pictures import Picture, choose_page, choose_pictures, choose_source
from pages.ui.predictions import areas_of, doubt_of, finish_of, key_of, predict_all, prediction_of
from pages.ui.run_view import show_progress
from pages.ui.truth import choose_truth, show_metrics
from pages.ui.views import show_legend, show_views

_DOUBT: Final = "Doubt"


def predict_page(project: Project) -> None:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        model = choose_model(project)
    if model is None:
        return
    with right:
        source = choose_source()
    _offer_retraining(project)
    own, model = model, model._replace(card=finish_card(model))
    with frame.shown_errors():
        pictures = predict_all(choose_pictures(project, source), model.folder, model.card)
        if pictures:
            _show_result(project, own, model, _choose_picture(pictures, model), pictures)


def _choose_picture(pictures: Sequence[Picture], model: Model) -> Picture:
    """The one to look at, out of a table of areas when there are several, the most doubtful first."""
    if len(pictures) == 1:
        return choose_page(pictures[0])
    doubts = {picture.id: doubt_of(picture, model.folder, model.card) for picture in pictures}
    pictures = sorted(pictures, key=lambda picture: -doubts[picture.id])  # stable
    rows = [_row(picture, model, doubts[picture.id]) for picture in pictures]
    event = st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(rows), 195),
        key=f"table-{len(rows)}",
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [0]}},
        column_config={
            **{name: st.column_config.NumberColumn(format="%.2f %%") for name in list(rows[0])[2:]},
            _DOUBT: st.column_config.ProgressColumn(
                format="%.0f %%", min_value=0, max_value=100, help="How wrong the model expects its own mask to be."
            ),
        },
    )
    chosen = event.selection.rows
    return choose_page(pictures[chosen[0] if chosen and chosen[0] < len(pictures) else 0])


def _row(picture: Picture, model: Model, doubt: float) -> dict[str, Any]:
    areas = areas_of(picture, model.folder, model.card)[1:]
    shares = {label_text(area["name"]): 100 * area["share"] for area in areas}
    return {"Picture": picture.name, _DOUBT: 100 * doubt, **shares}


def _show_result(project: Project, own: Model, model: Model, picture: Picture, pictures: Sequence[Picture]) -> None:
    """own: the model as it is kept; `model` has the thresholds and the clean-up that are tried."""
    if not predict_all([picture], model.folder, model.card):  # another page than the first
        return
    labels, key = model.card.labels, f"{key_of(picture, model.folder)}:{finish_of(model.card)}"
    prediction = prediction_of(picture, model.folder, model.card)
    image = picture.decoded(model.card.intensity)
    truth = None
    fix = hashlib.sha256(key.encode()).hexdigest()[:24]
    if choose_fix(fix):
        drafted = f"{picture.id}:{model.folder.resolve()}:{stamp_of(model.folder / WEIGHTS_FILE)}"
        drafted = hashlib.sha256(drafted.encode()).hexdigest()[:24]
        show_fix(project, picture, image, prediction, labels, key=fix, drafted=drafted)
        return
    shown, legend = st.columns([13, 7])
    with legend:
        st.markdown(f"**{frame.escape(picture.name)}**, {ImageSize(*prediction.mask.shape)}")
        show_legend(prediction.mask, labels, project.settings, key=key)
        show_downloads(picture, pictures, model.folder, model.card)
        with frame.shown_errors():
            size, alone = ImageSize(*prediction.mask.shape), len(pictures) == 1
            truth = choose_truth(project, picture, size, labels, alone=alone)
        show_finish(project, own)
    with shown:
        show_views(image, prediction.mask, labels, key=key, truth=truth)
    if truth is not None:
        show_metrics(truth, prediction.mask, labels, project.settings, key=key)
    name = PurePath(picture.name).stem
    finish = f"{model.folder}:{stamp_of(model.folder / WEIGHTS_FILE)}:{finish_of(model.card)}"
    show_measurements(project, model, image, prediction, name=name, key=key, finish=finish)
    show_doubt(picture, image, model.folder, model.card)


def _offer_retraining(project: Project) -> None:
    """One click, once the labels are others than those of the last Run; then how it goes and what came of it."""
    saved = session.SAVED.get()
    runs = list_runs(project)
    newest = next((run for run in runs if run.alive), runs[0] if runs else None)
    if newest is not None and (newest.alive or newest.id == st.session_state.get("retrained")):
        _show_run(project, newest)
        return
    if not saved and not (newest is not None and _labels_changed(project.folder, newest.folder)):
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown(f"{frame.escape(saved)} The labels have changed since the last training.".strip(), width="stretch")
        if st.button("Retrain", type="primary" if saved else "secondary", icon=":material/model_training:"):
            st.session_state["retrained"] = retrain(project).id
            session.SAVED.clear()
            st.rerun()


@st.cache_data(max_entries=100, ttl=5, show_spinner=False)
def _labels_changed(project: Path, run: Path) -> bool:
    """Remembered for some seconds: it looks at each picture of the Project."""
    return labels_changed(Project.open(project), read_run(run))


def _show_run(project: Project, run: Run) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            said = f"**{frame.escape(run.name)}** learns from all labels, beginning with the base."
            st.markdown(said if run.alive else f"**{frame.escape(run.name)}** has ended.", width="stretch")
            link("train", "See its curves", run=run.id)
        show_progress(project, run)


frame.run(predict_page, "Predict")
