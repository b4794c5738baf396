"""A Project is a folder of plain files (see core/README.md, "State on disk"); this is the only door to it."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from core.annotation.labels import Color, Label, LabelSet
from core.annotation.raster import Mask, annotation_to_mask
from core.annotation.shapes import Annotation
from core.errors import ConfigError, ReadError, UserError
from core.files import locked, natural_key, read_json, safe_name, unused_name, write_bytes, write_json
from core.formats.labelme import read_labelme
from core.images import IMAGE_SUFFIXES, MAX_PIXELS, RGB, ImageInfo, IntensityRule, probe_image, read_image
from core.project.document import Origins, Place
from core.project.index import Index
from core.project.sample import STATES, Origin, Sample, SampleState, samples_in, stamp_of
from core.project.split import set_groups
from core.project.whole_save import save_whole
from core.windowed import check_windowed

SCHEMA: Final = 1
PRESET_NAMES: Final = ("satellite", "medical", "cell", "industrial", "general")


class AddedImage(NamedTuple):
    """What became of a picture given to `Project.add_image`."""

    sample: str
    existed: bool  # the very same bytes were here already; nothing was added
    renamed: bool  # its name was taken by another picture


@dataclass(frozen=True)
class ProjectSettings:
    """What project.json holds."""

    name: str
    preset: str
    labels: LabelSet
    intensity: IntensityRule = field(default_factory=IntensityRule)
    pixel_size: float | None = None  # length of a pixel's side in `unit`
    unit: str = "px"
    current_model: str | None = None  # folder of the Checkpoint, relative to the Project's

    def __post_init__(self) -> None:
        if self.preset not in PRESET_NAMES:
            raise ConfigError(f"There is no preset {self.preset!r}.", hint=f"Choose one of {', '.join(PRESET_NAMES)}.")
        if self.pixel_size is not None and not self.pixel_size > 0:
            raise ConfigError(f"A pixel size of {self.pixel_size} is not possible.")

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "name": self.name,
            "preset": self.preset,
            "labels": self.labels.to_json(),
            "intensity": self.intensity.to_json(),
            "pixel_size": self.pixel_size,
            "unit": self.unit,
            "current_model": self.current_model,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(
            name=value["name"],
            preset=value["preset"],
            labels=LabelSet.from_json(value["labels"]),
            intensity=IntensityRule.from_json(value["intensity"]),
            pixel_size=value.get("pixel_size"),
            unit=value.get("unit", "px"),
            current_model=value.get("current_model"),
        )


class Project:
    """An open Project. Cheap to open; holds no pictures."""

    def __init__(self, folder: Path, settings: ProjectSettings) -> None:
        self.folder = folder
        self.settings = settings
        self._bulk: _Bulk | None = None

    # ------------------------------------------------------------------------------------------ open and create

    @classmethod
    def create(cls, folder: Path, *, name: str, preset: str = "general", labels: LabelSet | None = None) -> "Project":
        """Make a new Project in `folder`, which must not hold one. Raises ConfigError, WriteError."""
        if (folder / "project.json").exists():
            raise ConfigError(f"{folder} already holds a project.", hint="Open it, or choose another folder.")
        project = cls(folder, ProjectSettings(name=name, preset=preset, labels=labels or LabelSet.of(())))
        write_json(folder / "project.json", project.settings.to_json())
        for part in (project.images, project.annotations):
            part.mkdir(exist_ok=True)
        return project

    @classmethod
    def open(cls, folder: Path) -> "Project":
        """The Project in `folder`. Raises ReadError when there is none."""
        if not (folder / "project.json").is_file():
            raise ReadError(f"{folder} is not a project: it has no project.json.", hint="Create it first.")
        return cls(folder, _read_settings(folder))

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def annotations(self) -> Path:
        return self.folder / "annotations"

    @property
    def history(self) -> Path:
        return self.folder / "history"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    # --------------------------------------------------------------------------------------------------- Samples

    def samples(self) -> list[Sample]:
        """All pictures in natural order of their names."""
        return sorted(self._by_name().values(), key=lambda sample: natural_key(sample.name))

    def sample(self, name: str) -> Sample:
        """Raises ReadError when there is no such picture."""
        found = self._by_name().get(name)
        if found is None:
            raise ReadError(f"There is no picture {name!r} in {self.settings.name}.", hint="It may have been removed.")
        return found

    def has_sample(self, name: str) -> bool:
        return name in self._by_name()

    def add_image(self, data: bytes, *, filename: str, group: str | None = None) -> AddedImage:
        """Put a picture's bytes, untouched, into the Project.

        The bytes must decode (ReadError). The very same bytes are not added twice; a name that another picture has
        gets a number. `group`: pictures of one group stay on one side of the Split.
        """
        if probe_image(data, name=filename).size.pixels > MAX_PIXELS:
            check_windowed(data, self.settings.intensity, name=filename)
        else:
            read_image(data, name=filename, intensity=self.settings.intensity)
        digest = hashlib.sha256(data).hexdigest()
        with locked(self.folder / ".lock"):
            digests = self._bulk.digests if self._bulk else self._digests()
            if digest in digests:
                return AddedImage(digests[digest], existed=True, renamed=False)
            stem, suffix = safe_name(Path(filename).stem), _suffix_of(data, filename)
            taken = self._bulk.taken if self._bulk else {name.casefold() for name in self._by_name()}
            name = unused_name(stem, taken)
            while self._bulk and self._is_on_disk(name):  # of another process that imports into this Project as well
                taken.add(name.casefold())
                name = unused_name(stem, taken)
            image = self.images / (name + suffix)
            write_bytes(image, data, durable=self._bulk is None)
            groups = {name: group or stem} if group is not None or name != stem else {}
            if self._bulk:
                self._bulk.added(name, image, digest, groups)
            else:
                set_groups(self.folder, groups)
        self._changed(name)
        return AddedImage(name, existed=False, renamed=name != stem)

    def remove_sample(self, name: str) -> None:
        """Take a picture out; its files go to `removed/`, from where they can be put back by hand."""
        sample = self.sample(name)
        with locked(self.folder / ".lock"):
            place = self.place_of(sample)
            for path in (place.log, place.history, place.annotation, place.image):
                if path.exists():
                    target = self.folder / "removed" / path.parent.name / path.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if path.is_dir():  # of an earlier picture of this name; a folder is never put over another
                        target = target.with_name(unused_name(target.name, _names_in(target.parent)))
                    os.replace(path, target)
        Index(self).refresh()

    def read_image(self, name: str) -> RGB:
        """The picture as (H, W, 3) uint8, upright, windowed by the Project's rule."""
        return read_image(self.sample(name).image, intensity=self.settings.intensity)

    def image_info(self, name: str) -> ImageInfo:
        return probe_image(self.sample(name).image)

    # ----------------------------------------------------------------------------------------------- Annotations

    def place(self, name: str) -> Place:
        """The files of a Sample. Raises ReadError when there is no such picture."""
        known = self._bulk.names.get(name) if self._bulk else None
        return self.place_of(known or self.sample(name))

    def place_of(self, sample: Sample) -> Place:
        name = sample.name
        log = self.folder / "events" / f"{name}.jsonl"
        return Place(name, sample.image, self.annotation_path(name), log, self.history / name)

    def annotation_path(self, name: str) -> Path:
        return self.annotations / f"{name}.json"

    def read_annotation(self, name: str) -> Annotation | None:
        """The Annotation of a picture, None when there is none. Raises ReadError when the file is damaged."""
        path = self.annotation_path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        return read_labelme(data, name=path.name).annotation

    def annotation_version(self, name: str) -> int:
        """0 without an Annotation; each save adds one. A file that another program wrote has version 0 as well."""
        return stamp_of(self.read_annotation(name)).version

    def save_annotation(
        self,
        name: str,
        annotation: Annotation,
        *,
        author: str,
        state: SampleState = "done",
        base_version: int | None = None,
        source: Origin = "person",
        what: str = "Saved",
    ) -> int:
        """Write an Annotation, keep the one before in the history, and return the new version.

        base_version: the version that the person began from. When another was saved meanwhile, the save is refused
        (StaleSaveError), both are kept, and nothing on the screen of either is lost. source, what: who or what made
        it, in words. Where the Sample has an event log, the save is one event of it, which can be undone.
        """
        if state not in STATES:
            raise ConfigError(f"A picture cannot be {state!r}.", hint=f"Choose one of {', '.join(STATES)}.")
        place = self.place(name)
        with locked(self.folder / ".lock"):
            version = save_whole(
                place,
                annotation,
                Origins(author, what, source),
                state=state,
                base_version=base_version,
                durable=self._bulk is None,
            )
        self._changed(name)
        return version

    def read_mask(self, name: str) -> Mask | None:
        """Class ids of a picture's Annotation, (H, W) uint8; None without one. Raises ReadError when sizes differ."""
        annotation = self.read_annotation(name)
        if annotation is None:
            return None
        size = self.image_info(name).size
        if annotation.size != size:
            raise ReadError(
                f"The annotation of {name} is for a picture of {annotation.size}, the picture has {size}.",
                hint="It was probably resized after annotating. Import the original picture.",
            )
        return annotation_to_mask(annotation, self.settings.labels)

    # -------------------------------------------------------------------------------------------------- settings

    def update_settings(self, **changes: Any) -> None:
        """Change fields of project.json, atomically, on top of what it holds now."""
        with locked(self.folder / ".lock"):
            self._write_settings(replace(_read_settings(self.folder), **changes))

    def _write_settings(self, settings: ProjectSettings) -> None:
        write_json(self.folder / "project.json", settings.to_json())
        self.settings = settings

    def add_labels(self, names: Iterable[str]) -> LabelSet:
        """Add labels at the end of those that are there now; returns the whole set."""
        with locked(self.folder / ".lock"):
            self.settings = _read_settings(self.folder)
            labels = self.settings.labels.with_names(names)
            if labels != self.settings.labels:
                self._write_settings(replace(self.settings, labels=labels))
        return self.settings.labels

    def recolor_label(self, name: str, color: Color) -> None:
        labels = tuple(Label(x.name, color) if x.name == name else x for x in self.settings.labels.labels)
        self.update_settings(labels=LabelSet(labels))

    def rename_label(self, old: str, new: str, *, author: str) -> int:
        """Rename a label here and in each Annotation that uses it; returns how many pictures changed."""
        changed, lock = 0, self.folder / ".lock"
        with self.bulk():
            with locked(lock):
                settings = _read_settings(self.folder)
                labels = tuple(Label(new, x.color) if x.name == old else x for x in settings.labels.labels)
                self._write_settings(replace(settings, labels=LabelSet(labels)))
            for sample in self.samples():
                with locked(lock):  # from reading to writing: a stroke in between would be gone
                    found = self._rename_in(sample.name, old, new, author)
                if found:
                    self._changed(sample.name)
                    changed += 1
        return changed

    def _rename_in(self, name: str, old: str, new: str, author: str) -> bool:
        """Rename a label in one Annotation, with the lock held; False when it is not there."""
        annotation = self.read_annotation(name)
        if annotation is None or old not in annotation.label_names:
            return False
        shapes = tuple(replace(shape, label=new) if shape.label == old else shape for shape in annotation.shapes)
        save_whole(
            self.place(name),
            replace(annotation, shapes=shapes),
            Origins(author, f"Label {old} renamed to {new}", "person"),
            state=stamp_of(annotation).state,
            base_version=None,
            durable=self._bulk is None,
        )
        return True

    def current_model(self) -> Path | None:
        """The folder of the Checkpoint in use, None before the first training."""
        model = _read_settings(self.folder).current_model  # a training process may have set it since we opened
        return self.folder / model if model and (self.folder / model / "model.json").is_file() else None

    def set_current_model(self, checkpoint: Path) -> None:
        """Use this Checkpoint, a folder inside the Project."""
        self.update_settings(current_model=checkpoint.resolve().relative_to(self.folder.resolve()).as_posix())

    # ------------------------------------------------------------------------------------------------------ bulk

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """Inside, many pictures come in fast: the disk is told to keep them, and the index learns them, in batches."""
        Index(self).refresh()
        self._bulk = _Bulk(self._digests(), dict(self._by_name()))
        try:
            yield
        finally:
            self._finish_batch(self._bulk)
            self._bulk = None
            if hasattr(os, "sync"):
                os.sync()

    def _changed(self, name: str) -> None:
        if self._bulk is None:
            Index(self).refresh(names={name})
            return
        self._bulk.changed.add(name)
        if len(self._bulk.changed) >= 200:
            self._finish_batch(self._bulk)

    def _finish_batch(self, bulk: "_Bulk") -> None:
        with locked(self.folder / ".lock"):
            set_groups(self.folder, bulk.groups)
        Index(self).refresh(names=bulk.changed)
        bulk.groups.clear()
        bulk.changed.clear()

    def _is_on_disk(self, name: str) -> bool:
        return any((self.images / (name + suffix)).exists() for suffix in IMAGE_SUFFIXES)

    def _digests(self) -> dict[str, str]:
        index = Index(self)
        index.refresh()
        return {row.digest: row.name for row in index.rows() if row.digest}

    def _by_name(self) -> Mapping[str, Sample]:
        return self._bulk.names if self._bulk else samples_in(self.images)


