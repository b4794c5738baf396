"""The verb predict: pictures one by one, rasters in windows."""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.commands.models import load_model, pictures_in
from core.commands.progress import AddVerb, Progress, Result
from core.errors import ConfigError, ReadError
from core.files import safe_name, unused_name, write_bytes
from core.images import MAX_PIXELS, probe_image, read_image

if TYPE_CHECKING:
    from core.inference.backend import Backend
    from core.inference.rows import PredictConfig

_RASTERS: Final = (".tif", ".tiff", ".jp2")
_RASTER: Final = -1  # instead of a page
_RASTER_FORMATS: Final = ("mask", "geojson", "gpkg", "csv")


def add_verbs(verb: AddVerb) -> None:
    guessed = verb("predict", predict, "predict the masks of pictures and of rasters of any size")
    guessed.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a model's folder, or a project")
    guessed.add_argument("image", type=Path, nargs="+", metavar="IMAGE", help="pictures or folders of pictures")
    guessed.add_argument("--out", type=Path, required=True, metavar="DIR")
    formats = "of mask, overlay, labelme, geojson, csv, gpkg, with commas between; the mask of a raster that lies on a "
    guessed.add_argument("--formats", default="mask", help=formats + "map, or is very large, is a GeoTIFF")
    guessed.add_argument("--backend", default="torch", help="auto, or one that `bench` lists")
    guessed.add_argument("--overlap", type=float, default=0.2, help="of neighbouring windows, 0 to 0.9")
    guessed.add_argument("--page", type=int, help="of a stack: this page only, from 1; else all")
    guessed.add_argument("--bands", metavar="R,G,B", help="of a raster: which bands to take, from 1")
    guessed.add_argument("--tolerance", type=float, default=0.0, help="of a raster's polygons, pixels to simplify by")


def predict(args: argparse.Namespace) -> Result:
    from core.inference.export import PREDICTION_FORMATS
    from core.inference.rows import PredictConfig

    formats = args.formats.split(",")
    unknown = set(formats) - {*PREDICTION_FORMATS, *_RASTER_FORMATS}
    if unknown:
        hint = f"Choose of {', '.join(PREDICTION_FORMATS)}, gpkg."
        raise ConfigError(f"There is no format {sorted(unknown)[0]!r}.", hint=hint)
    config = PredictConfig(overlap=args.overlap)
    backend = load_model(args)
    images = list(pictures_in(args.image))
    if any(path.resolve().parent == args.out.resolve() for path in images):
        raise ConfigError(
            f"{args.out} holds the pictures themselves; a mask could overwrite one.", hint="Choose another."
        )
    written, failed = [], []
    names: set[str] = set()
    with Progress("predict") as progress:
        pages = list(_pages(images, args, backend))
        for number, (path, page) in enumerate(pages):
            name = unused_name(path.stem if page in (None, _RASTER) else f"{path.stem}_p{page + 1:04d}", names)
            names.add(name.casefold())
            started = time.monotonic()
            try:
                if page is _RASTER:
                    done = _raster(path, name, backend, config, formats, args)
                else:
                    done = _picture(path, page or 0, name, backend, config, formats, args.out)
            except ReadError as error:  # one bad picture costs only itself
                print(error, file=sys.stderr)
                failed.append({"image": str(path), "message": error.message, "hint": error.hint})
                continue
            written.append({"image": str(path), **done, "seconds": round(time.monotonic() - started, 3)})
            progress.show(number + 1, len(pages), path.name)
    if failed and not written:
        raise ReadError("None of the pictures could be read.", hint="See the lines above.")
    text = f"{len(written)} predicted into {args.out}" + (f", {len(failed)} could not be read" if failed else "")
    return {"out": str(args.out), "predictions": written, "failed": failed, "text": text}


def _picture(
    path: Path, page: int, name: str, backend: "Backend", config: "PredictConfig", formats: Sequence[str], out: Path
) -> dict[str, Any]:
    from core.inference.export import class_areas, write_prediction
    from core.inference.predict import predict

    labels = backend.card.labels
    image = read_image(path, page=page, intensity=backend.card.intensity)
    prediction = predict(image, backend, config=config)
    relative = Path(os.path.relpath(path, out)).as_posix()
    files = write_prediction(
        prediction, image, name=name, image_name=relative, labels=labels, folder=out, formats=formats
    )
    return {"files": [str(file) for file in files], "areas": class_areas(prediction.mask, labels)}


