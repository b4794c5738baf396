"""Formats by name: how to know, read and write each. The first that fits a Source is taken: the choosy come first."""

from collections.abc import Mapping
from typing import Final

from core.errors import ReadError
from core.formats.coco import is_coco_source, read_coco
from core.formats.coco_write import write_coco
from core.formats.cvat import is_cvat_source, read_cvat
from core.formats.cvat_write import write_cvat
from core.formats.dataset import Format
from core.formats.eiseg import is_eiseg_source, read_eiseg
from core.formats.geojson import is_geojson_source, is_own_geojson, read_geojson
from core.formats.geojson_write import write_geojson
from core.formats.label_studio import is_label_studio_source, read_label_studio
from core.formats.label_studio_write import write_label_studio
from core.formats.labelme import is_labelme_source
from core.formats.labelme_export import write_labelme_folder
from core.formats.labelme_folder import read_labelme_folder
from core.formats.mask_dataset import read_mask_folder, write_mask_folder
from core.formats.mask_folder import is_mask_source
from core.formats.source import Source, is_picture_source
from core.formats.voc import is_voc_source, read_voc
from core.formats.voc_write import voc_picture_path, write_voc
from core.formats.yolo import is_yolo_source, read_yolo, write_yolo, yolo_picture_path


def _is_masks(source: Source) -> bool:
    """Pictures named as masks are none where our own GeoJSON lies beside them."""
    return is_mask_source(source) and not is_own_geojson(source)


FORMATS: Final[Mapping[str, Format]] = {
    "labelme": Format("Labelme", is_labelme_source, read_labelme_folder, write_labelme_folder),
    "coco": Format("COCO", is_coco_source, read_coco, write_coco),
    "labelstudio": Format("Label Studio", is_label_studio_source, read_label_studio, write_label_studio),
    "eiseg": Format("EISeg", is_eiseg_source, read_eiseg),
    "cvat": Format("CVAT for images", is_cvat_source, read_cvat, write_cvat),
    "voc": Format("Pascal VOC", is_voc_source, read_voc, write_voc, voc_picture_path),
    "yolo": Format("YOLO", is_yolo_source, read_yolo, write_yolo, yolo_picture_path),
    "masks": Format("Mask pictures", _is_masks, read_mask_folder, write_mask_folder),
    # after masks: many sets of mask pictures carry the outlines that these were made of along
    "geojson": Format("GeoJSON", is_geojson_source, read_geojson, write_geojson),
    "images": Format("Pictures only", is_picture_source),
}


def detect(source: Source) -> str:
    """The name of the format of a Source. Raises ReadError when it holds nothing that can be read."""
    found = next((name for name, format in FORMATS.items() if format.fits(source)), None)
    if found is None:
        raise ReadError(
            f"{source.title} holds no picture and no labels in a format that is known here.",
            hint=" ".join(source.refused[:3])
            or "Choose pictures (JPEG, PNG, TIFF, BMP, WebP), with their labels: "
            + ", ".join(format.title for name, format in FORMATS.items() if name != "images")
            + ".",
        )
    return found
