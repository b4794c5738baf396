"""The `openvino` backends: the same ONNX file on an x86 or ARM processor, near the limit of what it can compute.

OpenVINO computes in bfloat16 by itself where the processor has it.
"""

from pathlib import Path
from typing import Final

import numpy as np
import openvino
from numpy.typing import NDArray

from core.errors import ReadError
from core.inference.backend import TURN, CardBackend
from core.inference.exported import exported_folder, int8_file, onnx_file
from core.networks.card import ModelCard, read_card

_CACHE: Final = "openvino"  # compiled forms, below the exported ones: a load takes 0.05 s instead of 0.25 s


class OpenVinoBackend(CardBackend):
    """A compiled model with one request; nothing of a picture stays in it, so threads may share it."""

    def __init__(self, path: Path, card: ModelCard, *, precision: str | None = None, cache: Path | None = None) -> None:
        """precision: "f32" or "bf16"; None for OpenVINO's own choice.  cache: where compiled forms are kept.

        Raises ReadError for a file that OpenVINO cannot load.
        """
        settings = {"PERFORMANCE_HINT": "LATENCY"}
        if precision is not None:
            settings["INFERENCE_PRECISION_HINT"] = precision
        if cache is not None:
            settings["CACHE_DIR"] = str(cache)
        try:
            core = openvino.Core()
            self._request = core.compile_model(str(path), "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise ReadError(
                f"{path.name} cannot be loaded by OpenVINO ({str(error).strip().splitlines()[-1][:160]}).",
                hint="Export the model again.",
            ) from error
        super().__init__(card)

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C_in, H, W) normalised float32 -> (B, classes, H, W) float32, before softmax."""
        with TURN:
            found = self._request.infer([np.ascontiguousarray(batch)], share_inputs=True)
            return np.array(found[0], np.float32)  # a copy: the next call writes into the same memory


def load(folder: Path) -> OpenVinoBackend:
    """The Checkpoint in `folder`. Raises ReadError, UserError when it cannot be exported."""
    return OpenVinoBackend(onnx_file(folder), read_card(folder), cache=exported_folder(folder) / _CACHE)


def load_float32(folder: Path) -> OpenVinoBackend:
    """In fp32 also where the processor has bfloat16."""
    cache = exported_folder(folder) / _CACHE
    return OpenVinoBackend(onnx_file(folder), read_card(folder), precision="f32", cache=cache)


def load_int8(folder: Path) -> OpenVinoBackend:
    """With 8-bit weights and activations. Raises as `load`, and ConfigError without pictures to calibrate on."""
    return OpenVinoBackend(int8_file(folder), read_card(folder), cache=exported_folder(folder) / _CACHE)
