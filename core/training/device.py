"""What a training computes on, and in."""

import torch

from core.errors import UserError
from core.inference.torch_backend import fastest_device, has_bfloat16
from core.training.config import TrainingConfig


def choose_device(config: TrainingConfig) -> torch.device:
    """Raises UserError where a GPU is asked for and there is none."""
    if config.device == "auto":
        return fastest_device()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("This machine has no GPU that torch can use.", hint="Set the device to auto or cpu.")
    return torch.device(config.device)


def choose_precision(config: TrainingConfig, device: torch.device) -> torch.dtype:
    """What the network computes in; the losses, weights and sums stay float32.

    bf16 is emulated where the processor has none, fp16 is refused there with a UserError: emulated it takes ten times
    as long as float32.
    """
    match config.precision:
        case "auto":
            return torch.bfloat16 if has_bfloat16(device) else torch.float32
        case "fp32":
            return torch.float32
        case "bf16":
            return torch.bfloat16
        case "fp16":
            if not _has_float16(device):
                raise UserError("This processor does not compute in fp16.", hint="Set the precision to auto or fp32.")
            return torch.float16


def _has_float16(device: torch.device) -> bool:
    abilities = torch.cpu.get_capabilities()
    return device.type == "cuda" or bool(abilities.get("avx512_fp16") or abilities.get("amx_fp16"))
