"""pycocotools, the reader that COCO's makers wrote, without the warning that it draws from numpy 2."""

import io
import json
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as pycoco
from pycocotools.coco import COCO

from core.annotation.shapes import Region


def decode(segmentation: Any, height: int, width: int) -> Region:
    """Polygons (their union), runs or compressed runs as (height, width) bool."""
    runs = segmentation
    if isinstance(segmentation, list):
        runs = pycoco.merge(pycoco.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        runs = pycoco.frPyObjects(segmentation, height, width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pycoco.decode(runs).astype(bool)


def encode(region: Region) -> dict[str, Any]:
    runs = pycoco.encode(np.asfortranarray(region.astype(np.uint8)))
    return {"size": runs["size"], "counts": runs["counts"].decode()}


def open_coco(data: bytes, folder: Path) -> COCO:
    """A file as pycocotools opens it."""
    path = folder / "instances.json"
    path.write_bytes(data)
    with redirect_stdout(io.StringIO()):
        return COCO(str(path))


def masks_of(coco: COCO) -> dict[str, list[Region]]:
    """The objects of each picture in the order of the file."""
    found: dict[str, list[Region]] = {}
    for image in coco.dataset["images"]:
        assert json.dumps(image, allow_nan=False)
        objects = [item for item in coco.dataset["annotations"] if item["image_id"] == image["id"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            found[image["file_name"]] = [coco.annToMask(item).astype(bool) for item in objects]
    return found
