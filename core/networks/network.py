"""What every network here is: outputs from the cheapest to the last, of which the last is the answer."""

from collections.abc import Iterator

from torch import Tensor, nn

from core.networks.blocks import check_size


class Network(nn.Module):
    """(B, in_channels, H, W), H and W multiples of `multiple_of`, -> logits (B, classes, H, W).

    B: pictures, C: channels, H, W: pixels.
    """

    multiple_of: int

    def outputs(self, x: Tensor) -> Iterator[Tensor]:
        """Logits (B, classes, H / s, W / s) of each output, s a power of two, from the cheapest to the last at s = 1.

        Each is computed when it is asked for, so who stops at an early one has not paid for the rest.
        """
        raise NotImplementedError

    def every_output(self, x: Tensor) -> list[Tensor]:
        return list(self.outputs(x))

    def forward(self, x: Tensor) -> Tensor:
        check_size(x, self.multiple_of)
        *_, last = self.outputs(x)
        return last
