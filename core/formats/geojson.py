"""GeoJSON read: in pixels (QuPath's way) and on the map (QGIS's way), of one picture or of many (FORMATS 3.6)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

import numpy as np

from core.annotation.labels import BACKGROUND, IGNORE, Color
from core.annotation.shapes import Annotation, Shape
from core.errors import ReadError
from core.formats.dataset import LabelEntry, PictureAnnotation, Reading, SizeOf
from core.formats.geo import GeoReference, read_geo, world_file_of
from core.formats.geojson_feature import Feature, Piece, label_of
from core.formats.geojson_place import OWN_KEY, Collection, Placement, looks_like_geojson, place, read_collection
from core.formats.geojson_shape import NO_LABEL, feature_shapes
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.labelme_shape import BrokenShapeError
from core.formats.note import Note
from core.formats.reading import MaskRoom
from core.formats.source import Source, SourceFile
from core.images import ImageSize

_SUFFIXES: Final = (".geojson", ".json")
_HEAD: Final = 2000  # bytes, in which our own export says that it is one
_OUTSIDE: Final = Note(
    "ignored", "a shape outside of the picture was left out", "# shapes outside of their pictures were left out"
)
_IMAGE_KEYS: Final = ("image", "image_name", "imageName")


@dataclass(frozen=True)
class _Pairing:
    """A file and the picture it is for.  image: the name by which features choose it, None when all are for it.

    many: one of several pictures on the map that the file covers, so that what lies outside of it is no loss.
    """

    file: SourceFile
    picture: str
    image: str | None = None
    many: bool = False
    doubtful: bool = False


def is_geojson_source(source: Source) -> bool:
    """Whether at least one file of the Source is GeoJSON; a damaged .geojson counts."""
    for file in source.files:
        if file.suffix in _SUFFIXES:
            try:
                data = file.read()
            except ReadError:
                continue
            if looks_like_geojson(data) or (file.suffix == ".geojson" and data.lstrip()[:1] in (b"{", b"[")):
                return True
    return False


def is_own_geojson(source: Source) -> bool:
    """Whether a Source holds GeoJSON that was exported here: it says so in its head."""
    files = [file for file in source.files if file.suffix in _SUFFIXES and file.size]
    for file in files:
        try:
            if f'"{OWN_KEY}"'.encode() in file.read()[:_HEAD] and looks_like_geojson(file.read()):
                return True
        except ReadError:
            continue
    return False


# ------------------------------------------------------------------------------------------------------------ reading


def read_geojson(source: Source, size_of: SizeOf) -> Reading:
    """Read all GeoJSON of a Source. Raises ReadError when none of it can be read.

    A file belongs to the picture of its name, to those that its features name, or, on the map, to all it lies on.
    """
    atlas = _Atlas(source, size_of)
    pairings: dict[str, list[_Pairing]] = {}
    labels: dict[str, Color | None] = {}
    notes: list[Note] = []
    pure = 0
    for file in source.files:
        if file.suffix not in _SUFFIXES:
            continue
        try:
            collection = atlas.collection(file)
        except ReadError as error:
            if file.suffix == ".geojson":
                notes.append(Note("error", str(error).rstrip(".")))
            continue
        pure += 1
        labels.update({name: color or labels.get(name) for name, color in collection.labels.items()})
        for pairing in _pair(file, collection, atlas):
            pairings.setdefault(pairing.picture, []).append(pairing)
    if not pure:
        raise ReadError(
            notes[0].text + "." if notes else f"{source.title} holds no GeoJSON.",
            hint="Choose files that end in .geojson.",
        )
    entries = tuple(LabelEntry(name, color) for name, color in labels.items() if name not in (BACKGROUND, IGNORE))
    return Reading(entries, (_read_picture(group, atlas) for group in pairings.values()), tuple(notes))


class _Atlas:
    """The pictures and collections of a Source, read when asked for; the last ones are kept."""

    def __init__(self, source: Source, size_of: SizeOf) -> None:
        self.source = source
        self.pictures = {file.name: file for file in source.pictures()}
        self.size_of = size_of
        self._by_name: dict[str, list[SourceFile]] = {}  # by name and by stem, in small letters
        for file in self.pictures.values():
            for key in dict.fromkeys((file.base.casefold(), file.stem.casefold())):
                self._by_name.setdefault(key, []).append(file)
        self.collection: Callable[[SourceFile], Collection] = lru_cache(maxsize=4)(
            lambda file: read_collection(file.read(), file.name)
        )
        self.geo: Callable[[str], GeoReference | None] = lru_cache(maxsize=None)(self._read_geo)

    def size(self, picture: str) -> ImageSize:
        info = self.size_of(picture)
        return info.size if info else UNKNOWN_SIZE

    def named(self, stem: str) -> str | None:
        """The only picture of a stem (or whole name), in any folder."""
        candidates = self._by_name.get(stem.casefold(), [])
        keys: tuple[Callable[[SourceFile], str], ...] = (lambda file: file.base, lambda file: file.stem)
        for key in keys:
            found = [file for file in candidates if key(file).casefold() == stem.casefold()]
            if len(found) > 1:  # A.png may lie beside a.png
                found = [file for file in found if key(file) == stem]
            if len(found) == 1:
                return found[0].name
        return None

    def _read_geo(self, picture: str) -> GeoReference | None:
        file = self.pictures.get(picture)
        world = world_file_of(file, self.source) if file else None
        if file is None or (world is None and file.suffix not in (".tif", ".tiff")):
            return None
        try:
            return read_geo(file.read(), world.read() if world else None)
        except ReadError:
            return None


def _pair(file: SourceFile, collection: Collection, atlas: _Atlas) -> Iterator[_Pairing]:
    images = dict.fromkeys(name for feature in collection.features if (name := _image_of(feature)))
    if images:
        for image in images:
            path = PureWindowsPath(image).as_posix()
            found = path if path in atlas.pictures else atlas.named(PurePosixPath(path).name)
            yield _Pairing(file, found or path, image)
        if all(map(_image_of, collection.features)):
            return
    rest = "" if images else None  # features that name no picture
    yield from (replace(pairing, image=rest) for pairing in _pair_whole(file, collection, atlas))


def _pair_whole(file: SourceFile, collection: Collection, atlas: _Atlas) -> Iterator[_Pairing]:
    if found := atlas.named(file.stem):
        yield _Pairing(file, found)
        return
    lies_on = [name for name in atlas.pictures if collection.meaning != "pixels" and _lies_on(collection, name, atlas)]
    if lies_on:
        yield from (_Pairing(file, name, many=True) for name in lies_on)
    elif len(atlas.pictures) == 1 and sum(other.suffix == ".geojson" for other in atlas.source.files) <= 1:
        yield _Pairing(file, next(iter(atlas.pictures)), doubtful=True)
    else:
        yield _Pairing(file, file.name.removesuffix(PurePosixPath(file.name).suffix))


def _lies_on(collection: Collection, picture: str, atlas: _Atlas) -> bool:
    geo = atlas.geo(picture)
    try:
        return geo is not None and place(collection, geo, atlas.size(picture)).on_map
    except ReadError:
        return False


def _image_of(feature: Feature) -> str:
    values = (feature.properties.get(key) for key in _IMAGE_KEYS)
    return next((value for value in values if isinstance(value, str) and value.strip()), "")


def _read_picture(group: list[_Pairing], atlas: _Atlas) -> PictureAnnotation:
    """All files of one picture. What is wrong with a file or a feature is a note."""
    picture = group[0].picture
    size = atlas.size(picture)
    shapes: list[Shape] = []
    notes: list[Note] = []
    read = list(_collections(group, atlas, notes))
    if any(collection.meaning == "pixels" for _, collection in read):  # our own export says all of it twice
        read = [(pairing, collection) for pairing, collection in read if collection.meaning != "map"]
    for pairing, collection in read:
        if size == UNKNOWN_SIZE:
            size = collection.size
        try:
            if collection.size not in (UNKNOWN_SIZE, size):
                raise ReadError(
                    f"{collection.name} was made for a picture of {collection.size}, its picture has {size}.",
                    hint="It was probably resized after annotating. Import the original picture.",
                )
            placement = place(collection, atlas.geo(picture), size)
        except ReadError as error:
            notes.append(Note("error", str(error).rstrip(".")))
            continue
        if pairing.doubtful:
            notes.append(Note("assumed", "it was taken for the only picture, though their names differ"))
        notes += placement.notes
        _read_shapes(_chosen(collection, pairing, placement, size), size, shapes, notes)
    name = ", ".join(collection.name for _, collection in read) or group[0].file.name
    return PictureAnnotation(picture, Annotation(size=size, shapes=tuple(shapes)), name, tuple(notes))


def _collections(group: list[_Pairing], atlas: _Atlas, notes: list[Note]) -> Iterator[tuple[_Pairing, Collection]]:
    for pairing in group:
        try:
            yield pairing, atlas.collection(pairing.file)
        except ReadError as error:  # gone since
            notes.append(Note("error", str(error).rstrip(".")))


def _chosen(collection: Collection, pairing: _Pairing, placement: Placement, size: ImageSize) -> Iterator[Feature]:
    """The features for the picture, in its pixels."""
    features = [one for one in collection.features if pairing.image is None or _image_of(one) == pairing.image]
    rings = [ring for feature in features for piece in feature.pieces for ring in piece.rings]
    ends = np.cumsum([len(ring) for ring in rings])
    moved = iter(np.split(placement.to_pixels(np.concatenate(rings)), ends[:-1]) if rings else ())
    for feature in features:
        pieces = tuple(piece._replace(rings=tuple(next(moved) for _ in piece.rings)) for piece in feature.pieces)
        if not _is_outside(feature, pieces, size):
            yield feature._replace(pieces=pieces)
        elif not pairing.many:
            yield feature._replace(pieces=(), problem=_OUTSIDE)


def _is_outside(feature: Feature, pieces: Sequence[Piece], size: ImageSize) -> bool:
    """Whether a foreign feature lies wholly outside of its picture; what we wrote may do so."""
    if not size.pixels or OWN_KEY in feature.properties or not pieces:
        return False
    points = np.concatenate([ring for piece in pieces for ring in piece.rings])
    return not ((points.max(axis=0) >= 0).all() and (points.min(axis=0) <= (size.width, size.height)).all())


def _read_shapes(features: Iterator[Feature], size: ImageSize, shapes: list[Shape], notes: list[Note]) -> None:
    """Add the Shapes of `features` to `shapes`."""
    room = MaskRoom()
    group_id = max((shape.group_id or 0 for shape in shapes), default=0)
    for feature in features:
        try:
            if feature.problem:
                notes.append(feature.problem)
                continue
            found = feature_shapes(feature, size)
            room.take(*found)
        except BrokenShapeError as error:
            notes.append(error.note)
            continue
        if len(found) > 1:  # one object
            group_id += 1
            found = [replace(shape, group_id=group_id) for shape in found]
        shapes += found
        if not label_of(feature.properties)[0]:
            notes.append(
                Note(
                    "assumed",
                    f"a shape has no class and was called {NO_LABEL!r}",
                    f"# shapes have no class and were called {NO_LABEL!r}",
                )
            )
