"""All settings of one training, in one frozen value: validated when made, JSON in the Run's folder, text from a form.

No torch here: pages build and show Configs.
"""

import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Literal, Self, Union, get_args, get_origin, get_type_hints

from core.annotation.clean_up import CleanUp
from core.errors import ConfigError
from core.networks.card import NetworkConfig

AUGMENTATION_NAMES: Final = ("satellite", "medical", "cell", "industrial", "general", "none")
SCHEDULES: Final = ("cosine", "poly", "constant", "step", "plateau")
LOSS_NAMES: Final = ("cross_entropy", "dice", "lovasz", "focal", "tversky", "ohem", "boundary")
OPTIMIZERS: Final = ("adamw", "radam", "sgd")
CLASS_WEIGHTS: Final = ("none", "inverse", "median")
PRECISIONS: Final = ("auto", "fp32", "bf16", "fp16")
DEVICES: Final = ("auto", "cpu", "cuda")

# What else changes when another network is chosen by name alone.
_NETWORK_DEFAULTS: Final[dict[str, tuple[NetworkConfig, bool]]] = {
    "efficient_unet": (NetworkConfig(), True),
    "unet": (NetworkConfig(name="unet", width=32, depth=4, up="transposed"), False),
    "residual_unet": (NetworkConfig(name="residual_unet", width=32, depth=4, up="transposed"), False),
}


