"""A Prediction as the body of an answer: the formats that `POST /predict` knows."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from core.annotation.labels import LabelSet
from core.annotation.overlay import overlay
from core.files import safe_name
from core.formats.labelme import write_labelme
from core.formats.mask_png import write_mask_png
from core.images import RGB, encode_jpeg
from core.inference.export import class_areas, prediction_to_annotation
from core.inference.measure import measure
from core.inference.predict import Prediction

MOST_OBJECTS: Final = 10_000  # told one by one; "objects_found" counts all


class Answered(NamedTuple):
    """What a format is made of.  file_name: of the picture, a safe name.  data: its bytes as they came."""

    prediction: Prediction
    image: RGB
    data: bytes
    file_name: str
    model: str
    labels: LabelSet


class AnswerFormat(NamedTuple):
    """about: one line for the documentation.  ending: added to the picture's name without suffix."""

    media_type: str
    ending: str
    about: str
    write: Callable[[Answered], bytes]


def safe_file_name(text: str | None) -> str:
    """The last part of a file name that a client sent, never a path; "picture" without one."""
    last = PurePosixPath((text or "").replace("\\", "/")).name
    return safe_name(last) if last.strip(" .") else "picture"


def disposition(file_name: str, format: AnswerFormat) -> str:
    """The header that names the answer for who saves it."""
    name = PurePosixPath(file_name).stem + format.ending
    return f"inline; filename*=UTF-8''{quote(name, safe='')}"


def _mask(answered: Answered) -> bytes:
    return write_mask_png(answered.prediction.mask, answered.labels)


def _overlay(answered: Answered) -> bytes:
    return encode_jpeg(overlay(answered.image, answered.prediction.mask, answered.labels))


def _labelme(answered: Answered) -> bytes:
    annotation = prediction_to_annotation(answered.prediction, answered.labels)
    return write_labelme(annotation, image_path=answered.file_name)


def _geojson(answered: Answered) -> bytes:
    from core.formats.dataset import ExportItem
    from core.formats.geojson_write import write_geojson

    annotation = prediction_to_annotation(answered.prediction, answered.labels)
    item = ExportItem("", answered.file_name, annotation, None, lambda: answered.data)
    files = _Files()
    write_geojson([item], answered.labels, files)
    return files.last


def _json(answered: Answered) -> bytes:
    height, width = answered.prediction.mask.shape
    objects = measure(
        answered.prediction.mask, answered.labels, image=answered.image, confidence=answered.prediction.confidence
    )
    value = {
        "model": answered.model,
        "picture": answered.file_name,
        "width": width,
        "height": height,
        "areas": class_areas(answered.prediction.mask, answered.labels),
        "objects_found": len(objects),
        "objects": [_plain(asdict(one)) for one in objects[:MOST_OBJECTS]],
    }
    return json.dumps(value, ensure_ascii=False).encode()


def _plain(measured: dict[str, Any]) -> dict[str, Any]:
    """An object as JSON, its box by names."""
    return {**measured, "box": measured["box"]._asdict()}


class _Files:
    """An Archive that keeps the file which was added last: of a GeoTIFF, the one in its map's coordinates."""

    last = b""

    def add(self, name: str, data: bytes) -> None:
        self.last = data


FORMATS: Final[Mapping[str, AnswerFormat]] = {
    "png": AnswerFormat("image/png", ".png", "the mask: indexed PNG, the pixel's value is the class id", _mask),
    "overlay": AnswerFormat("image/jpeg", "_overlay.jpg", "the picture with the classes in their colours", _overlay),
    "labelme": AnswerFormat("application/json", ".json", "Labelme JSON, a mask shape for each object", _labelme),
    "geojson": AnswerFormat(
        "application/geo+json", ".geojson", "polygons, in pixels; of a GeoTIFF in its map's coordinates", _geojson
    ),
    "json": AnswerFormat("application/json", "_measured.json", "area of each label, and each object measured", _json),
}
