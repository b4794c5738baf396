"""A Checkpoint in other forms (ONNX, int8), made once by a process of its own and kept beside the weights.

    <checkpoint>/exported/<key>/model.onnx    any batch and size
                               parity.json    how far that is from the network
                               int8.onnx      8-bit, where it was asked for
                               bench.json     what each backend took on this machine

The key is a digest of weights and network, so nothing outlives what it was made from. All of it may be deleted.
No torch here: a process that only serves starts within a second once the file is there.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from core.errors import ReadError, UserError
from core.files import locked
from core.networks.card import WEIGHTS_FILE, read_card

ONNX_FILE: Final = "model.onnx"
INT8_FILE: Final = "int8.onnx"
PARITY_FILE: Final = "parity.json"
BENCH_FILE: Final = "bench.json"
FOLDER: Final = "exported"
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_TIMEOUT: Final = 900.0  # seconds; usual are 5 to 30
_BLOCK: Final = 1 << 20


def onnx_file(folder: Path) -> Path:
    """The Checkpoint in `folder` as ONNX, made now if it is not there (some seconds, in another process).

    Raises ReadError for what is no Checkpoint, UserError when its network cannot be exported, WriteError.
    """
    return _made(folder, ONNX_FILE, "core.inference.onnx_export")


def int8_file(folder: Path) -> Path:
    """The same with 8-bit weights and activations, calibrated on the Project's pictures. Raises as `onnx_file`."""
    onnx_file(folder)
    return _made(folder, INT8_FILE, "core.inference.quantise")


def exported_folder(folder: Path) -> Path:
    """Where the other forms of the Checkpoint in `folder` are kept: beside it, or in the cache where that is read-only.

    Raises ReadError.
    """
    key = _key(folder)
    beside = folder / FOLDER / key
    if beside.is_dir() or os.access(folder, os.W_OK):
        return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if os.access(cache.parent, os.W_OK):
        return cache / "maskloop" / FOLDER / key
    return Path(tempfile.gettempdir()) / f"maskloop-{os.getuid() if hasattr(os, 'getuid') else 0}" / FOLDER / key


def _made(folder: Path, name: str, module: str) -> Path:
    target = exported_folder(folder)
    path = target / name
    if path.is_file():
        return path
    with locked(target / "lock"):
        if not path.is_file():
            _run(module, folder, target)
            _forget_others(target)
    return path


def _run(module: str, folder: Path, target: Path) -> None:
    command = [sys.executable, "-m", module, str(folder.resolve()), str(target.resolve())]
    try:
        done = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"Writing {folder} in another form took over {_TIMEOUT / 60:.0f} minutes.", hint="Use the backend torch."
        ) from error
    if done.returncode == 0:
        return
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), f"code {done.returncode}")
    if done.returncode == 2:
        raise UserError(last)
    raise UserError(f"{folder} could not be written in another form ({last[:200]}).", hint="Use the backend torch.")


def _forget_others(target: Path) -> None:
    """Remove what was made from earlier weights."""
    import shutil

    if target.parent.name != FOLDER or target.parent.parent.name == "maskloop":
        return  # in the cache the neighbours are other models
    for other in target.parent.iterdir():
        if other.is_dir() and other != target:
            shutil.rmtree(other, ignore_errors=True)


def _key(folder: Path) -> str:
    card = read_card(folder)
    digest = hashlib.sha256(json.dumps(asdict(card.network), sort_keys=True).encode())
    try:
        with (folder / WEIGHTS_FILE).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise ReadError(f"{WEIGHTS_FILE} in {folder} cannot be read ({error.strerror}).") from error
    return digest.hexdigest()[:16]
