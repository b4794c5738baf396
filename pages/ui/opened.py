"""The picture that Annotate shows and its Annotation, read once for all reruns and sessions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.annotation.raster import Mask, annotation_to_mask
from core.annotation.shapes import Annotation
from core.errors import ReadError
from core.images import RGB, ImageSize, read_image
from core.project.project import Project
from core.project.sample import Stamp, stamp_of
from pages.ui import cached

_images: Final = cached.Shelf[RGB](limit=400_000_000)
_drawings: Final = cached.Shelf["Drawing"](limit=200_000_000)


@dataclass(frozen=True)
class Drawing:
    """An Annotation and what it paints; an empty one where nothing is drawn yet."""

    annotation: Annotation
    mask: Mask
    stamp: Stamp


def image_of(project: Project, file: str) -> RGB:
    """The picture in `file` of the Project, (H, W, 3). Raises ReadError."""
    path = project.images / file
    key = f"{path}:{cached.stamp_of(path)}:{project.settings.intensity}"
    image = _images.get(key)
    if image is None:
        image = read_image(path, intensity=project.settings.intensity)
        _images.put(key, image, image.nbytes)
    return image


def drawing_of(project: Project, sample: str, size: ImageSize) -> Drawing:
    """What is drawn on a picture of `size`. Raises ReadError for a damaged file and one for another size."""
    return drawing_in(project, project.annotation_path(sample), size)


def drawing_in(project: Project, path: Path, size: ImageSize) -> Drawing:
    """The same for one file: the present Annotation or one of the history."""
    key = f"{path}:{cached.stamp_of(path)}:{size}:{project.settings.labels.names}"
    drawing = _drawings.get(key)
    if drawing is None:
        drawing = _read(project, path, size)
        _drawings.put(key, drawing, drawing.mask.nbytes)
    return drawing


def _read(project: Project, path: Path, size: ImageSize) -> Drawing:
    found = project.read_annotation_file(path)
    annotation = Annotation(size=size) if found is None else found
    if annotation.size != size:
        raise ReadError(
            f"The annotation is for a picture of {annotation.size}, this one has {size}.",
            hint="The picture was probably resized after annotating. Import the original one.",
        )
    return Drawing(annotation, annotation_to_mask(annotation, project.settings.labels), stamp_of(found))
