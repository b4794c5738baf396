"""A network as an ONNX file, and the check that it computes the same. Needs torch, so other processes call it as

    python -m core.inference.onnx_export CHECKPOINT TARGET

which writes TARGET/model.onnx (any batch, any multiple of the network's step) and TARGET/parity.json.
"""

import logging
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.files import write_bytes, write_json
from core.inference.exported import ONNX_FILE, PARITY_FILE
from core.inference.parity import LEAST_IOU, Parity, compare_logits
from core.inference.trial_tiles import normalised, trial_tiles
from core.networks.blocks import fold_batch_norms
from core.networks.card import NetworkConfig
from core.networks.checkpoint import load_checkpoint
from core.networks.network import Network

if TYPE_CHECKING:
    import onnx

INPUT: Final = "pictures"
OUTPUT: Final = "logits"
_LARGEST_BATCH, _LARGEST_SIDE = 1024, 1 << 16
_SIDES: Final = (256, 352)  # of the two sizes compared, about: multiples of the network's step are taken
_TILES: Final = 4


class _Probabilities(nn.Module):
    """A network followed by softmax, for programs that want probabilities."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.softmax(self.network(pictures), dim=1)


def onnx_model(
    network: Network,
    config: NetworkConfig,
    *,
    side: int | None = None,
    probabilities: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> "onnx.ModelProto":
    """`network` (eval mode, BatchNorm folded) as ONNX: (B, C_in, H, W) normalised float32 -> (B, classes, H, W).

    side: a fixed height and width in pixels; None for any multiple of `config.multiple_of`.  probabilities: softmax
    inside.  metadata: texts for the file's own table.  Raises UserError for a network that cannot be exported.
    """
    step, name = config.multiple_of, "probabilities" if probabilities else OUTPUT
    shape: dict[int, Any] = {0: torch.export.Dim("batch", max=_LARGEST_BATCH)}
    if side is None:
        shape[2] = step * torch.export.Dim("rows", max=_LARGEST_SIDE // step)
        shape[3] = step * torch.export.Dim("columns", max=_LARGEST_SIDE // step)
    height, width = (side, side) if side else (3 * step, 4 * step)
    example = torch.zeros(2, config.in_channels, height, width)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of torchvision, which nothing here uses
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Probabilities(network).eval() if probabilities else network,
                (example,),
                dynamo=True,
                dynamic_shapes=(shape,),
                input_names=[INPUT],
                output_names=[name],
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many kinds, none of them its own alone
        raise UserError(
            f"{config.name} could not be written as ONNX ({str(error).splitlines()[0][:120]}).",
            hint="Predict with the backend torch instead.",
        ) from error
    assert program is not None
    model = program.model_proto
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    return model


def folded_network(folder: Path) -> tuple[Network, NetworkConfig]:
    """The Checkpoint's network in eval mode with BatchNorm folded, fp32, on the CPU. Raises ReadError."""
    network, card = load_checkpoint(folder)
    network.requires_grad_(False)
    fold_batch_norms(network)
    return network, card.network


def check_parity(path: Path, network: Network, folder: Path) -> Parity:
    """How far the ONNX file is from `network`, on pictures of the Project at two sizes."""
    from core.inference.onnx_backend import OnnxBackend
    from core.networks.card import read_card

    card = read_card(folder)
    backend, step = OnnxBackend(path, card), card.network.multiple_of
    pairs = []
    for about in _SIDES:
        side = -(-about // step) * step
        tiles, real = trial_tiles(folder, card, side, _TILES)
        for tile in tiles:
            batch = normalised(tile, card)
            with torch.inference_mode():
                pairs.append((network(torch.from_numpy(batch)).numpy(), backend.logits(batch)))
    return compare_logits(pairs, real_pictures=real)


def main(folder: Path, target: Path) -> None:
    """Write both files; the ONNX file gets its name once it was found to agree. Raises UserError where it does not."""
    network, config = folded_network(folder)
    unchecked = target / f"unchecked-{ONNX_FILE}"
    write_bytes(unchecked, onnx_model(network, config).SerializeToString())
    parity = check_parity(unchecked, network, folder)
    write_json(target / PARITY_FILE, parity.to_json())
    if parity.mask_iou >= LEAST_IOU:
        unchecked.replace(target / ONNX_FILE)
    else:
        unchecked.unlink()
        raise UserError(
            f"The ONNX file does not predict what the network does (IoU {parity.mask_iou:.4f}).",
            hint="Predict with the backend torch instead.",
        )


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except UserError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(2) from problem
