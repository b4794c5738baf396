"""A Prediction as files: mask, overlay, Labelme, GeoJSON, measured objects; a zip of several with their areas."""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

from core.annotation.labels import LabelSet
from core.annotation.overlay import overlay
from core.annotation.raster import Mask, class_pixels, count_objects, mask_to_shapes
from core.annotation.shapes import Annotation
from core.errors import ConfigError
from core.files import safe_name, unused_name, write_bytes
from core.formats.class_table import write_class_table
from core.formats.geojson_write import annotation_geojson
from core.formats.labelme import write_labelme
from core.formats.mask_png import write_mask_png
from core.images import RGB, ImageSize, encode_jpeg
from core.inference.measure import ObjectMeasure, measure
from core.inference.measure_table import measures_csv
from core.inference.predict import Prediction

PREDICTION_FORMATS: Final = ("mask", "overlay", "labelme", "geojson", "csv")
USUAL_FORMATS: Final = ("mask", "overlay", "labelme")
MAX_OBJECTS: Final = 1000  # a Labelme file of more shapes than this opens slowly and nobody edits them one by one


class ClassArea(TypedDict):
    """The pixels of one class and their share of the picture, 0 to 1."""

    name: str
    pixels: int
    share: float


class Predicted(NamedTuple):
    """A picture with its Prediction. image_name: its file name with suffix."""

    image_name: str
    image: RGB
    prediction: Prediction


def class_areas(mask: Mask, labels: LabelSet) -> list[ClassArea]:
    """The area of each class in the order of `labels`, background first."""
    counts = class_pixels(mask, range(len(labels)))
    return [
        ClassArea(name=name, pixels=counts[class_id], share=counts[class_id] / max(mask.size, 1))
        for class_id, name in enumerate(labels.names)
    ]


def prediction_to_annotation(prediction: Prediction, labels: LabelSet) -> Annotation:
    """Shapes of type mask that paint exactly the predicted mask: one an object, or one a class above MAX_OBJECTS."""
    mask = prediction.mask
    objects = sum(count_objects(mask == class_id) for class_id in range(1, len(labels)))
    shapes = mask_to_shapes(mask, labels, split_objects=objects <= MAX_OBJECTS)
    return Annotation(size=ImageSize(*mask.shape), shapes=shapes)


def write_prediction(
    prediction: Prediction,
    image: RGB,
    *,
    name: str,
    image_name: str,
    labels: LabelSet,
    folder: Path,
    formats: Sequence[str] = USUAL_FORMATS,
) -> list[Path]:
    """Write `<name>.png` (mask), `<name>_overlay.jpg`, `<name>.json` (Labelme), `<name>.geojson` (in pixels) and
    `<name>_objects.csv` to `folder`, as far as `formats` asks, and return their paths.

    image_name: what Labelme shall open, as a path from `folder`.  formats: which of PREDICTION_FORMATS.
    Raises ConfigError for another format, WriteError.
    """
    paths = []
    for suffix, data in prediction_files(Predicted(image_name, image, prediction), labels, formats):
        path = folder / f"{safe_name(name)}{suffix}"
        write_bytes(path, data)
        paths.append(path)
    return paths


def prediction_zip(
    predicted: Iterable[Predicted], labels: LabelSet, *, formats: Sequence[str] = USUAL_FORMATS
) -> bytes:
    """A zip with the files of each picture, `classes.json` (index, name, colour) and `areas.csv`."""
    buffer, used, table = io.BytesIO(), set[str](), list[tuple[str, ClassArea]]()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG and JPEG are packed already
        for item in predicted:
            name = unused_name(safe_name(Path(item.image_name).stem), used)
            used.add(name.casefold())
            for suffix, data in prediction_files(item, labels, formats):
                packing = zipfile.ZIP_DEFLATED if suffix == ".json" else zipfile.ZIP_STORED
                archive.writestr(name + suffix, data, packing)
            table += [(item.image_name, area) for area in class_areas(item.prediction.mask, labels)]
        archive.writestr("classes.json", write_class_table(labels))
        archive.writestr("areas.csv", areas_csv(table))
    return buffer.getvalue()


def prediction_files(item: Predicted, labels: LabelSet, formats: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """What is added to the picture's name, and the file's bytes. Raises ConfigError for an unknown format."""
    for name in formats:
        match name:
            case "mask":
                yield ".png", write_mask_png(item.prediction.mask, labels)
            case "overlay":
                yield "_overlay.jpg", encode_jpeg(overlay(item.image, item.prediction.mask, labels))
            case "labelme":
                annotation = prediction_to_annotation(item.prediction, labels)
                yield ".json", write_labelme(annotation, image_path=item.image_name)
            case "geojson":
                annotation = prediction_to_annotation(item.prediction, labels)
                yield ".geojson", annotation_geojson(annotation, labels)
            case "csv":
                yield "_objects.csv", measures_csv(_objects(item, labels))
            case _:
                raise ConfigError(f"There is no format {name!r}.", hint=f"Choose of {', '.join(PREDICTION_FORMATS)}.")


def _objects(item: Predicted, labels: LabelSet) -> list[ObjectMeasure]:
    return measure(item.prediction.mask, labels, image=item.image, confidence=item.prediction.confidence)


def areas_csv(table: Iterable[tuple[str, ClassArea]]) -> bytes:
    """A row for each picture and class: picture, label, pixels, share."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("picture", "label", "pixels", "share"))
    for picture, area in table:
        writer.writerow((picture, area["name"], area["pixels"], f"{area['share']:.6f}"))
    return text.getvalue().encode("utf-8-sig", "replace")  # the mark tells Excel that it is UTF-8
