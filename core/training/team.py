"""Processes that train one Run together, a GPU or some cores each: torch's DistributedDataParallel under torchrun.

    torchrun --nproc-per-node 2 -m core.training.worker RUN_FOLDER     (or: python -m core train PROJECT --processes 2)

Every process draws the same Tiles of a Step and learns its share of them; their gradients are averaged, so all have the
same weights after each Step. The first one leads: it alone measures, writes files and says when the training is over.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from core.errors import ConfigError
from core.networks.network import Network
from core.training.batch import Batch

_PATIENCE: Final = timedelta(hours=2)  # the others wait as long for the leader's measurement


class Order(IntEnum):
    """What a process that does not lead is told."""

    STEP = 0
    KEEP = 1  # the weights as they are now, to go back to
    GO_BACK = 2
    END = 3


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

    def together(self, network: Network) -> Callable[[Tensor], list[Tensor]]:
        """What computes all outputs of `network`, as a list; its gradients are averaged over the Team."""
        return network.every_output if self.size == 1 else DistributedDataParallel(_EveryOutput(network))

    def tell(self, order: Order, rate: float = 0.0, progress: float = 0.0) -> None:
        """What the others do next; only the leader tells."""
        if self.size > 1:
            distributed.broadcast(_numbers(order, rate, progress), src=0)

    def told(self) -> tuple[Order, float, float]:
        """What the leader tells, as soon as it does: the order, and of a Step its learning rate and progress."""
        told = _numbers(0.0, 0.0, 0.0)
        distributed.broadcast(told, src=0)
        order, rate, progress = told.tolist()
        return Order(int(order)), rate, progress

    def mean(self, value: float) -> float:
        """The mean of every process's `value`; no number where one has none."""
        if self.size == 1:
            return value
        total = _numbers(value)
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
        return self.network.every_output(x)


def _numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device="cuda" if torch.cuda.is_available() else "cpu")
