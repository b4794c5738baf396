"""From what the network says to the mask: thresholds and clean-up, tried on the picture, kept with the model."""

from dataclasses import replace
from typing import Any, Final

import streamlit as st

from core.annotation.clean_up import CleanUp
from core.errors import UserError
from core.files import read_json, write_json
from core.inference.thresholds import USUAL, calibrated_thresholds
from core.networks.card import CARD_FILE, ModelCard
from core.project.project import Project
from pages.ui.charts import label_text
from pages.ui.held_back import held_back, judged
from pages.ui.models import Model
from pages.ui.words import count

_LEAST: Final = 0.001  # also the step: fitted thresholds of faint labels are small, and 0 is none


def finish_card(model: Model) -> ModelCard:
    """The model's card with the thresholds and the clean-up that the person has chosen in this session."""
    chosen = {name: st.session_state.get(_key(model, name), value) for name, value in _defaults(model.card).items()}
    how = CleanUp(**{name.removeprefix("clean-"): value for name, value in chosen.items() if name.startswith("clean-")})
    thresholds = {}
    if chosen["own"]:
        names = model.card.labels.names[1:]
        thresholds = {name: chosen[f"threshold-{i}"] for i, name in enumerate(names)}
    return replace(model.card, thresholds=thresholds, clean_up=how)


def show_finish(project: Project, model: Model) -> None:
    """The controls, folded; what they do is seen at once, and is kept only when the person says so."""
    card = finish_card(model)
    changed = (card.thresholds, card.clean_up) != (model.card.thresholds, model.card.clean_up)
    part = st.expander(
        "Clean up the mask",
        icon=":material/cleaning_services:",
        key=f"finish-{model.id}",
        on_change="rerun",
    )
    if not part.open:
        _hold(model)
        return
    with part:
        _show_clean_up(model)
        _show_thresholds(project, model)
        with st.container(horizontal=True, vertical_alignment="center"):
            own = model.folder.resolve().is_relative_to(project.folder.resolve())
            st.button(
                "Keep for this model",
                icon=":material/save:",
                key=f"keep-{model.id}",
                disabled=not changed or not own,
                help="From now on all predictions of this model are made so, also by the command line and over HTTP."
                if own
                else "This model belongs to another project, or came with Maskloop.",
                on_click=_keep,
                args=(model, card),
            )
            st.button(
                "Back to the model's own", key=f"back-{model.id}", disabled=not changed, on_click=_reset, args=(model,)
            )


def _show_clean_up(model: Model) -> None:
    values = {name: _key(model, f"clean-{name}") for name in CleanUp().to_json()}
    _hold(model)
    left, right = st.columns(2)
    left.number_input("Drop objects below, px", 0, 10**9, step=10, key=values["drop_below"])
    right.number_input("Fill holes below, px", 0, 10**9, step=10, key=values["fill"])
    left.slider("Smooth borders, px", 0.0, 50.0, step=0.5, key=values["smooth"])
    right.slider("Close gaps under, px", 0, 199, key=values["close"])
    left.slider("Cut whiskers under, px", 0, 199, key=values["open"], help="And bridges that thin between objects.")
    st.toggle("Part objects that touch", key=values["split"], help="By watershed on the distance to their border.")
    st.toggle(
        "Right angles, for buildings",
        key=values["right_angles"],
        help="An object whose outline is nearly right-angled gets one that is; others stay.",
    )


def _show_thresholds(project: Project, model: Model) -> None:
    own = st.toggle(
        "A threshold for each label",
        key=_key(model, "own"),
        help="Off: each pixel gets its most probable class. On: a label is drawn where it is at least so probable; "
        "lower finds more, higher draws less. On five sets of pictures fitted thresholds were no better than none.",
    )
    if not own:
        return
    for i, name in enumerate(model.card.labels.names[1:]):
        st.slider(label_text(name), _LEAST, 1.0, step=_LEAST, format="%.3f", key=_key(model, f"threshold-{i}"))
    names = held_back(project, model.card)
    st.button(
        "Fit them to labelled pictures",
        icon=":material/tune:",
        key=f"fit-{model.id}",
        disabled=not names,
        help=f"The thresholds of the best IoU on {count(len(names), 'validation picture')} of this project."
        if names
        else "For this the project needs labelled validation pictures in the labels of this model.",
        on_click=_fit,
        args=(project, model, names),
    )
    said = st.session_state.get(f"fitted-{model.id}")
    if said:
        st.caption(said)


# ------------------------------------------------------------------------------------------------------------ state


def _defaults(card: ModelCard) -> dict[str, Any]:
    """Name of a control -> its value by the card."""
    found: dict[str, Any] = {f"clean-{name}": value for name, value in card.clean_up.to_json().items()}
    found["clean-smooth"] = float(card.clean_up.smooth)  # a card may say 2, which a slider of floats refuses
    found["own"] = bool(card.thresholds)
    for i, name in enumerate(card.labels.names[1:]):
        found[f"threshold-{i}"] = max(_LEAST, card.thresholds.get(name, USUAL))
    return found


def _key(model: Model, name: str) -> str:
    return f"finish-{model.id}-{name}"


def _hold(model: Model) -> None:
    """Keep what was chosen: Streamlit forgets the value of a control that is not on the screen."""
    for name, value in _defaults(model.card).items():
        key = _key(model, name)
        st.session_state[key] = st.session_state.get(key, value)


def _reset(model: Model) -> None:
    for name in _defaults(model.card):
        st.session_state.pop(_key(model, name), None)
    st.session_state.pop(f"fitted-{model.id}", None)


def _keep(model: Model, card: ModelCard) -> None:
    """Write both into the model's card; the rest of the file stays as it is."""
    path = model.folder / CARD_FILE
    try:
        value = read_json(path)
        write_json(path, {**value, "thresholds": dict(card.thresholds), "clean_up": card.clean_up.to_json()})
    except UserError as error:  # a callback has no place of its own on the page
        st.toast(str(error), icon=":material/error:")


def _fit(project: Project, model: Model, names: list[str]) -> None:
    try:
        pairs = ((one.undecided.probabilities, one.truth) for one in judged(project, model.folder, names))
        found = calibrated_thresholds(pairs)
    except UserError as error:
        st.session_state[f"fitted-{model.id}"] = str(error)
        return
    for class_id, threshold in found.items():
        st.session_state[_key(model, f"threshold-{class_id - 1}")] = max(_LEAST, round(threshold, 3))
    few = " Few pictures fit a threshold to their accidents." if len(names) < 5 else ""
    st.session_state[f"fitted-{model.id}"] = f"Fitted to {count(len(names), 'validation picture')}.{few}"
