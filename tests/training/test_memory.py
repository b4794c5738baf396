"""What counts as too little memory, and how batches shrink."""

import pytest
import torch

from core.training.memory import out_of_memory, smaller_batches


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("no"), False),
    ],
)
def test_errors_of_every_allocator_are_known(error: Exception, expected: bool) -> None:
    assert out_of_memory(error) == expected


@pytest.mark.parametrize(
    ("tiles", "least", "steps"),
    [(8, 1, [1, 2, 4, 8, 8]), (8, 2, [1, 2, 4, 4]), (5, 1, [1, 2, 4, 5, 5]), (1, 1, [1, 1]), (3, 2, [1, 1])],
)
def test_batches_are_halved_until_they_are_the_least(tiles: int, least: int, steps: list[int]) -> None:
    found = [1]
    for _ in steps[1:]:
        found.append(smaller_batches(tiles, found[-1], least=least))
    assert found == steps
