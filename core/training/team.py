"""Processes that train one Run together, a GPU or some cores each: torch's DistributedDataParallel under torchrun.

    torchrun --nproc-per-node 2 -m core.training.worker RUN_FOLDER

Every process draws the same Tiles of a Step and learns its share of them; their gradients are averaged, so all have the
same weights after each Step. The first one leads: it alone measures, writes files and says when the training is over.
"""

import os
from datetime import timedelta
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from core.errors import ConfigError
from core.networks.network import Network
from core.training.batch import Batch

_PATIENCE: Final = timedelta(hours=2)  # the others wait as long for the leader's measurement


class Team:
    """This process among those that train together; alone in it unless torchrun started it."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @classmethod
    def joined(cls) -> Self:
        """The Team that torchrun's environment names, joined; call it once in a process."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
        return cls(distributed.get_rank(), size)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """This process's Tiles of a Step. Raises ConfigError where they cannot be divided evenly."""
        if self.size == 1:
            return batch
        if len(batch.masks) % self.size:
            raise ConfigError(
                f"{len(batch.masks)} tiles a step cannot be divided among {self.size} processes.",
                hint=f"Choose a multiple of {self.size}.",
            )
        parts = (np.ascontiguousarray(values[self.rank :: self.size]) for values in batch)
        return Batch(*parts)

    def together(self, network: Network) -> nn.Module:
        """What computes all outputs of `network`, as a list; its gradients are averaged over the Team."""
        every = _EveryOutput(network)
        return every if self.size == 1 else DistributedDataParallel(every)

    def as_leader(self, value: float) -> float:
        """The leader's `value`, in every process."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=_device())
        distributed.broadcast(told, src=0)
        return float(told)

    def mean(self, value: float) -> float:
        """The mean of every process's `value`; no number where one has none."""
        if self.size == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=_device())
        distributed.all_reduce(total)
        return float(total) / self.size

    def leave(self) -> None:
        if self.size > 1:
            distributed.destroy_process_group()


class _EveryOutput(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.network.outputs(x))


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
