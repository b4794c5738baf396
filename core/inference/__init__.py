"""The backends that there are. What one needs is imported when it loads, not before."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from core.errors import ConfigError
from core.inference.backend import Backend
from core.networks.card import is_ensemble

AUTO: Final = "auto"  # the fastest of BACKENDS that agrees with the network, where `bench` has measured them here


def _torch(folder: Path) -> Backend:
    from core.inference.torch_backend import load

    return load(folder)


def _torch_float32(folder: Path) -> Backend:
    from core.inference.torch_backend import load_float32

    return load_float32(folder)


def _torch_eager(folder: Path) -> Backend:
    from core.inference.torch_backend import load_eager

    return load_eager(folder)


def _onnx(folder: Path) -> Backend:
    from core.inference.onnx_backend import load

    return load(folder)


def _onnx_int8(folder: Path) -> Backend:
    from core.inference.onnx_backend import load_int8

    return load_int8(folder)


def _onnx_cuda(folder: Path) -> Backend:
    from core.inference.onnx_backend import load_cuda

    return load_cuda(folder)


def _tensorrt(folder: Path) -> Backend:
    from core.inference.onnx_backend import load_tensorrt

    return load_tensorrt(folder)


def _openvino(folder: Path) -> Backend:
    from core.inference.openvino_backend import load

    return load(folder)


def _openvino_float32(folder: Path) -> Backend:
    from core.inference.openvino_backend import load_float32

    return load_float32(folder)


def _openvino_int8(folder: Path) -> Backend:
    from core.inference.openvino_backend import load_int8

    return load_int8(folder)


BACKENDS: Final[dict[str, Callable[[Path], Backend]]] = {
    "torch": _torch,
    "torch-float32": _torch_float32,
    "torch-eager": _torch_eager,
    "onnx": _onnx,
    "onnx-int8": _onnx_int8,
    "onnx-cuda": _onnx_cuda,
    "openvino": _openvino,
    "openvino-float32": _openvino_float32,
    "openvino-int8": _openvino_int8,
    "tensorrt": _tensorrt,
}


def load_backend(folder: Path, name: str = "torch", *, unmeasured: str = "torch") -> Backend:
    """The Checkpoint or ensemble in `folder`, ready to predict with the backend `name`, a key of BACKENDS or "auto".

    unmeasured: what "auto" takes where the backends have not been measured on this machine.
    Raises ReadError, ConfigError; UserError where the network cannot be brought into the form that `name` needs.
    """
    if name != AUTO and name not in BACKENDS:
        raise ConfigError(f"There is no backend {name!r}.", hint=f"Choose {AUTO} or {' or '.join(BACKENDS)}.")
    if is_ensemble(folder):
        from core.inference.ensemble import load_ensemble

        return load_ensemble(folder, lambda member: _load_one(member, name, unmeasured))
    return _load_one(folder, name, unmeasured)


def _load_one(folder: Path, name: str, unmeasured: str) -> Backend:
    if name == AUTO:
        from core.inference.bench import fastest

        name = fastest(folder) or unmeasured
    return BACKENDS[name](folder)
