import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.training.supervision import supervised_loss


def test_one_output_is_the_loss_itself() -> None:
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    assert supervised_loss([logits], target, functional.cross_entropy) == functional.cross_entropy(logits, target)


def test_each_output_counts_half_of_the_next() -> None:
    outputs = [torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 8, 8)]
    sizes = {2: 7.0, 4: 70.0, 8: 700.0}
    found = supervised_loss(outputs, torch.zeros(1, 8, 8).long(), lambda x, _: torch.tensor(sizes[x.shape[-1]]))
    assert float(found) == pytest.approx(7 / 7 + 2 * 70 / 7 + 4 * 700 / 7)


def test_a_smaller_output_learns_the_pixel_in_the_middle() -> None:
    seen: list[Tensor] = []

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        seen.append(target)
        return logits.sum()

    target = torch.arange(64).view(1, 8, 8)
    supervised_loss([torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 8, 8)], target, loss)
    assert seen[0].tolist() == [[[18, 22], [50, 54]]]
    assert seen[1].equal(target)