@dataclass(frozen=True)
class TrainingConfig:
    """What a Run trains and how. One that exists is possible; ConfigError says in a sentence what is not.

    An Epoch is `steps_per_epoch` Steps, not a pass over the pictures: sets of 5 and of 5,000 pictures get a curve point
    equally often. Sides in pixels, weights without unit.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    pretrained: bool = True  # begin from ImageNet weights
    preset: str = "general"  # which Preset this came from, for the record
    epochs: int = 20
    minutes: float | None = None  # stop after so many, whatever the epochs
    steps_per_epoch: int = 20
    batch: int = 8  # Tiles that the network sees at once
    accumulate: int = 1  # so many batches make a Step
    tile: int = 256  # side of a Tile
    optimizer: Literal["adamw", "radam", "sgd"] = "adamw"  # sgd: with Nesterov's momentum
    momentum: float = 0.9  # of sgd
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.05  # share of all Steps in which the learning rate rises from 0
    schedule: Literal["cosine", "poly", "constant", "step", "plateau"] = "cosine"
    drops: int = 2  # step: how often the learning rate drops, evenly over the training
    drop_factor: float = 0.1  # step and plateau: to this part of itself
    plateau_epochs: int = 10  # plateau: the learning rate drops after so many validations without a better score
    patience: int = 0  # the training ends after so many validations without a better score; 0: never
    cross_entropy: float = 0.5  # weights of the losses, see losses.py
    dice: float = 0.3
    lovasz: float = 0.2
    focal: float = 0.0
    tversky: float = 0.0
    ohem: float = 0.0
    boundary: float = 0.0
    focal_gamma: float = 2.0
    tversky_alpha: float = 0.3  # what a false alarm weighs, and what a miss
    tversky_beta: float = 0.7
    ohem_share: float = 0.25  # of the pixels, the hardest
    boundary_width: int = 2  # pixels from a border
    consistency: float = 0.0  # weight of what pictures without labels teach, see unlabelled.py; 0: they do not train
    unlabelled_batch: int = 4  # Tiles of them a Step
    sure: float = 0.95  # from this probability on a prediction on them counts as a label
    class_weights: Literal["none", "inverse", "median"] = "none"  # by frequency, in the losses that go by pixels
    foreground_share: float = 0.33  # of the Tiles of a batch: centred on a drawn pixel
    ema_decay: float = 0.98  # of the running mean of the weights; 0 turns it off
    gradient_clip: float = 5.0  # norm; 0 turns it off
    augment: str = "general"
    cut_mix: float = 0.0  # chance of a Tile to get a rectangle of another
    copy_paste: float = 0.0  # chance of a Tile to get objects of another
    smooth: float = 0.0  # what is done to predicted Masks, see CleanUp: pixels
    close: int = 0
    split: bool = False
    drop_below: int = 0
    fill: int = 0
    open: int = 0
    right_angles: bool = False
    validate_every: int = 1  # Epochs
    validation_megapixels: float = 6.0  # at most so many pixels validate after an Epoch; the final measurement uses all
    previews: int = 4  # validation pictures shown while it runs
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # auto: bf16 where the processor computes in it

    def __post_init__(self) -> None:
        self._check_choices()
        self._check_numbers()
        if self.tile < self.network.multiple_of or self.tile % self.network.multiple_of:
            multiple = self.network.multiple_of
            raise ConfigError(
                f"A tile of {self.tile} pixels does not fit the network.",
                hint=f"Choose a multiple of {multiple}, for example {max(1, round(self.tile / multiple)) * multiple}.",
            )
        if self.batch == 1 and self.tile == self.network.multiple_of:
            raise ConfigError(
                f"A single tile of {self.tile} pixels leaves the network one number to learn its statistics from.",
                hint="Choose a larger tile, or a batch of at least 2.",
            )
        if self.pretrained and self.network.name != "efficient_unet":
            raise ConfigError(
                f"There are no pretrained weights for {self.network.name}.",
                hint="Choose efficient_unet, or set pretrained to no.",
            )

    def _check_choices(self) -> None:
        for name, value, choices in (
            ("network", self.network.name, tuple(_NETWORK_DEFAULTS)),
            ("schedule", self.schedule, SCHEDULES),
            ("optimizer", self.optimizer, OPTIMIZERS),
            ("augment", self.augment, AUGMENTATION_NAMES),
            ("class_weights", self.class_weights, CLASS_WEIGHTS),
            ("device", self.device, DEVICES),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in choices:
                raise ConfigError(f"{name} cannot be {value!r}.", hint=f"Choose one of {', '.join(choices)}.")

    def _check_numbers(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:  # a NaN is in no range
                raise ConfigError(f"{name} is {value:g}; it must lie between {low:g} and {high:g}.")
        if self.consistency and not self.ema_decay:
            raise ConfigError(
                "Pictures without labels are predicted by the running mean of the weights, which is turned off.",
                hint="Set ema_decay to 0.98, or consistency to 0.",
            )
        if sum(getattr(self, name) for name in LOSS_NAMES) <= 0:
            raise ConfigError("All loss weights are 0, so nothing would be learned.", hint="Give one of them a weight.")

    @property
    def steps(self) -> int:
        """All Steps of the training, unless `minutes` or a person ends it earlier."""
        return self.epochs * self.steps_per_epoch

    @property
    def clean_up(self) -> CleanUp:
        return CleanUp(self.smooth, self.close, self.split, self.drop_below, self.fill, self.open, self.right_angles)

    @property
    def step_tiles(self) -> int:
        """All Tiles of a Step."""
        return self.batch * self.accumulate

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Raises ConfigError for what is not a Config of this version."""
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise ConfigError(f"There is no setting {unknown[0]!r}.", hint="Was it made by another version?")
        try:
            return cls(**{**value, "network": NetworkConfig(**value["network"])})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"These training settings are damaged ({error}).") from error

    def as_settings(self) -> dict[str, str]:
        """All settings that a person may choose, as `with_settings` takes them."""
        own = {name: getattr(self, name) for name in _own_types()}
        of_network = {f"network.{name}": getattr(self.network, name) for name in _network_types()}
        return {name: _as_text(value) for name, value in (own | of_network).items()}

    def with_settings(self, settings: Mapping[str, str]) -> "TrainingConfig":
        """This Config with some settings changed, each given as text: {"learning_rate": "3e-4", "network.width": "16"}.

        A new network.name brings that network's own width, depth, up and weights, unless they are given as well.
        Raises ConfigError for a name that does not exist or a text that is not of its kind.
        """
        own, of_network = _own_types(), _network_types()
        changes: dict[str, Any] = {}
        network_changes: dict[str, Any] = {}
        for key, text in settings.items():
            if key in own:
                changes[key] = _parse(key, text, own[key])
            elif key.removeprefix("network.") in of_network and key.startswith("network."):
                network_changes[key.removeprefix("network.")] = _parse(key, text, of_network[key.split(".")[1]])
            else:
                names = [*own, *(f"network.{name}" for name in of_network)]
                raise ConfigError(f"There is no setting {key!r}.", hint=f"There are: {', '.join(names)}.")
        network, pretrained = self.network, self.pretrained
        name = network_changes.get("name", network.name)
        if name != network.name and name in _NETWORK_DEFAULTS:
            default, pretrained = _NETWORK_DEFAULTS[name]
            network = replace(default, in_channels=network.in_channels, classes=network.classes)
        network = replace(network, **network_changes)
        return replace(self, **{"pretrained": pretrained, **changes, "network": network})


