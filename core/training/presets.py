"""Presets by kind of picture, and the Config that fits a data set."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from core.errors import ConfigError
from core.images import ImageSize
from core.networks.card import NetworkConfig
from core.project.index import Index, SampleRow
from core.project.project import Project
from core.project.report import usable
from core.training.config import TrainingConfig

# Found by measurement: docs/BENCHMARKS.md, "Accuracy on fixed splits".
_TUNED: Final = TrainingConfig(learning_rate=3e-3)
PRESETS: Final[Mapping[str, TrainingConfig]] = {
    "satellite": replace(_TUNED, preset="satellite", augment="satellite"),
    "medical": replace(_TUNED, preset="medical", augment="medical"),
    "cell": replace(_TUNED, preset="cell", augment="cell"),
    "industrial": replace(_TUNED, preset="industrial", augment="industrial", foreground_share=0.5),  # defects are rare
    "general": replace(_TUNED, preset="general", augment="general"),
}

# What the field's tutorials train: a UNet from scratch, one epoch a pass over the pictures. Kaiming's initialisation is
# He's under another name. Width 32: that of 64 takes four times as long.
_UNET: Final = NetworkConfig(name="unet", width=32, depth=4, up="transposed")
_PLAIN: Final = TrainingConfig(network=_UNET, pretrained=False, warm_up=0.0, foreground_share=0.0, ema_decay=0.0)
CLASSIC: Final[Mapping[str, TrainingConfig]] = {
    "satellite": replace(
        _PLAIN,
        preset="satellite classic",
        network=replace(_UNET, init="he_uniform", attention="cbam"),
        learning_rate=1e-4,
        batch=16,
        epochs=50,
        augment="satellite",
        close=3,
        drop_below=100,
    ),
    "medical": replace(
        _PLAIN,
        preset="medical classic",
        network=replace(_UNET, init="he_normal", activation="silu"),
        optimizer="radam",
        learning_rate=5e-5,
        batch=8,
        epochs=100,
        augment="medical",
        smooth=1.5,
    ),
    "cell": replace(
        _PLAIN,
        preset="cell classic",
        network=replace(_UNET, init="xavier", depth=3),
        optimizer="sgd",
        learning_rate=2e-4,
        batch=32,
        epochs=30,
        augment="cell",
        split=True,
    ),
    "industrial": replace(
        _PLAIN,
        preset="industrial classic",
        network=replace(_UNET, init="he_normal", down="strided"),
        learning_rate=1e-4,
        batch=16,
        epochs=50,
        augment="industrial",
        drop_below=20,
    ),
}

CLASSIC_SUFFIX: Final = " classic"
_LEAST_SIDE: Final = 8  # of the deepest feature map's input: nnU-Net halves a side while it is at least so long
_PIXELS_SEEN_AT_ONCE: Final = 0.05  # of all, at most, in one batch: larger batches repeat themselves
# BatchNorm's statistics of fewer Tiles differ too much from those that predict: on nuclei of mixed stains a batch of 4
# ended at an IoU of 0.61, one of 8 at 0.83.
_LEAST_BATCH: Final = 8
_LEAST_STEPS: Final = 240
_MOST_STEPS: Final = 2400
_TILES_FOR_LEAST: Final = 50  # a set of so many Tiles gets the least Steps, one of four times as many twice as many


@dataclass(frozen=True)
class DataFacts:
    """What the choice of settings needs to know of a data set. Only Samples that can train count."""

    pictures: int
    sizes: Mapping[ImageSize, int] = field(default_factory=dict)  # how many pictures have that size
    pixels: Mapping[int, int] = field(default_factory=dict)  # by class id, over all pictures
    classes: int = 2  # with background

    @property
    def total_pixels(self) -> int:
        return sum(size.pixels * count for size, count in self.sizes.items())

    @property
    def side(self) -> int:
        """Median over the pictures of the longer side."""
        sides = [max(size) for size, count in self.sizes.items() for _ in range(count)]
        return round(statistics.median(sides)) if sides else 0


def facts_of(rows: Sequence[SampleRow], *, classes: int) -> DataFacts:
    """The DataFacts of index rows; those that cannot train are left out."""
    training = [row for row in rows if usable(row)]
    pixels = Counter[int]()
    for row in training:
        pixels.update(row.pixels)
    return DataFacts(len(training), Counter(row.size for row in training), pixels, classes)


def data_facts(project: Project) -> DataFacts:
    """The DataFacts of a Project as it is now."""
    index = Index(project)
    index.refresh()
    return facts_of(index.rows(), classes=len(project.settings.labels))


def propose(preset: str, facts: DataFacts) -> TrainingConfig:
    """The Config of a preset ("satellite", or "satellite classic"), fitted to the data set. Raises ConfigError.

    Small pictures get a Tile of their own size; small sets a batch of at most 5 % of their pixels, but never under 8.
    The number of Steps grows with the root of the number of Tiles: some minutes for a first set on two cores.
    A classic preset keeps its batch and epochs, an Epoch a pass over the pictures; small Tiles are halved less often.
    """
    base = _named(preset)
    base = replace(base, network=replace(base.network, classes=max(2, facts.classes)))
    if not facts.pictures:
        return base
    multiple = base.network.multiple_of
    tile = min(base.tile, max(2 * multiple, math.ceil(facts.side / multiple) * multiple))
    return _fitted_classic(base, facts, tile) if preset.endswith(CLASSIC_SUFFIX) else _fitted(base, facts, tile)


def _named(preset: str) -> TrainingConfig:
    known = {config.preset: config for config in (*PRESETS.values(), *CLASSIC.values())}
    if preset not in known:
        raise ConfigError(f"There is no preset {preset!r}.", hint=f"Choose one of {', '.join(known)}.")
    return known[preset]


def _fitted(base: TrainingConfig, facts: DataFacts, tile: int) -> TrainingConfig:
    share = _PIXELS_SEEN_AT_ONCE * facts.total_pixels / tile**2
    batch = max(_LEAST_BATCH, min(base.batch * base.tile**2 // tile**2, math.floor(share), 4 * base.batch))
    tiles = facts.total_pixels / base.tile**2
    steps = _LEAST_STEPS * max(1.0, math.sqrt(tiles / _TILES_FOR_LEAST))
    return replace(base, tile=tile, batch=batch, steps_per_epoch=math.ceil(min(steps, _MOST_STEPS) / base.epochs))


def _fitted_classic(base: TrainingConfig, facts: DataFacts, tile: int) -> TrainingConfig:
    depth = min(base.network.depth, max(1, math.floor(math.log2(tile / _LEAST_SIDE)) + 1))
    steps = math.ceil(facts.total_pixels / (base.batch * tile**2))
    return replace(base, network=replace(base.network, depth=depth), tile=tile, steps_per_epoch=steps)
