"""The `onnx` backends: ONNX Runtime on the processor, or on an NVIDIA card where its build for those is installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from core.errors import ConfigError, ReadError
from core.inference.backend import TURN, CardBackend
from core.inference.exported import int8_file, onnx_file
from core.networks.card import ModelCard, read_card

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
_NAMES: Final = {CUDA: "CUDA", TENSORRT: "TensorRT"}
_QUIET: Final = 3  # errors only


class OnnxBackend(CardBackend):
    """A session of ONNX Runtime; nothing of a picture stays in it, so threads may share it."""

    def __init__(self, path: Path, card: ModelCard, providers: Sequence[str] = (CPU,)) -> None:
        """Raises ReadError for a file that is no ONNX, or whose input and output are not those of `card`."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _QUIET
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=list(providers))
        except Exception as error:  # its exceptions have no common parent
            raise ReadError(
                f"{path.name} cannot be loaded by ONNX Runtime ({str(error).splitlines()[0][:160]}).",
                hint="Export the model again.",
            ) from error
        super().__init__(card)
        self._check(path)

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C_in, H, W) normalised float32 -> (B, classes, H, W) float32, before softmax."""
        with TURN:
            found = self._session.run([self._output], {self._input: np.ascontiguousarray(batch)})[0]
        return np.asarray(found, np.float32)

    def _check(self, path: Path) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        fits = (
            len(inputs) == len(outputs) == 1
            and len(inputs[0].shape) == len(outputs[0].shape) == 4
            and inputs[0].type == "tensor(float)"
            and inputs[0].shape[1] == self._card.network.in_channels
            and outputs[0].shape[1] == self._card.network.classes
        )
        if not fits:
            seen = ", ".join(f"{value.name} {value.shape}" for value in (*inputs, *outputs))
            raise ReadError(
                f"{path.name} is not the network of its card: it has {seen}.", hint="Export the model again."
            )
        self._input, self._output = inputs[0].name, outputs[0].name


def load(folder: Path) -> OnnxBackend:
    """The Checkpoint in `folder` in fp32 on the processor. Raises ReadError, UserError when it cannot be exported."""
    return OnnxBackend(onnx_file(folder), read_card(folder))


def load_int8(folder: Path) -> OnnxBackend:
    """With 8-bit weights and activations. Raises as `load`, and ConfigError without pictures to calibrate on."""
    return OnnxBackend(int8_file(folder), read_card(folder))


def load_cuda(folder: Path) -> OnnxBackend:
    return _on_card(folder, CUDA)


def load_tensorrt(folder: Path) -> OnnxBackend:
    return _on_card(folder, TENSORRT)


def _on_card(folder: Path, provider: str) -> OnnxBackend:
    """Raises ConfigError where there is no such card, or ONNX Runtime was not built for it."""
    known = onnxruntime.get_available_providers()
    if provider not in known:
        raise ConfigError(
            f"{_NAMES[provider]} is not there: this ONNX Runtime knows {', '.join(known)}.",
            hint="It needs an NVIDIA card and the package onnxruntime-gpu in place of onnxruntime.",
        )
    return OnnxBackend(onnx_file(folder), read_card(folder), (provider, CPU))
