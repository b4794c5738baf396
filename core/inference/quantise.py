"""8-bit weights and activations, calibrated on pictures of the Project:

    python -m core.inference.quantise CHECKPOINT EXPORTED_FOLDER

Static quantisation with quantise-dequantise pairs in the ONNX file, symmetric int8 weights per channel, activations by
their least and greatest values. The first and last layers stay in floating point: they cost a tenth of the time and
hold most of the loss (SPEED 1d).
"""

import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from core.errors import ConfigError, UserError
from core.images import RGB
from core.inference.exported import INT8_FILE, ONNX_FILE
from core.inference.trial_tiles import normalised, trial_tiles
from core.networks.card import ModelCard, read_card

_TILES: Final = 24
_SIDE: Final = 256
_FIRST, _LAST = 2, 1  # convolutions that stay in floating point


class _Tiles(CalibrationDataReader):
    def __init__(self, tiles: Sequence[RGB], card: ModelCard, name: str) -> None:
        self._batches: Iterator[NDArray[np.float32]] = (normalised(tile, card) for tile in tiles)
        self._name = name

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def quantise(source: Path, target: Path, tiles: Sequence[RGB], card: ModelCard) -> None:
    """Write the ONNX file `source` as int8 to `target`, calibrated on `tiles` (H, W, 3)."""
    prepared, part = target.with_suffix(".prepared.onnx"), target.with_suffix(".part.onnx")
    logging.disable(logging.WARNING)  # it warns of what it was told to do
    try:
        # shapes cannot be inferred symbolically through "32 * rows"; ONNX's own inference is enough here
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(prepared, load_external_data=False).graph
        convolutions = [node.name for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
        quantize_static(
            str(prepared),
            str(part),
            _Tiles(tiles, card, graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "ConvTranspose", "Add", "Mul", "Concat", "MaxPool"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[*convolutions[:_FIRST], *convolutions[-_LAST:]],
        )
        part.replace(target)
    finally:
        logging.disable(logging.NOTSET)
        prepared.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def main(folder: Path, target: Path) -> None:
    card = read_card(folder)
    step = card.network.multiple_of
    tiles, real = trial_tiles(folder, card, -(-_SIDE // step) * step, _TILES)
    if not real:
        raise ConfigError(
            "8-bit numbers must be fitted to real pictures, and none lie beside this model.",
            hint="Use a model inside its project, or put some pictures into a folder named pictures beside model.json.",
        )
    quantise(target / ONNX_FILE, target / INT8_FILE, tiles, card)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