def _raster(
    path: Path, name: str, backend: "Backend", config: "PredictConfig", formats: Sequence[str], args: argparse.Namespace
) -> dict[str, Any]:
    """The mask as a GeoTIFF; polygons and their table from that."""
    from core.inference.polygon_files import write_polygons_geojson, write_polygons_geopackage
    from core.inference.rasters import predict_raster

    further = [known for known in formats if known not in _RASTER_FORMATS]
    if further and probe_image(path).size.pixels > MAX_PIXELS:
        hint = f"For this one choose of {', '.join(_RASTER_FORMATS)}."
        raise ReadError(f"{path.name} is too large to be written as {further[0]}.", hint=hint)
    bands = _numbers(args.bands) if args.bands else None
    target, labels = args.out / f"{safe_name(name)}.tif", backend.card.labels
    with Progress(path.name) as progress:
        found = predict_raster(
            path,
            backend,
            target,
            bands=bands,
            config=config,
            progress=lambda share: progress.show(round(1000 * share), 1000, ""),
        )
    files, notes = [target], list(found.notes)
    for form, write in (("geojson", write_polygons_geojson), ("gpkg", write_polygons_geopackage)):
        if form in formats:
            made = write(target, labels, target.with_suffix(f".{form}"), tolerance=args.tolerance)
            files.append(made.path)
            notes += made.notes
    if "csv" in formats:
        files.append(_objects_csv(target, labels, args.tolerance))
    if further:
        files += _seen_as_picture(path, target, name, backend, further, args.out)
    for note in dict.fromkeys(notes):
        print(f"{path.name}: {note}", file=sys.stderr)
    everything = max(sum(found.pixels), 1)
    areas = [
        {"name": label, "pixels": pixels, "share": pixels / everything}
        for label, pixels in zip(labels.names, found.pixels, strict=True)
    ]
    return {
        "files": [str(file) for file in files],
        "areas": areas,
        "crs": found.crs,
        "without_data": found.without_data,
    }


def _seen_as_picture(
    path: Path, mask: Path, name: str, backend: "Backend", formats: Sequence[str], out: Path
) -> list[Path]:
    """What is made of the whole picture and its mask; pixels without data are background in it."""
    import numpy as np
    import rasterio

    from core.inference.export import write_prediction
    from core.inference.predict import Prediction
    from core.inference.raster_mask import NO_DATA

    with rasterio.open(mask) as file:
        found = np.asarray(file.read(1), np.uint8)
    prediction = Prediction(np.where(found == NO_DATA, np.uint8(0), found), np.full_like(found, 255))
    relative = Path(os.path.relpath(path, out)).as_posix()
    image = read_image(path, intensity=backend.card.intensity)
    return write_prediction(
        prediction, image, name=name, image_name=relative, labels=backend.card.labels, folder=out, formats=formats
    )


def _objects_csv(mask: Path, labels: Any, tolerance: float) -> Path:
    from io import StringIO

    from core.inference.raster_polygons import raster_polygons

    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("label", "class_id", "pixels", "area", "perimeter", "unit"))
    for one in raster_polygons(mask, labels, tolerance=tolerance):
        writer.writerow((one.label, one.class_id, one.pixels, one.area, one.perimeter, one.unit))
    target = mask.with_name(f"{mask.stem}_objects.csv")
    write_bytes(target, text.getvalue().encode("utf-8-sig"))
    return target


def _is_raster(path: Path, backend: "Backend") -> bool:
    """Whether it lies on a map, or is too large to be decoded whole."""
    if path.suffix.lower() not in _RASTERS:
        return False
    from core.inference.raster_picture import open_raster

    try:
        if probe_image(path).size.pixels > MAX_PIXELS:
            return True
        with open_raster(path, backend.card.intensity) as raster:
            return raster.place.known
    except (ReadError, ConfigError):
        return False  # what is wrong with it is said when it is read as a picture


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--bands {text} are no numbers.", hint="Write them as 4,3,2.") from error


def _pages(paths: Sequence[Path], args: argparse.Namespace, backend: "Backend") -> Iterator[tuple[Path, int | None]]:
    """Each picture, and each page of a stack; None for a picture of one page, _RASTER for what is read in windows.

    A raster is asked first: the smaller copies in a GeoTIFF (overviews) look like pages.
    """
    page = args.page
    for path in paths:
        if args.bands or "gpkg" in args.formats.split(",") or (page is None and _is_raster(path, backend)):
            yield path, _RASTER
            continue
        try:
            count = probe_image(path).pages
        except ReadError:
            count = 1  # said when it is read
        if count == 1:
            yield path, None
        else:
            yield from ((path, number) for number in ([page - 1] if page else range(count)))