_RANGES: Final[tuple[tuple[str, float, float], ...]] = (
    ("epochs", 1, 1_000_000),
    ("minutes", 0.01, 100_000),
    ("steps_per_epoch", 1, 1_000_000),
    ("batch", 1, 4096),
    ("accumulate", 1, 4096),
    ("tile", 16, 4096),
    ("learning_rate", 1e-8, 10),
    ("weight_decay", 0, 10),
    ("momentum", 0, 0.9999),
    ("warm_up", 0, 1),
    ("drops", 0, 100),
    ("drop_factor", 0.001, 1),
    ("plateau_epochs", 1, 1_000_000),
    ("patience", 0, 1_000_000),
    ("cross_entropy", 0, 1000),
    ("dice", 0, 1000),
    ("lovasz", 0, 1000),
    ("focal", 0, 1000),
    ("tversky", 0, 1000),
    ("ohem", 0, 1000),
    ("boundary", 0, 1000),
    ("focal_gamma", 0, 10),
    ("tversky_alpha", 0.001, 1),
    ("tversky_beta", 0.001, 1),
    ("ohem_share", 0.001, 1),
    ("boundary_width", 1, 50),
    ("consistency", 0, 1000),
    ("unlabelled_batch", 1, 4096),
    ("sure", 0.3, 1),
    ("foreground_share", 0, 1),
    ("ema_decay", 0, 0.99999),
    ("gradient_clip", 0, 1e6),
    ("cut_mix", 0, 1),
    ("copy_paste", 0, 1),
    ("smooth", 0, 50),
    ("close", 0, 199),
    ("drop_below", 0, 10**9),
    ("fill", 0, 10**9),
    ("open", 0, 199),
    ("validate_every", 1, 1_000_000),
    ("validation_megapixels", 0.001, 1e6),
    ("previews", 0, 16),
    ("seed", 0, 2**31 - 1),
)
_TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")


def _own_types() -> dict[str, Any]:
    hints = get_type_hints(TrainingConfig)
    return {item.name: hints[item.name] for item in fields(TrainingConfig) if item.name != "network"}


def _network_types() -> dict[str, Any]:
    """Those that a person may choose; classes and channels follow from the Project."""
    hints = get_type_hints(NetworkConfig)
    return {name: hint for name, hint in hints.items() if name not in ("in_channels", "classes")}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parse(key: str, text: str, kind: Any) -> Any:
    text = text.strip()
    if get_origin(kind) in (Union, types.UnionType):
        if text.lower() in ("", "none"):
            return None
        kind = get_args(kind)[0]
    if kind is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise ConfigError(f"{key} cannot be {text!r}.", hint="Write yes or no.")
        return text.lower() in _TRUE
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise ConfigError(f"{key} cannot be {text!r}.", hint=f"Write {what}.") from None
    return text
