"""What a Checkpoint says of itself in model.json: labels, network, normalisation, intensity rule, measured quality.

No torch here: pages read cards. `predict` asks no one but the card, so labels and preparation cannot mismatch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from core.annotation.clean_up import CleanUp
from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError, UserError
from core.files import read_json, write_json
from core.images import RGB, IntensityRule

CARD_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "model.safetensors"
ENSEMBLE_FILE: Final = "ensemble.json"  # instead of weights: which Checkpoints are averaged
SCHEMA: Final = 1

NETWORK_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "up": ("transposed", "bilinear"),
    "down": ("pool", "strided"),
    "activation": ("relu", "silu", "leaky_relu"),
    "norm": ("batch", "group", "instance"),
    "attention": ("none", "cbam"),
    "init": ("he_normal", "he_uniform", "xavier"),
}


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, and its size; enough to build it again. The defaults are those of efficient_unet.

    name: a key of `core.networks.NETWORKS`.  width: channels at full resolution (the usual unet: 64, a light one: 32).
    depth: how often the side is halved (efficient_unet: always 5; the usual unet: 4).
    up: how the decoder enlarges, down: how the encoder shrinks (not for efficient_unet).  activation, norm: of
    efficient_unet's decoder only, its encoder has its own.  attention: in the encoder (not for efficient_unet).
    init: how weights are drawn that are not pretrained.  supervision: so many levels of the decoder below the last have
    an output of their own while training.  early_exit: the encoder has one too, and a prediction ends at the first
    output that is sure everywhere.
    """

    name: str = "efficient_unet"
    in_channels: int = 3
    classes: int = 2
    width: int = 16
    depth: int = 5
    up: str = "bilinear"
    down: str = "pool"
    activation: str = "relu"
    norm: str = "batch"
    attention: str = "none"
    init: str = "he_normal"
    supervision: int = 0
    early_exit: bool = False

    def __post_init__(self) -> None:
        if self.in_channels < 1 or self.classes < 2 or self.width < 1:
            raise ConfigError("A network needs a channel, two classes and a width of at least 1.")
        if not 1 <= self.depth <= 8:
            raise ConfigError(f"A depth of {self.depth} is not possible.", hint="Choose 1 to 8.")
        for name, choices in NETWORK_CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"network.{name} cannot be {getattr(self, name)!r}.", hint=f"Choose one of {', '.join(choices)}."
                )
        if not 0 <= self.supervision < self.depth:
            raise ConfigError(
                f"A network of depth {self.depth} cannot have {self.supervision} outputs below the last.",
                hint=f"Choose 0 to {self.depth - 1}.",
            )
        if self.name == "efficient_unet":
            for name, only in (("depth", 5), ("down", "pool"), ("attention", "none")):
                if getattr(self, name) != only:
                    raise ConfigError(
                        f"efficient_unet needs {name} {only}, not {getattr(self, name)}.",
                        hint=f"Leave network.{name} out, or choose another network.",
                    )

    @property
    def multiple_of(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2**self.depth


@dataclass(frozen=True)
class Normalisation:
    """(value - mean) / std for each channel, on values 0..255."""

    mean: tuple[float, ...] = (127.0, 127.0, 127.0)
    std: tuple[float, ...] = (128.0, 128.0, 128.0)

    def apply(self, image: RGB) -> NDArray[np.float32]:
        """(H, W, C) uint8 -> (C, H, W) float32."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return np.ascontiguousarray(((image.astype(np.float32) - mean) / std).transpose(2, 0, 1))


@dataclass(frozen=True)
class ModelCard:
    """The card of a Checkpoint. `metrics` are those of the validation pictures at the time it was saved."""

    network: NetworkConfig
    labels: LabelSet
    normalisation: Normalisation = field(default_factory=Normalisation)
    intensity: IntensityRule = field(default_factory=IntensityRule)
    window: int = 512  # side of a prediction window in pixels
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of labels by name; see inference/thresholds.py
    clean_up: CleanUp = field(default_factory=CleanUp)  # of each predicted Mask
    name: str = ""
    created: str = ""  # ISO time
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)  # preset, epochs, pictures, seed, seconds

    def __post_init__(self) -> None:
        if self.network.classes != len(self.labels):
            raise ConfigError(f"The network has {self.network.classes} classes, the labels are {len(self.labels)}.")
        for name, threshold in self.thresholds.items():
            if name not in self.labels.names[1:] or not 0 < threshold <= 1:
                raise ConfigError(
                    f"A threshold of {threshold} for {name!r} is not possible.",
                    hint="Choose above 0, up to 1, for labels of the model.",
                )

    @property
    def class_thresholds(self) -> dict[int, float]:
        """The thresholds by class id."""
        return {self.labels.names.index(name): value for name, value in self.thresholds.items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "name": self.name,
            "created": self.created,
            "network": asdict(self.network),
            "labels": self.labels.to_json(),
            "normalisation": {"mean": list(self.normalisation.mean), "std": list(self.normalisation.std)},
            "intensity": self.intensity.to_json(),
            "window": self.window,
            "thresholds": dict(self.thresholds),
            "clean_up": self.clean_up.to_json(),
            "metrics": dict(self.metrics),
            "training": dict(self.training),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(
            network=NetworkConfig(**value["network"]),
            labels=LabelSet.from_json(value["labels"]),
            normalisation=Normalisation(tuple(value["normalisation"]["mean"]), tuple(value["normalisation"]["std"])),
            intensity=IntensityRule.from_json(value["intensity"]),
            window=int(value["window"]),
            thresholds={str(name): float(part) for name, part in value.get("thresholds", {}).items()},
            clean_up=CleanUp.from_json(value.get("clean_up", {})),
            name=str(value.get("name", "")),
            created=str(value.get("created", "")),
            metrics=value.get("metrics", {}),
            training=value.get("training", {}),
        )


def read_card(folder: Path) -> ModelCard:
    """The card of the Checkpoint or ensemble in `folder`. Raises ReadError when it is not a Maskloop model."""
    hint = f"A model is a folder with {WEIGHTS_FILE} and {CARD_FILE}, as Train writes it."
    for name in (CARD_FILE, ENSEMBLE_FILE if is_ensemble(folder) else WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise ReadError(f"{folder} is not a model: {name} is missing.", hint=hint)
    value = read_json(folder / CARD_FILE)
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ReadError(f"{CARD_FILE} in {folder} was not written by this version of Maskloop.", hint=hint)
    try:
        return ModelCard.from_json(value)
    except UserError as error:
        raise ReadError(f"{CARD_FILE} in {folder}: {error.message}", hint=error.hint or hint) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{CARD_FILE} in {folder} is not a model card ({error!r}).", hint=hint) from error


def is_ensemble(folder: Path) -> bool:
    """Whether the model in `folder` is several Checkpoints that are averaged, see inference/ensemble.py."""
    return (folder / ENSEMBLE_FILE).is_file()


def write_card(folder: Path, card: ModelCard) -> None:
    write_json(folder / CARD_FILE, card.to_json())
