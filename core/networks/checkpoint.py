"""Checkpoints: a folder with the weights (safetensors, nothing is ever unpickled) and the card (JSON).

Both files are replaced one after the other, weights first. The weights carry a copy of their card, so the folder loads
at any moment: should a save end between the two, the copy tells which network the weights belong to.
"""

import json
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from core.errors import ConfigError, ReadError
from core.files import write_bytes
from core.networks import build_network
from core.networks.card import WEIGHTS_FILE, ModelCard, read_card, write_card
from core.networks.network import Network

_CARD_KEY: Final = "maskloop_card"  # in the header of the weights
_HINT: Final = "The file was cut off or replaced. Copy the model again, or train it again."


def save_checkpoint(folder: Path, network: nn.Module, card: ModelCard) -> None:
    """Write weights and card of `network` to `folder`; what is there is replaced, and stays loadable at any moment.

    Raises WriteError (disk full, no permission); the old checkpoint is then unchanged.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    header = {"format": "pt", _CARD_KEY: json.dumps(card.to_json(), ensure_ascii=False, allow_nan=False)}
    write_bytes(folder / WEIGHTS_FILE, save(state, metadata=header))
    write_card(folder, card)


def load_checkpoint(folder: Path) -> tuple[Network, ModelCard]:
    """The network in eval mode, on the CPU, and its card. Other files in the folder do not matter.

    Raises ReadError when a file is missing, cut off or of another program, or when the weights do not fit the card.
    """
    card = read_card(folder)
    state, own_card = _read_weights(folder / WEIGHTS_FILE)
    if own_card is not None and own_card.network != card.network:
        card = own_card  # a save that ended before it wrote the card
    return _network_with(state, card, folder).eval(), card


def _read_weights(path: Path) -> tuple[dict[str, Tensor], ModelCard | None]:
    """The tensors of a safetensors file, and the card in its header if it is one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ReadError(f"{path.name} in {path.parent} cannot be read ({_short(error)}).", hint=_HINT) from error
    try:
        return state, ModelCard.from_json(json.loads(header[_CARD_KEY]))
    except (KeyError, TypeError, ValueError, ConfigError):
        return state, None  # weights that another program wrote


def _network_with(state: dict[str, Tensor], card: ModelCard, folder: Path) -> Network:
    """The card's network holding `state`. It is built without memory first: a card may ask for any size."""
    try:
        with torch.device("meta"):
            network = build_network(card.network)
        wanted = network.state_dict()
    except (ConfigError, RuntimeError, TypeError) as error:
        raise ReadError(
            f"The card in {folder} asks for a network that cannot be ({_short(error)}).",
            hint="It was edited, or a newer Maskloop wrote it.",
        ) from error
    wrong = sorted(
        name
        for name in wanted.keys() | state.keys()
        if name not in wanted or name not in state or wanted[name].shape != state[name].shape
    )
    if wrong:
        raise ReadError(
            f"The weights in {folder} do not fit {card.network.name} of its card: "
            f"{len(wrong)} of {len(wanted)} parameters differ, {wrong[0]} first.",
            hint="model.json and model.safetensors must come from the same training.",
        )
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise ReadError(f"The weights in {folder} hold values that are not numbers.", hint=_HINT)
    network.load_state_dict({name: value.to(wanted[name].dtype) for name, value in state.items()}, assign=True)
    return network


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
