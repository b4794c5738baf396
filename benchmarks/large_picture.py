"""Pictures in the editor: the first view of a very large one and of usual ones, and the memory of the server.

    python -m benchmarks.large_picture [--side 20000] [--rounds 3]

A tiled TIFF is made, brought in as an import does, cut into tiles by the child process, and looked at through servers
that were just started. First view: the answer about the picture, then all tiles of a view of 1600 x 1000 that shows
all of it, six requests at a time as browsers do. Needs up to 1.5 GB of disk, which are given back; Linux only.
"""

import argparse
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import psutil
import tifffile

from benchmarks._app import ROOT, RunningApp, running_app
from core.images import RGB, encode_jpeg, encode_png
from core.project.project import Project

_VIEW: Final = (1600, 1000)
_TILE: Final = 512
_AT_ONCE: Final = 6
_DISK: Final = 1_500_000_000


class Peak(NamedTuple):
    seconds: float
    mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory to look at large pictures.")
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        if shutil.disk_usage(home).free < 2 * _DISK:
            sys.exit(f"{home} has less than {2 * _DISK / 1e9:.0f} GB free.")
        (home / ".samples-made").touch()
        project = Project.create(home / "bench", name="Bench")
        print("| what | time, s | memory of the process at most, MB |\n|---|---|---|", flush=True)
        _large(project, args.side, args.rounds)
        _usual(project, args.rounds)


def _large(project: Project, side: int, rounds: int) -> None:
    source = project.folder.parent / "large.tif"
    _make_tiff(source, side)
    size = f"{side} x {side}"
    _row(f"import of the {size} TIFF ({source.stat().st_size / 1e6:.0f} MB)", _apart(_import, project.folder, source))
    source.unlink()
    _row("small picture of it, for the gallery, without tiles", _apart(_shrink, project.folder))
    _row("cutting it into tiles, in the child process", _build(project))
    stored = sum(path.stat().st_size for path in (project.folder / "cache" / "tiles").rglob("*") if path.is_file())
    print(f"| (its tiles take {stored / 1e6:.0f} MB of disk) | | |")
    views, peaks, walks = [], [], []
    for _ in range(rounds):
        with running_app(project.folder.parent) as app:
            views.append(_first_view(app, "large"))
            peaks.append(_peak_mb(app.pid))
            walks.append(Peak(_walk(app, side), _peak_mb(app.pid)))
    print(f"| first view of it, new server: median of {rounds} | {statistics.median(views):.2f} | {max(peaks):.0f} |")
    print(f"| longest | {max(views):.2f} | |")
    print(
        f"| 240 tiles at 1:1 after that, each | {statistics.median(w.seconds for w in walks) / 240:.4f} "
        f"| {max(w.mb for w in walks):.0f} |",
        flush=True,
    )
    shutil.rmtree(project.folder / "cache")
    project.remove_sample("large")
    shutil.rmtree(project.folder / "removed")


def _usual(project: Project, rounds: int) -> None:
    """Each round looks at another picture: decoding is part of what a person waits for."""
    kinds: dict[str, Callable[[RGB], bytes]] = {"png": encode_png, "jpg": encode_jpeg}
    for side in (2000, 4000):
        for kind, encode in kinds.items():
            for number in range(rounds + 1):
                project.add_image(encode(_scene(side, side, number)), filename=f"{kind}{side}-{number}.{kind}")
    for side in (2000, 4000):
        for kind in kinds:
            with running_app(project.folder.parent) as app:
                before = _first_view(app, f"{kind}{side}-{rounds}")
                views = [_first_view(app, f"{kind}{side}-{number}") for number in range(rounds)]
                what = f"first view of a {side} x {side} {kind.upper()}, median of {rounds} pictures"
                _row(what, Peak(statistics.median(views), _peak_mb(app.pid)))
                print(f"| longest; the very first after the start | {max(views):.2f}; {before:.2f} | |", flush=True)


def _row(what: str, peak: Peak) -> None:
    print(f"| {what} | {peak.seconds:.2f} | {peak.mb:.0f} |", flush=True)


