"""A Checkpoint as a file for other programs: ONNX, OpenVINO, TensorRT. Needs torch.

Their input is (B, 3, H, W) float32 normalised as the card says, their output probabilities (B, classes, H, W).
Clean-up is not part of them. The ONNX file carries the keys that the QGIS plugin Deepness reads, beside the whole card.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from core.errors import ConfigError, UserError, WriteError
from core.files import write_bytes, write_json
from core.inference.onnx_export import folded_network, onnx_model
from core.inference.parity import LEAST_IOU, Parity, compare_logits
from core.inference.rows import PredictConfig
from core.inference.trial_tiles import normalised, trial_tiles
from core.networks.card import CARD_FILE, ModelCard, is_ensemble, read_card

_TILES: Final = 3
_LEAST: Final = np.float32(1e-37)  # its logarithm is finite


def write_onnx(folder: Path, target: Path) -> Parity:
    """The Checkpoint in `folder` as the file `target`, for any batch and any multiple of the network's step.

    Raises ReadError, ConfigError for an ensemble, UserError when it cannot be exported or computes something else;
    a file that is there stays then.
    """
    data, parity = checked_onnx(folder)
    write_bytes(target, data)
    return parity


def write_openvino(folder: Path, target: Path) -> Parity:
    """OpenVINO's own form, `target`/model.xml and model.bin, with the card beside. Raises as `write_onnx`."""
    import openvino

    data, parity = checked_onnx(folder)
    write_json(target / CARD_FILE, read_card(folder).to_json())
    try:
        openvino.save_model(openvino.Core().read_model(data, b""), str(target / "model.xml"), compress_to_fp16=False)
    except RuntimeError as error:
        raise WriteError(f"{target} could not be written ({str(error).splitlines()[-1][:120]}).") from error
    return parity


def checked_onnx(folder: Path, *, side: int | None = None) -> tuple[bytes, Parity]:
    """An ONNX file, and how far it is from torch's fp32 network. Raises as `write_onnx`.

    side: a fixed height and width, which Deepness needs.
    """
    data = onnx_bytes(folder, side=side)
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "model.onnx"
        path.write_bytes(data)
        return data, _parity(path, folder)


def onnx_bytes(folder: Path, *, side: int | None = None) -> bytes:
    """The same, unchecked. Raises ReadError, ConfigError for an ensemble, UserError when it cannot be exported."""
    if is_ensemble(folder):
        raise ConfigError(
            "An ensemble is several models; it cannot be one file.", hint="Export one of its models, or predict here."
        )
    card = read_card(folder)
    network, config = folded_network(folder)
    model = onnx_model(network, config, side=side, probabilities=True, metadata=metadata(card, side or card.window))
    return bytes(model.SerializeToString())


def write_tensorrt(folder: Path, target: Path) -> None:
    """An engine of TensorRT in FP16 for this machine's NVIDIA card, not compared with the network.

    This has never run: no such machine was at hand.  Raises ConfigError where TensorRT is missing, UserError.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise ConfigError(
            "TensorRT builds its engines on the machine that runs them, and it is not installed here.",
            hint="On a machine with an NVIDIA card install the package tensorrt; or choose onnx or openvino.",
        ) from error
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    card = read_card(folder)
    if not parser.parse(onnx_bytes(folder, side=window_of(card))):
        raise UserError(f"TensorRT cannot read the network ({parser.get_error(0)}).", hint="Choose onnx.")
    settings, profile, side = builder.create_builder_config(), builder.create_optimization_profile(), window_of(card)
    shapes = [(count, card.network.in_channels, side, side) for count in (1, 4, 16)]
    profile.set_shape(network.get_input(0).name, *shapes)
    settings.add_optimization_profile(profile)
    settings.set_flag(tensorrt.BuilderFlag.FP16)
    engine = builder.build_serialized_network(network, settings)
    if engine is None:
        raise UserError("TensorRT could not build the engine.", hint="Its log on stderr says why; or choose onnx.")
    write_bytes(target, bytes(engine))


MODEL_FORMATS: Final[Mapping[str, Callable[[Path, Path], Parity | None]]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "tensorrt": write_tensorrt,
}


def window_of(card: ModelCard) -> int:
    """The side of a prediction window in pixels, a multiple of the network's step."""
    step = card.network.multiple_of
    return -(-card.window // step) * step


def metadata(card: ModelCard, side: int) -> dict[str, str]:
    """What Deepness reads (each a JSON text), and our whole card. Deepness divides by 255 before it normalises."""
    read = {
        "model_type": "Segmentor",
        "class_names": {str(i): name for i, name in enumerate(card.labels.names)},
        "tile_size": side,
        "tiles_overlap": round(100 * PredictConfig().overlap),
        "standardization_mean": [value / 255 for value in card.normalisation.mean],
        "standardization_std": [value / 255 for value in card.normalisation.std],
        "seg_thresh": 0.5,
        "seg_small_segment": card.clean_up.drop_below,
        "maskloop_card": card.to_json(),
    }
    return {key: json.dumps(value, ensure_ascii=False) for key, value in read.items()}


def _parity(path: Path, folder: Path) -> Parity:
    """How far the file is from torch's fp32 network. Raises UserError where that is too far."""
    import torch

    from core.inference.onnx_backend import OnnxBackend

    card = read_card(folder)
    network, _ = folded_network(folder)
    backend, side = OnnxBackend(path, card), window_of(card)
    tiles, real = trial_tiles(folder, card, side, _TILES)
    pairs = []
    for batch in (normalised(tile, card) for tile in tiles):
        with torch.inference_mode():
            reference = network(torch.from_numpy(batch)).numpy()
        pairs.append((reference, np.log(np.maximum(backend.logits(batch), _LEAST))))
    parity = compare_logits(pairs, real_pictures=real)
    if parity.mask_iou < LEAST_IOU:
        raise UserError(f"The file does not predict what the model does (IoU {parity.mask_iou:.4f}).")
    return parity
