"""The labelled sets that benchmarks train on: `MASKLOOP_DATA`, else ../shared/data beside the repository."""

import csv
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask
from core.images import RGB, ImageSize, IntensityRule, read_image
from core.inference.backend import Backend
from core.inference.evaluate import Pair, pair_files
from core.inference.metrics import ConfusionMatrix
from core.inference.predict import predict
from core.training.loop import TrainingData
from core.training.tiles import LabelledPicture, PictureCache

_EVERY = 5  # each fifth picture validates


class LabelledSet(NamedTuple):
    """Pictures with Masks of class ids, some to train on and others to validate."""

    labels: LabelSet
    train: list[Pair]
    val: list[Pair]


def data_folder() -> Path:
    """Ends the program with a sentence where the sets are not on this machine."""
    folder = Path(os.environ.get("MASKLOOP_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        sys.exit(f"The labelled sets are not in {folder}. Name their folder in MASKLOOP_DATA.")
    return folder


def read_set(name: str) -> LabelledSet:
    folder = data_folder() / name
    with (folder / "classes.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    pairs = list(pair_files(folder / "images", folder / "masks"))
    val = pairs[::_EVERY]
    return LabelledSet(LabelSet.of(names[1:]), [pair for pair in pairs if pair not in val], val)


def read_pair(pair: Pair) -> tuple[RGB, Mask]:
    """Picture and Mask, decoded anew."""
    with Image.open(pair.mask) as mask:
        return read_image(pair.image), np.asarray(mask, np.uint8)


def training_data(chosen: LabelledSet, spill: Path) -> TrainingData:
    """The training pictures of a set; what validates is measured by the caller, at the end."""
    by_name = {pair.image.stem: pair for pair in chosen.train}
    listed = []
    for name, pair in by_name.items():
        mask = read_pair(pair)[1]
        drawn = frozenset(int(i) for i in np.unique(mask) if 0 < i < 255)
        listed.append(LabelledPicture(name, ImageSize(*mask.shape), drawn))
    cache = PictureCache(lambda name: read_pair(by_name[name]), budget=2 << 30, spill=spill)
    return TrainingData(chosen.labels, IntensityRule(), listed, [], cache)


def measure(backend: Backend, pairs: list[Pair]) -> ConfusionMatrix:
    """Whole validation pictures through the person's own `predict`."""
    matrix = ConfusionMatrix(len(backend.card.labels))
    for pair in pairs:
        image, truth = read_pair(pair)
        matrix.add(truth, predict(image, backend).mask)
    return matrix
