"""The backends that there are. What one needs is imported when it loads, not before."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.errors import ConfigError
from core.inference.backend import Backend
from core.networks.card import is_ensemble


def _torch(folder: Path) -> Backend:
    from core.inference.torch_backend import load

    return load(folder)


BACKENDS: Final[dict[str, Callable[[Path], Backend]]] = {"torch": _torch}


def load_backend(folder: Path, name: str = "torch") -> Backend:
    """The Checkpoint or ensemble in `folder`, ready to predict with the backend `name`.

    Raises ReadError, ConfigError.
    """
    if name not in BACKENDS:
        raise ConfigError(f"There is no backend {name!r}.", hint=f"Choose {' or '.join(BACKENDS)}.")
    if is_ensemble(folder):
        from core.inference.ensemble import load_ensemble

        return load_ensemble(folder, BACKENDS[name])
    return BACKENDS[name](folder)
