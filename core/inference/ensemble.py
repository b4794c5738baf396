"""Several Checkpoints as one model: the mean of their probabilities.

    <folder>/model.json     a card as any model has: that of the first member, with the ensemble's own name and figures
             ensemble.json  {"schema": 1, "members": ["../../runs/<run>/best", ...]}, relative to the folder

The weights stay where they are, so an ensemble costs no room on the disk and is gone when a member is.
"""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import ReadError
from core.files import read_json, write_json
from core.inference.backend import Backend
from core.inference.rows import add_probabilities
from core.networks.card import ENSEMBLE_FILE, ModelCard, is_ensemble, read_card, write_card

SCHEMA: Final = 1
_MOST: Final = 20  # members: each costs memory and as much time as a model alone
_HINT: Final = "Train the cross-validation again, or choose another model."
_LEAST_PROBABILITY: Final = np.float32(1e-37)  # its logarithm is finite


class Ensemble:
    """A Backend: its logits are the logarithm of the mean of its members' softmax, so softmax gives that mean."""

    def __init__(self, members: Sequence[Backend], card: ModelCard) -> None:
        """card: whose labels, normalisation and intensity all members share."""
        self._members = tuple(members)
        self._card = card

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def multiple_of(self) -> int:
        return math.lcm(*(member.multiple_of for member in self._members))

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C_in, H, W) normalised float32 -> (B, classes, H, W) float32."""
        size, classes = batch.shape[2:], len(self._card.labels)
        mean = np.zeros((len(batch), classes, *size), np.float32)
        share = np.full(size, 1 / len(self._members), np.float32)
        for member in self._members:
            for total, found in zip(mean, member.logits(batch), strict=True):
                add_probabilities(total, found, share)
        np.maximum(mean, _LEAST_PROBABILITY, out=mean)
        return np.log(mean, out=mean)


def write_ensemble(folder: Path, members: Sequence[Path], card: ModelCard) -> None:
    """Make `folder` the ensemble of the Checkpoints `members`. Raises WriteError."""
    write_card(folder, card)
    paths = [Path(os.path.relpath(member.resolve(), folder.resolve())).as_posix() for member in members]
    write_json(folder / ENSEMBLE_FILE, {"schema": SCHEMA, "members": paths})  # last: without it this is no model


def member_folders(folder: Path) -> list[Path]:
    """The Checkpoints of the ensemble in `folder`, in their order. Raises ReadError."""
    value = read_json(folder / ENSEMBLE_FILE)
    members = value.get("members") if isinstance(value, dict) else None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or not isinstance(members, list):
        raise ReadError(f"{ENSEMBLE_FILE} in {folder} was not written by this version of Maskloop.", hint=_HINT)
    if not 1 <= len(members) <= _MOST:
        raise ReadError(f"The ensemble in {folder} names {len(members)} models, not 1 to {_MOST}.", hint=_HINT)
    if not all(isinstance(path, str) and "\0" not in path and not Path(path).is_absolute() for path in members):
        raise ReadError(f"{ENSEMBLE_FILE} in {folder} names members that are no relative paths.", hint=_HINT)
    return [Path(os.path.normpath(folder / path)) for path in members]


def load_ensemble(folder: Path, load: Callable[[Path], Backend]) -> Ensemble:
    """The ensemble in `folder`, each member loaded with `load`.

    Raises ReadError when a member is missing or an ensemble itself, or when they do not fit together.
    """
    card = read_card(folder)
    paths = member_folders(folder)
    for path in paths:
        if is_ensemble(path):
            raise ReadError(f"{path}, a member of the ensemble in {folder}, is an ensemble itself.", hint=_HINT)
    members = []
    for path in paths:
        try:
            members.append(load(path))
        except ReadError as error:
            raise ReadError(f"A member of the ensemble in {folder} is missing: {error.message}", hint=_HINT) from error
        _check_fits(members[-1].card, card, path, folder)
    return Ensemble(members, card)


def _check_fits(member: ModelCard, card: ModelCard, path: Path, folder: Path) -> None:
    """Raises ReadError when `member` means other classes, or expects its pictures prepared otherwise."""
    pairs = {
        "labels": (member.labels.names, card.labels.names),
        "normalisation": (member.normalisation, card.normalisation),
        "intensity rule": (member.intensity, card.intensity),
        "number of channels": (member.network.in_channels, card.network.in_channels),
    }
    differs = [name for name, (its, own) in pairs.items() if its != own]
    if differs:
        raise ReadError(
            f"The members of the ensemble in {folder} do not fit together: {path} has another {differs[0]}.",
            hint=_HINT,
        )
