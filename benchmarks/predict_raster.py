"""A raster through `predict_raster` and its polygons to files: seconds, and peak memory of the whole process.

    python -m benchmarks.predict_raster [--size 20000x20000] [--raster FILE.tif] [--fake] [--clean-up] [--type uint8]

Without --raster, a tiled GeoTIFF of smooth noise is made, with a coordinate system. --fake: the brightness of each
pixel instead of the default network, so that what is measured is all but the network. Goal: under 1.5 GB. Linux only.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from core.annotation.clean_up import CleanUp
from core.annotation.labels import LabelSet
from core.images import ImageSize
from core.inference.backend import Backend
from core.networks.card import ModelCard, NetworkConfig

_TILE: Final = 512
_GRAIN: Final = 24  # pixels from one random value to the next
_CLEAN_UP: Final = CleanUp(smooth=2.0, close=5, drop_below=100)


class Step(NamedTuple):
    what: str
    seconds: float
    peak_mb: float
    outcome: str


class Brightness:
    """A Backend without a network: the brightest spots are the label, some tens of thousands of objects."""

    multiple_of = 32

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        bright = (batch[:, :1] - 0.5) * 20
        return np.concatenate([-bright, bright], axis=1)


def make_raster(path: Path, size: ImageSize, kind: str) -> None:
    """Three bands of smooth noise in UTM zone 32, 0.2 m a pixel, packed in tiles."""
    import rasterio

    rng = np.random.default_rng(0)
    scale = np.iinfo(kind).max / 255 if np.dtype(kind).kind in "iu" else 1.0
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=size.height,
        width=size.width,
        count=3,
        dtype=kind,
        crs="EPSG:25832",
        transform=rasterio.Affine(0.2, 0, 500_000, 0, -0.2, 5_500_000),
        tiled=True,
        blockxsize=_TILE,
        blockysize=_TILE,
        compress="deflate",
        zlevel=1,
        bigtiff="IF_SAFER",
    ) as dataset:
        for top in range(0, size.height, _TILE):
            rows = min(_TILE, size.height - top)
            coarse = rng.integers(0, 256, (rows // _GRAIN + 2, size.width // _GRAIN + 2, 3)).astype(np.float32)
            values = cv2.resize(coarse, (size.width, rows), interpolation=cv2.INTER_LINEAR) * scale
            dataset.write(np.moveaxis(values, -1, 0).astype(kind), window=((top, top + rows), (0, size.width)))


def measure(raster: Path, folder: Path, fake: bool, clean: bool) -> list[Step]:
    """To be called in a fresh process: its peak memory is part of the answer."""
    from core.inference.polygon_files import write_polygons_geojson, write_polygons_geopackage
    from core.inference.rasters import predict_raster

    backend = _backend(folder, fake, _CLEAN_UP if clean else CleanUp())
    labels = backend.card.labels
    mask = folder / "mask.tif"
    return [
        _step("predict_raster", lambda: f"{predict_raster(raster, backend, mask).pixels} pixels of each class"),
        _step(
            "polygons as GeoPackage",
            lambda: f"{write_polygons_geopackage(mask, labels, folder / 'mask.gpkg').polygons} polygons",
        ),
        _step(
            "polygons as GeoJSON, tolerance 1",
            lambda: f"{write_polygons_geojson(mask, labels, folder / 'mask.geojson', tolerance=1).polygons} polygons",
        ),
    ]


def _backend(folder: Path, fake: bool, how: CleanUp) -> Backend:
    card = ModelCard(NetworkConfig(), LabelSet.of(["bright"]), clean_up=how)
    if fake:
        return Brightness(card)
    from core.inference.torch_backend import load
    from core.networks import build_network
    from core.networks.checkpoint import save_checkpoint
    from core.networks.runtime import tune_allocator

    tune_allocator()
    save_checkpoint(folder / "model", build_network(card.network), card)
    return load(folder / "model")


def _step(what: str, work: Callable[[], str]) -> Step:
    started = time.perf_counter()
    outcome = work()
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    return Step(what, time.perf_counter() - started, peak, outcome)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="20000x20000", help="width x height in pixels")
    parser.add_argument("--raster", type=Path, help="this one instead of one that is made")
    parser.add_argument("--type", default="uint8", choices=["uint8", "uint16", "float32"])
    parser.add_argument("--fake", action="store_true", help="no network")
    parser.add_argument("--clean-up", action="store_true", help=f"{_CLEAN_UP}")
    args = parser.parse_args(arguments)
    width, height = (int(number) for number in args.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raster = args.raster or folder / "raster.tif"
        if args.raster is None:
            make_raster(raster, ImageSize(height, width), args.type)
        print(
            f"{raster.name}, {raster.stat().st_size / 1e6:.0f} MB; {'no network' if args.fake else 'default network'}"
        )
        print("| what | seconds | peak MB of the process so far | outcome |\n|---|---|---|---|", flush=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            for step in pool.submit(measure, raster, folder, args.fake, args.clean_up).result():
                print(f"| {step.what} | {step.seconds:.1f} | {step.peak_mb:.0f} | {step.outcome} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
