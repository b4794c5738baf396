"""All Metrics of a set of pictures in one value: of each class, of each picture and of the set.

Of the set, pixels, bands and objects are added up before a ratio is made; distances cannot be added up, so theirs is
the mean over the pictures in which both have the class, and the others are counted. Names say what is averaged how.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask
from core.errors import ConfigError
from core.images import ImageSize
from core.inference.bootstrap import BootstrapConfig, Interval, Intervals, bootstrap
from core.inference.boundaries import BAND_SHARE, CASES, BoundaryScore, band_width, measure_boundaries
from core.inference.metrics import ConfusionMatrix, PixelCounts, mean_of, nan_to_none
from core.inference.objects import MATCH_IOU, Connectivity, ObjectCounts, measure_objects

Json = dict[str, Any]


@dataclass(frozen=True)
class ScoreConfig:
    """band_share: width of the bands of boundary IoU, of the picture's diagonal. connectivity: of objects.

    pixel_size: length of a pixel's side in `unit`, where it is known; distances are then said in both.
    """

    band_share: float = BAND_SHARE
    connectivity: Connectivity = 8
    bootstrap: BootstrapConfig = field(default_factory=BootstrapConfig)
    pixel_size: float | None = None
    unit: str = "px"

    def __post_init__(self) -> None:
        if not 0 < self.band_share <= 1:
            raise ConfigError(f"A band of {self.band_share} of the diagonal is not possible.", hint="Choose 0.02.")
        if self.connectivity not in (4, 8):
            raise ConfigError(f"Pixels do not have {self.connectivity} neighbours.", hint="Choose 4 or 8.")
        if self.pixel_size is not None and not 0 < self.pixel_size < float("inf"):
            raise ConfigError(f"A pixel size of {self.pixel_size} is not possible.")


class PictureScore(NamedTuple):
    """One picture. pixels: of each class, (C,). boundaries, objects: of each label, background left out, (C - 1,)."""

    name: str
    pixels: PixelCounts
    boundaries: tuple[BoundaryScore, ...]
    objects: ObjectCounts


class Scores:
    """What was counted on the pictures given to `add`, in class ids of `labels`."""

    def __init__(self, labels: LabelSet, config: ScoreConfig | None = None) -> None:
        self.labels = labels
        self.config = config or ScoreConfig()
        self.matrix = ConfusionMatrix(len(labels))
        self.pictures: list[PictureScore] = []

    def add(self, name: str, truth: Mask, prediction: Mask) -> None:
        """Count one picture; where truth is 255 (not labelled) nothing counts.

        Raises ValueError when the sizes differ or a class id is not in the labels.
        """
        classes = len(self.labels)
        matrix = ConfusionMatrix(classes)
        matrix.add(truth, prediction)
        self.matrix.merge(matrix)
        band = band_width(ImageSize(*truth.shape), self.config.band_share)
        boundaries = measure_boundaries(truth, prediction, classes, band=band)
        objects = measure_objects(truth, prediction, classes, connectivity=self.config.connectivity)
        self.pictures.append(PictureScore(name, matrix.pixels, tuple(boundaries), objects))

    def merge(self, other: "Scores") -> None:
        """Add the pictures of `other`, which were measured in the same labels."""
        self.matrix.merge(other.matrix)
        self.pictures += other.pictures

    def objects(self) -> ObjectCounts:
        """Of each label over the set, (C - 1,)."""
        return ObjectCounts(*(counts.sum(axis=0) for counts in self._objects()))

    def boundaries(self) -> list["BoundarySummary"]:
        """Of each label over the set."""
        return [_summary([picture.boundaries[i] for picture in self.pictures]) for i in range(len(self.labels) - 1)]

    def intervals(self) -> Intervals | None:
        """Of the figures of the set; None for fewer than five pictures. Drawn anew each time."""
        pixels = PixelCounts(*_stacked([picture.pixels for picture in self.pictures], len(self.labels)))
        return bootstrap(pixels, self._objects(), self.config.bootstrap)

    def _objects(self) -> ObjectCounts:
        """(pictures, C - 1)."""
        return ObjectCounts(*_stacked([picture.objects for picture in self.pictures], len(self.labels) - 1))

    def to_json(self, *, per_picture: bool = True) -> Json:
        """All of it; what ConfusionMatrix.to_json gives is where it gives it. None where a figure is undefined.

        Background, the first class, has neither "boundary" nor "objects". An interval is [low, high].
        """
        objects, intervals, config = self.objects(), self.intervals(), self.config
        found = self.matrix.to_json(self.labels)
        for i, name in enumerate(self.labels.names):
            found["classes"][name]["iou_interval"] = _pair(intervals.iou[i] if intervals else None)
            found["classes"][name]["dice_interval"] = _pair(intervals.dice[i] if intervals else None)
        boundaries = self.boundaries()
        for i, name in enumerate(self.labels.names[1:]):
            f1 = _pair(intervals.object_f1[i] if intervals else None)
            found["classes"][name]["boundary"] = boundaries[i].to_json(config)
            found["classes"][name]["objects"] = {**_objects_json(objects, i), "f1_interval": f1}
        together = ObjectCounts(*(counts.sum(keepdims=True) for counts in objects))
        found["boundary_iou_mean_of_labels"] = mean_of(boundary.iou for boundary in boundaries)
        found["objects_of_all_labels"] = _objects_json(together, 0)
        found["intervals"] = _intervals_json(intervals)
        pictures = [self._picture_json(picture) for picture in self.pictures]
        means = ("mean_iou", "mean_iou_foreground", "mean_dice", "mean_dice_foreground")
        found["mean_of_pictures"] = {key: mean_of(picture[key] for picture in pictures) for key in means}
        found["measured"] = {"pictures": len(pictures), "object_iou_above": MATCH_IOU, **asdict(config)}
        if per_picture:
            found["per_picture"] = pictures
        return found

    def _picture_json(self, picture: PictureScore) -> Json:
        classes: dict[str, Json] = {**picture.pixels.to_json(self.labels)}
        for i, (name, boundary) in enumerate(zip(self.labels.names[1:], picture.boundaries, strict=True)):
            distances = _distances_json(boundary.hausdorff_95, boundary.mean_distance, self.config)
            classes[name]["boundary"] = {"case": boundary.case, "iou": boundary.iou, **distances}
            classes[name]["objects"] = _objects_json(picture.objects, i)
        iou, dice = nan_to_none(picture.pixels.iou()), nan_to_none(picture.pixels.dice())
        return {
            "name": picture.name,
            "mean_iou": mean_of(iou),
            "mean_iou_foreground": mean_of(iou[1:]),
            "mean_dice": mean_of(dice),
            "mean_dice_foreground": mean_of(dice[1:]),
            "classes": classes,
        }


class BoundarySummary(NamedTuple):
    """The borders of one label in a set.

    iou: of the bands of all pictures added up. The others are means over pictures: iou_of_pictures over those with a
    band, the distances, in pixels, over those where both have the label. cases: how many pictures there are of each.
    """

    iou: float | None
    iou_of_pictures: float | None
    hausdorff_95: float | None
    mean_distance: float | None
    cases: dict[str, int]

    def to_json(self, config: ScoreConfig) -> Json:
        return {
            "iou": self.iou,
            "iou_mean_of_pictures": self.iou_of_pictures,
            **{
                f"{key}_mean_of_pictures": value
                for key, value in _distances_json(self.hausdorff_95, self.mean_distance, config).items()
            },
            "pictures": self.cases,
        }


def _summary(scores: list[BoundaryScore]) -> BoundarySummary:
    shared, either = sum(score.shared for score in scores), sum(score.either for score in scores)
    return BoundarySummary(
        iou=shared / either if either else None,
        iou_of_pictures=mean_of(score.iou for score in scores),
        hausdorff_95=mean_of(score.hausdorff_95 for score in scores),
        mean_distance=mean_of(score.mean_distance for score in scores),
        cases={case: sum(score.case == case for score in scores) for case in CASES},
    )


def _stacked(counts: Sequence[PixelCounts | ObjectCounts], width: int) -> NDArray[np.int64]:
    """(3, pictures, width)."""
    return np.array(counts, np.int64).reshape(-1, 3, width).transpose(1, 0, 2)


def _distances_json(hausdorff_95: float | None, mean_distance: float | None, config: ScoreConfig) -> Json:
    """In pixels, and in the project's unit, None where the size of a pixel is not known."""
    named = {"hausdorff_95": hausdorff_95, "mean_distance": mean_distance}
    size = config.pixel_size
    in_unit = {key: None if value is None or size is None else value * size for key, value in named.items()}
    return {**{f"{key}_px": value for key, value in named.items()}, **{f"{k}_unit": v for k, v in in_unit.items()}}


def _objects_json(counts: ObjectCounts, label: int) -> Json:
    one = ObjectCounts(*(column[label : label + 1] for column in counts))
    ratios = {"precision": one.precision(), "recall": one.recall(), "f1": one.f1()}
    return {
        **{name: int(column[0]) for name, column in one._asdict().items()},
        **{name: nan_to_none(values)[0] for name, values in ratios.items()},
    }


def _intervals_json(found: Intervals | None) -> Json:
    names = ("mean_iou", "mean_iou_foreground", "mean_dice", "mean_dice_foreground", "all_objects_f1")
    return {name: _pair(getattr(found, name) if found else None) for name in names}


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
