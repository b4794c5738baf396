"""A Sample's document opened for the editor: under the Project's lock, and with the size of its picture."""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from core.errors import ReadError
from core.files import locked
from core.formats.labelme import UNKNOWN_SIZE
from core.images import ImageSize, probe_image
from core.project.document import Document, Place, open_document
from core.project.kept_documents import Signature, signature_of
from core.project.project import Project


def lock(project: Project) -> AbstractContextManager[None]:
    """Held while the files of a Sample are read or written together."""
    return locked(project.folder / ".lock")


def open_sample(project: Project, sample: str) -> Document:
    """The document of a Sample as its files are now. Raises ReadError."""
    place = project.place(sample)
    with lock(project):
        return opened(place)


def opened(place: Place) -> Document:
    """The same within the lock."""
    return fitted(open_document(place))


def fitted(document: Document) -> Document:
    """The document with the size of its picture. Raises ReadError when it was drawn for another."""
    place = document.place
    size = _picture_size(place.image, signature_of(place.image))
    if document.rest.size == UNKNOWN_SIZE:
        return replace(document, rest=replace(document.rest, size=size))
    if document.rest.size != size:
        raise ReadError(
            f"The annotation of {place.sample} is for a picture of {document.rest.size}, the picture has {size}.",
            hint="It was probably resized after annotating. Import the original picture.",
        )
    return document


@lru_cache(maxsize=256)
def _picture_size(image: Path, _: Signature) -> ImageSize:
    return probe_image(image).size
