"""The `torch` backend: BatchNorm folded, channels last, bfloat16 where the processor computes in it natively."""

import copy
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.inference.backend import TURN, CardBackend
from core.networks.blocks import fold_batch_norms
from core.networks.card import ModelCard
from core.networks.checkpoint import load_checkpoint
from core.networks.network import Network

_TOLERANCE: Final = 0.02  # mean difference of probabilities at which bfloat16 is not used
# An early output counts where no pixel is less sure than this. Not tuned yet.
SURE: Final = 0.95


class TorchBackend(CardBackend):
    """A network ready to predict on one device; nothing of a picture stays in it, so threads may share it."""

    def __init__(self, network: Network, card: ModelCard, *, device: torch.device, dtype: torch.dtype) -> None:
        """Takes `network` over: in eval mode, BatchNorm folded, on `device`.

        exits: how many batches ended at each early output, the whole network's last.
        """
        self.exits = Counter[int]()
        super().__init__(card)
        self._device = device
        self._dtype = dtype
        self._network = network.to(device=device, dtype=dtype)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs

    @property
    def precision(self) -> str:
        """What it computes in, for people: bfloat16 or float32."""
        return str(self._dtype).removeprefix("torch.")

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C_in, H, W) normalised float32 -> (B, classes, H, W) float32, before softmax."""
        with TURN, torch.inference_mode():
            return self._run(torch.from_numpy(batch)).cpu().numpy()

    def _run(self, batch: Tensor) -> Tensor:
        pictures = batch.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last)
        if not self._card.network.early_exit:
            return self._network(pictures).float().contiguous()
        for number, logits in enumerate(self._network.outputs(pictures)):  # noqa: B007, counted below
            side = logits.shape[-1]
            if side == pictures.shape[-1] or bool((logits.float().softmax(dim=1).amax(dim=1) >= SURE).all()):
                break
        self.exits[number] += 1
        return functional.interpolate(
            logits.float(), size=pictures.shape[-2:], mode="bilinear", align_corners=False
        ).contiguous()


def load(folder: Path) -> TorchBackend:
    """The Checkpoint in `folder` on the fastest device here. Raises ReadError."""
    network, card = load_checkpoint(folder)
    return _prepared(network, card, fastest_device())


def load_float32(folder: Path) -> TorchBackend:
    """As `load`, in fp32 also where bfloat16 is faster. Raises ReadError."""
    network, card = load_checkpoint(folder)
    network.requires_grad_(False)
    fold_batch_norms(network)
    return TorchBackend(network, card, device=fastest_device(), dtype=torch.float32)


def load_eager(folder: Path) -> "EagerBackend":
    """As anyone would write it at first: the base that others are compared with. Raises ReadError."""
    return EagerBackend(*load_checkpoint(folder))


class EagerBackend(CardBackend):
    """The network as it was trained, on the processor: fp32, contiguous tensors, nothing folded, whole."""

    def __init__(self, network: Network, card: ModelCard) -> None:
        """network: in eval mode."""
        super().__init__(card)
        self._network = network

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C_in, H, W) normalised float32 -> (B, classes, H, W) float32, before softmax."""
        with TURN, torch.no_grad():
            return self._network(torch.from_numpy(np.ascontiguousarray(batch))).numpy()


def network_backend(network: Network, card: ModelCard) -> TorchBackend:
    """A copy of `network` as it is now, on its device: so validation in training runs the person's own `predict`."""
    device = next(network.parameters()).device
    return _prepared(copy.deepcopy(network).eval(), card, device)


def fastest_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Whether `device` computes in bfloat16 natively; emulated it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def _prepared(network: Network, card: ModelCard, device: torch.device) -> TorchBackend:
    network.requires_grad_(False)
    fold_batch_norms(network)
    exact = TorchBackend(network, card, device=device, dtype=torch.float32)
    if not has_bfloat16(device):
        return exact
    fast = TorchBackend(copy.deepcopy(network), card, device=device, dtype=torch.bfloat16)
    return fast if _agree(exact, fast) else exact


def _agree(exact: TorchBackend, fast: TorchBackend) -> bool:
    """Whether both give nearly the same probabilities for a fixed picture of soft blobs and noise."""
    side = 2 * max(32, exact.multiple_of)
    channels = exact.card.network.in_channels
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, channels, 8, 8, generator=random)
    blobs = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)
    picture = (blobs + 0.1 * torch.randn(blobs.shape, generator=random)).numpy()
    first, second = (torch.from_numpy(backend.logits(picture)).softmax(dim=1) for backend in (exact, fast))
    return bool((first - second).abs().mean() < _TOLERANCE)
