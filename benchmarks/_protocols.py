"""Which pictures train and which test, for each set of ../shared/data: fixed, by place or group, written down here.

No figure of a test part has been used to choose anything: what is tuned is tuned on the training part.
"""

import csv
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks._sets import data_folder
from core.annotation.labels import LabelSet
from core.inference.evaluate import Pair, pair_files
from sample_data import generate


@dataclass(frozen=True)
class Protocol:
    """group: of pictures that show the same thing, by stem; groups are sorted, and `tests` says which of them test.

    left_out: the class id that says nothing; it counts as not labelled.
    """

    folder: str
    preset: str
    group: Callable[[str], str]
    tests: Callable[[int, int], bool]  # number of the group, how many there are
    left_out: int | None = None


@dataclass(frozen=True)
class Split:
    """The pictures of one protocol. unlabelled: pictures of the training part without a mask that is used."""

    labels: LabelSet
    train: list[Pair]
    test: list[Pair]
    unlabelled: list[Path]


_MADE: Final = "made aerial scenes"


def _made_scenes() -> Path:
    """Invented towns with their exact truth, the same on every machine; made once and kept with temporary files."""
    folder = Path(tempfile.gettempdir()) / "maskloop-benchmarks" / "aerial-250-256-7"
    if not (folder / "classes.csv").is_file():
        generate.main([str(folder), "--count", "250", "--size", "256", "--seed", "7", "--format", "masks"])
    return folder


def _itself(stem: str) -> str:
    return stem


def _every(count: int, first: int = 0) -> Callable[[int, int], bool]:
    return lambda number, groups: number % count == first


def _fold(fold: int, folds: int) -> Callable[[int, int], bool]:
    """Contiguous parts: slices of a stack are like their neighbours."""
    return lambda number, groups: number * folds // groups == fold


def _tile_group(stem: str) -> str:
    """A magnetic tile: its up to six exposures are near copies."""
    with (data_folder() / "defects_magnetic_tile" / "manifest.csv").open(newline="") as file:
        notes = {row["stem"]: row["note"] for row in csv.DictReader(file)}
    kind = stem.split("_")[0]
    return f"{kind} {notes.get(stem, stem)}"


PROTOCOLS: Final[Mapping[str, Protocol]] = {
    **{f"isbi2012_membrane fold {i}": Protocol("isbi2012_membrane", "medical", _itself, _fold(i, 4)) for i in range(4)},
    "nuclei_dsb2018": Protocol("nuclei_dsb2018", "cell", _itself, _every(5)),
    # by country: Kenya and Nepal test
    "buildings_oam": Protocol("buildings_oam", "satellite", lambda s: s[:2], lambda n, count: n in (0, 1)),
    # Austin trains, Chicago tests
    "buildings_inria": Protocol("buildings_inria", "satellite", lambda s: s.split("_")[0], _every(2, 1)),
    "roads_massachusetts": Protocol("roads_massachusetts", "satellite", lambda s: s.split("_")[0], _every(3, 1)),
    "defects_magnetic_tile": Protocol("defects_magnetic_tile", "industrial", _tile_group, _every(3)),
    "defects_neu_steel": Protocol("defects_neu_steel", "industrial", _itself, lambda n, count: n < 18),  # its own test
    "cracks_cfd": Protocol("cracks_cfd", "industrial", _itself, _every(4)),
    "retina_drive": Protocol("retina_drive", "medical", _itself, _every(3)),
    "street_camvid": Protocol("street_camvid", "general", _itself, _every(3), left_out=0),
    # 200 train, 50 test
    "made aerial scenes": Protocol(_MADE, "satellite", _itself, lambda number, groups: number >= 200),
}


def read_split(name: str, *, labelled: int | None = None, tuning: bool = False) -> Split:
    """The pictures of a protocol.  labelled: train on so many only, evenly spread; the others are unlabelled.

    tuning: every fourth group of the training part tests instead of the test part, for choosing settings.
    """
    protocol = PROTOCOLS[name]
    folder = _made_scenes() if protocol.folder == _MADE else data_folder() / protocol.folder
    with (folder / "classes.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    pairs = list(pair_files(folder / "images", folder / "masks"))
    groups = sorted({protocol.group(pair.image.stem) for pair in pairs}, key=_natural)
    tests = {group for i, group in enumerate(groups) if protocol.tests(i, len(groups))}
    train = [pair for pair in pairs if protocol.group(pair.image.stem) not in tests]
    test = [pair for pair in pairs if protocol.group(pair.image.stem) in tests]
    if tuning:
        train, test = _inner(protocol, train)
    unlabelled: list[Path] = []
    if labelled is not None:
        kept = {round((i + 0.5) * len(train) / labelled - 0.5) for i in range(labelled)}
        unlabelled = [pair.image for i, pair in enumerate(train) if i not in kept]
        train = [pair for i, pair in enumerate(train) if i in kept]
    return Split(LabelSet.of(names[1:]), train, test, unlabelled)


def _inner(protocol: Protocol, train: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """The training part divided again: by group, or by picture where it is a single group."""
    groups = sorted({protocol.group(pair.image.stem) for pair in train}, key=_natural)
    place = {
        pair: groups.index(protocol.group(pair.image.stem)) if len(groups) > 1 else i for i, pair in enumerate(train)
    }
    return [pair for pair in train if place[pair] % 4 != 1], [pair for pair in train if place[pair] % 4 == 1]


def _natural(text: str) -> list[object]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text)]