# ------------------------------------------------------------------------------------------------------- the pictures


def _scene(height: int, width: int, seed: int) -> RGB:
    """Soft areas with some grain: packs about as well as a photograph."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 40 + 2, width // 40 + 2, 3), dtype=np.uint8)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(0, 3, (height, width, 1), dtype=np.uint8)
    return np.asarray(np.clip(soft // 2, 0, 250) + grain, np.uint8)


def _make_tiff(path: Path, side: int) -> None:
    scenes = [_scene(_TILE, _TILE, seed) for seed in range(7)]
    across = -(-side // _TILE)

    def tiles() -> Iterator[RGB]:
        for i in range(across * across):
            yield np.roll(scenes[i % 7], i, axis=1)

    tifffile.imwrite(
        path,
        tiles(),
        shape=(side, side, 3),
        dtype=np.uint8,
        tile=(_TILE, _TILE),
        photometric="rgb",
        compression="zlib",
        compressionargs={"level": 1},
        predictor=False,
    )


# ---------------------------------------------------------------------------------------------- in its own process


def _apart(work: Callable[..., None], *arguments: Path) -> Peak:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, work, *arguments).result()


def _measured(work: Callable[..., None], *arguments: Path) -> Peak:
    started = time.perf_counter()
    work(*arguments)
    return Peak(time.perf_counter() - started, _peak_mb(psutil.Process().pid))


def _import(folder: Path, source: Path) -> None:
    from core.project.import_pictures import Intake

    project = Project.open(folder)
    Intake(project, "benchmark", lambda done, total, name: None).add_bytes(source.read_bytes(), source.name)


def _shrink(folder: Path) -> None:
    from core.project.shown import look_at, small_picture

    project = Project.open(folder)
    small_picture(look_at(project, project.sample("large")), 420)


def _build(project: Project) -> Peak:
    started, peak = time.perf_counter(), 0.0
    command = [sys.executable, "-m", "core.project.pyramid", str(project.folder), "large"]
    child = subprocess.Popen(command, cwd=ROOT)
    while child.poll() is None:
        peak = max(peak, _peak_mb(child.pid))
        time.sleep(0.05)
    return Peak(time.perf_counter() - started, peak)


def _peak_mb(pid: int) -> float:
    """The most memory that the process has held; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


# -------------------------------------------------------------------------------------------------------- the requests


def _get(app: RunningApp, sample: str, rest: str) -> bytes:
    with urllib.request.urlopen(f"{app.address}/api/projects/bench/samples/{sample}/{rest}", timeout=60) as answer:
        data: bytes = answer.read()
        return data


def _first_view(app: RunningApp, sample: str) -> float:
    """Seconds until all tiles are there that show the whole picture."""
    started = time.perf_counter()
    info: dict[str, Any] = json.load(io.BytesIO(_get(app, sample, "picture")))
    assert info["ready"]
    scale = min(_VIEW[0] / info["width"], _VIEW[1] / info["height"])
    level = min(info["levels"] - 1, max(0, int(np.floor(np.log2(1 / scale)))))
    side = info["tile"] << level
    places = [(level, x, y) for x in range(-(-info["width"] // side)) for y in range(-(-info["height"] // side))]
    _fetch(app, sample, [*places, (info["levels"] - 1, 0, 0)], info["stamp"])
    return time.perf_counter() - started


def _walk(app: RunningApp, side: int) -> float:
    """Seconds for 240 tiles of level 0, as someone moves over the picture."""
    stamp = json.loads(_get(app, "large", "picture"))["stamp"]
    across = -(-side // _TILE)
    started = time.perf_counter()
    _fetch(app, "large", [(0, i % across, (7 * i) // across % across) for i in range(240)], stamp)
    return time.perf_counter() - started


def _fetch(app: RunningApp, sample: str, places: list[tuple[int, int, int]], stamp: str) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for data in pool.map(lambda at: _get(app, sample, f"tiles/{at[0]}/{at[1]}/{at[2]}?v={stamp}"), places):
            assert data


if __name__ == "__main__":
    main()