@dataclass
class _Bulk:
    """What a bulk import knows without looking at the disk again."""

    digests: dict[str, str]
    names: dict[str, Sample]
    taken: set[str] = field(default_factory=set)  # names in small letters
    changed: set[str] = field(default_factory=set)  # not yet in the index
    groups: dict[str, str] = field(default_factory=dict)  # not yet in split.json

    def __post_init__(self) -> None:
        self.taken = {name.casefold() for name in self.names}

    def added(self, name: str, image: Path, digest: str, groups: Mapping[str, str]) -> None:
        self.digests[digest] = name
        self.names[name] = Sample(name, image)
        self.taken.add(name.casefold())
        self.groups.update(groups)


def _read_settings(folder: Path) -> ProjectSettings:
    value = read_json(folder / "project.json")
    try:
        if value["schema"] != SCHEMA:
            raise ReadError(f"{folder.name} was made by another version of Maskloop.", hint="Update Maskloop.")
        return ProjectSettings.from_json(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"project.json in {folder} is damaged ({error!r}).", hint="Restore it from a copy.") from error
    except UserError as error:
        raise ReadError(f"project.json in {folder}: {error.message}", hint=error.hint) from error


def _names_in(folder: Path) -> set[str]:
    """The names of a folder in small letters."""
    return {name.casefold() for name in os.listdir(folder)}


def _suffix_of(data: bytes, filename: str) -> str:
    """The suffix that fits the content: a PNG named .jpg would confuse every other program."""
    suffixes = {
        "JPEG": (".jpg", ".jpeg"),
        "PNG": (".png",),
        "TIFF": (".tif", ".tiff"),
        "BMP": (".bmp",),
        "WEBP": (".webp",),
    }
    kind = probe_image(data, name=filename).format
    if kind not in suffixes:
        raise ReadError(f"{filename} is a {kind or 'picture of unknown kind'}.", hint="Save it as PNG, JPEG or TIFF.")
    suffix = Path(filename).suffix.lower()
    return suffix if suffix in suffixes[kind] else suffixes[kind][0]
