"""What a batch has before it: which pictures, what their files will be called, and what results depend on."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from core.errors import ConfigError, ReadError
from core.files import unused_name
from core.formats.source import Source, SourceFile, open_source
from core.inference.batch_journal import Journal, fingerprint, stem_of
from core.inference.ensemble import member_folders
from core.inference.export import PREDICTION_FORMATS, USUAL_FORMATS
from core.inference.rows import PredictConfig
from core.networks.card import CARD_FILE, WEIGHTS_FILE, ModelCard, is_ensemble

_VERSION: Final = 1  # of what is written; raised when the same settings come to give other files
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class BatchConfig:
    """formats: which files each picture gets, of PREDICTION_FORMATS.  resume: keep what an earlier batch has done."""

    formats: tuple[str, ...] = USUAL_FORMATS
    predict: PredictConfig = field(default_factory=PredictConfig)
    resume: bool = True

    def __post_init__(self) -> None:
        for name in self.formats:
            if name not in PREDICTION_FORMATS:
                raise ConfigError(f"There is no format {name!r}.", hint=f"Choose of {', '.join(PREDICTION_FORMATS)}.")

    @property
    def fingerprint(self) -> str:
        """Of all that changes what is written."""
        value = {"version": _VERSION, "formats": sorted(self.formats), "predict": asdict(self.predict)}
        return fingerprint(json.dumps(value, sort_keys=True).encode())


class Picture(NamedTuple):
    """A picture of a batch. path: where it lies, None in an archive.  stem: that of its results, a path from `out`."""

    file: SourceFile
    path: Path | None
    stem: str = ""


class Pictures(NamedTuple):
    """The pictures of a batch in natural order, and a sentence for each file that the Source refused."""

    found: tuple[Picture, ...]
    refused: tuple[str, ...]


def pictures_of(source: Source | Sequence[Path], out: Path) -> Pictures:
    """The pictures in `source`: a Source, or paths of folders, archives and pictures. What lies in `out` is left out.

    Raises ReadError when there is none, ConfigError when `out` is the folder of the pictures themselves.
    """
    sources = [source] if isinstance(source, Source) else [open_source(path) for path in source]
    target = out.resolve()
    found: list[Picture] = []
    names: set[str] = set()
    for part in sources:
        root = part.root.resolve() if part.root is not None else None
        within = root is not None and root in target.parents  # then earlier results are no pictures to predict
        for file in part.pictures():
            path = root / file.name if root is not None else None
            if within and path is not None and path.is_relative_to(target):
                continue
            if path is not None and path.parent == target:
                raise ConfigError(
                    f"{out} holds the pictures themselves; a mask could overwrite one.", hint="Choose another."
                )
            name = file.name if len(sources) == 1 else _name_beside_others(part, file, names)
            names.add(name)
            found.append(Picture(SourceFile(name, file.size, file.read), path))
    refused = tuple(sentence for part in sources for sentence in part.refused)
    if not found:
        title = sources[0].title if len(sources) == 1 else f"{len(sources)} places"
        raise ReadError(
            f"{title} holds no picture.", hint=" ".join(refused[:3]) or "Choose a folder or a zip of pictures."
        )
    return Pictures(tuple(found), refused)


def with_stems(pictures: Sequence[Picture], journal: Journal, out: Path) -> list[Picture]:
    """`pictures` with the stems of their files: those that the journal has, else new ones, each different.

    Raises ConfigError when a file would overwrite one of the pictures.
    """
    used, stems = set[str](), dict[str, str]()
    names = [picture.file.name for picture in pictures]
    for name in names:
        known = journal.entries.get(name)
        if known is not None and known.stem.casefold() not in used:
            used.add(known.stem.casefold())
            stems[name] = known.stem
    for name in names:
        if name not in stems:
            stems[name] = unused_name(stem_of(name), used)
            used.add(stems[name].casefold())
    target, sources = out.resolve(), {picture.path for picture in pictures}
    for stem in stems.values():
        if any(target / f"{stem}{end}" in sources for end in (".png", ".json", "_overlay.jpg")):
            raise ConfigError(
                f"{stem} in {out} is one of the pictures themselves; a result would overwrite it.",
                hint="Choose another folder for the results.",
            )
    return [picture._replace(stem=stems[picture.file.name]) for picture in pictures]


def model_fingerprint(card: ModelCard, folder: Path | None = None) -> str:
    """Of a model: of its card and, where its `folder` is given, of its weights too. Raises ReadError."""
    digest = sha256(json.dumps(card.to_json(), sort_keys=True, default=str).encode())
    if folder is not None:
        members = member_folders(folder) if is_ensemble(folder) else [folder]
        for path in [member / name for member in members for name in (CARD_FILE, WEIGHTS_FILE)]:
            try:
                with path.open("rb") as file:
                    while chunk := file.read(_CHUNK):
                        digest.update(chunk)
            except OSError as error:
                raise ReadError(
                    f"{path} cannot be read: {error.strerror or error}.", hint="Choose the folder of a trained model."
                ) from error
    return digest.hexdigest()


def _name_beside_others(source: Source, file: SourceFile, names: set[str]) -> str:
    """The name of a file when its Source is not the only one: that of its folder or archive stands before it."""
    alone = len(source.files) == 1 and source.title == file.name
    name = shown = file.name if alone else f"{PurePosixPath(source.title).stem or 'pictures'}/{file.name}"
    number = 1
    while name in names:
        number += 1
        name = f"{number}/{shown}"
    return name
