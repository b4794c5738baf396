"""Where a model is unsure: the probability of a label, how undecided each pixel is, what changes in the mirror."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.images import RGB, encode_jpeg
from core.inference.predict import Undecided, predict_undecided
from core.inference.uncertainty import disagreement, entropy
from core.networks.card import ModelCard
from pages.ui.cached import Shelf, backend_of
from pages.ui.charts import label_text
from pages.ui.pictures import Picture
from pages.ui.predictions import doubt_of, key_of, prediction_of, undecided_of

_ENTROPY, _MIRROR = "Undecided", "Changes in the mirror"
_SIDE: Final = 900  # pixels of the screen
_maps: Final = Shelf[NDArray[np.uint8]](limit=100_000_000)
_MEANINGS: Final = {
    _ENTROPY: "Bright: several classes are equally probable (entropy). Usual along borders; areas deserve a look.",
    _MIRROR: "Bright: the mirrored picture gets another answer there. The picture is predicted once more for it.",
}


def show_doubt(picture: Picture, image: RGB, model: Path, card: ModelCard) -> None:
    """Folded; nothing is computed until it is opened."""
    part = st.expander("See where the model is unsure", icon=":material/contrast:", key="doubt-part", on_change="rerun")
    if part.open:
        with part:
            _show(picture, image, model, card)


@st.fragment
def _show(picture: Picture, image: RGB, model: Path, card: ModelCard) -> None:
    names = {f"Probability of {label_text(name)}": i for i, name in enumerate(card.labels.names[1:], 1)}
    what = st.segmented_control("Show", [_ENTROPY, *names, _MIRROR], default=_ENTROPY, required=True, key="doubt-what")
    undecided = undecided_of(picture, model, card)
    if what == _ENTROPY:
        values = entropy(undecided.probabilities)
    elif what == _MIRROR:
        values = _mirrored(picture, image, model, undecided)
    else:
        values = undecided.probabilities[names[what]]
    shown, legend = st.columns([7, 3])
    shown.image(encode_jpeg(_colored(image, values)), width="stretch")
    with legend:
        if what == _ENTROPY:
            doubt = doubt_of(picture, model, card)
            st.metric("Expected error", f"{100 * doubt:.0f} %", help="One minus the Dice that it expects.")
        confidence = prediction_of(picture, model, card).confidence
        st.metric("Mean confidence", f"{confidence.mean() / 2.55:.1f} %", help="Of the class drawn, over all pixels.")
        st.caption(_MEANINGS.get(what, "Bright: probable. Where it is dim the mask may miss some of it."))


def _mirrored(picture: Picture, image: RGB, model: Path, undecided: Undecided) -> NDArray[np.uint8]:
    key = f"{key_of(picture, model)}:mirror"
    found = _maps.get(key)
    if found is None:
        with st.spinner("Predicting the mirrored picture"):
            other = predict_undecided(np.ascontiguousarray(image[:, ::-1]), backend_of(model)).probabilities
            found = disagreement(undecided.probabilities, np.ascontiguousarray(other[:, :, ::-1]))
        _maps.put(key, found, found.size)
    return found


def _colored(image: RGB, values: NDArray[np.uint8]) -> RGB:
    """Values as warm colours over the darkened picture, at the size of the screen."""
    scale = min(1.0, _SIDE / max(values.shape))
    size = (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale)))
    small, grey = cv2.resize(values, size, interpolation=cv2.INTER_AREA), cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    under = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)[..., None].repeat(3, axis=2).astype(np.float32) * 0.5
    heat = cv2.cvtColor(cv2.applyColorMap(small, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB).astype(np.float32)
    share = small[..., None].astype(np.float32) / 255
    return np.asarray(np.clip(under * (1 - share) + heat * share, 0, 255), np.uint8)
