"""All backends side by side on this machine: speed, agreement with the network, memory; and which one to take.

Each backend lives in a process of its own (`python -m core.inference.bench CHECKPOINT NAME`), all alive at once; they
are asked in turn, one at a time, so that other work on the machine slows all alike. The base is torch-eager, in a
process with the C library's own allocator.
"""

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
import psutil

from core.errors import ConfigError, UserError
from core.files import read_json, write_json
from core.inference.exported import BENCH_FILE, exported_folder
from core.inference.parity import LEAST_IOU, LEAST_IOU_INT8, compare_logits
from core.inference.trial_tiles import normalised, trial_tiles
from core.networks.card import is_ensemble, read_card

BASE: Final = "torch-eager"
TRIED: Final = (
    BASE,
    "torch-float32",
    "torch",
    "onnx",
    "openvino-float32",
    "openvino",
    "onnx-int8",
    "openvino-int8",
    "onnx-cuda",
    "tensorrt",
)
SIDE: Final = 512
_SCHEMA: Final = 1
_ROUNDS: Final = 5
_TILES: Final = 4


@dataclass(frozen=True)
class Measured:
    """One backend. ms: a tile, median over the rounds.  ratio: how many times faster than torch-eager.
    load_seconds: from the start of its process to the first answer.  memory_mb: of its process at its peak.
    max_difference, mask_iou: against torch-eager, see Parity.  problem: why it is not there; then the rest is 0."""

    name: str
    ms: float = 0.0
    ratio: float = 0.0
    max_difference: float = 0.0
    mask_iou: float = 0.0
    load_seconds: float = 0.0
    memory_mb: float = 0.0
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it may be offered."""
        return not self.problem and self.mask_iou >= (LEAST_IOU_INT8 if "int8" in self.name else LEAST_IOU)


@dataclass(frozen=True)
class Bench:
    """What was measured for one Checkpoint. side: of the tiles in pixels.  real_pictures: real ones, or made ones."""

    machine: str
    side: int
    real_pictures: bool
    backends: tuple[Measured, ...]

    @property
    def best(self) -> str:
        """The fastest backend that agrees; torch-eager is always among them."""
        return min((found for found in self.backends if found.agrees), key=lambda found: found.ms).name

    def to_json(self) -> dict[str, Any]:
        return {"schema": _SCHEMA, **asdict(self), "best": self.best}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        backends = tuple(Measured(**found) for found in value["backends"])
        return cls(value["machine"], value["side"], value["real_pictures"], backends)


def bench(
    folder: Path,
    *,
    pictures: Sequence[Path] = (),
    side: int = SIDE,
    names: Sequence[str] = TRIED,
    rounds: int = _ROUNDS,
    progress: Callable[[float, str], None] | None = None,
) -> Bench:
    """Measure the Checkpoint in `folder` with each backend of `names`, torch-eager always among them, and keep it.

    pictures: to try it on, instead of the Project's own.  side: of the tiles in pixels, rounded up to what the network
    needs.  progress: the part done, and what is going on.
    Raises ReadError, WriteError, ConfigError for an ensemble, UserError where not even torch-eager runs. A backend that
    cannot be loaded is told in its `problem`.
    """
    if is_ensemble(folder):
        raise ConfigError("An ensemble is several models.", hint="Compare one of them; all take the same way.")
    card = read_card(folder)
    side = -(-side // card.network.multiple_of) * card.network.multiple_of
    tiles, real = trial_tiles(folder, card, side, _TILES, pictures)
    tell = progress or (lambda share, what: None)
    names = (BASE, *(name for name in names if name != BASE))
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        np.save(work / "tiles.npy", np.concatenate([normalised(tile, card) for tile in tiles]))
        children: dict[str, _Child] = {}
        found: dict[str, Measured] = {}
        for number, name in enumerate(names):
            tell(0.7 * number / len(names), f"Loading {name}")
            child = stack.enter_context(_Child(folder, name, work))
            said = child.ask("load")
            if "problem" in said:
                found[name] = Measured(name, problem=said["problem"])
                continue
            children[name] = child
            found[name] = Measured(name, load_seconds=said["seconds"])
        times: dict[str, list[float]] = {name: [] for name in children}
        for number in range(rounds):
            tell(0.7 + 0.3 * number / rounds, f"Round {number + 1} of {rounds}")
            for name, child in list(children.items()):
                said = child.ask("time")
                if "problem" in said:  # killed, as where memory runs out
                    found[name] = Measured(name, problem=said["problem"])
                    del children[name]
                else:
                    times[name].append(said["ms"])
        if BASE not in children:
            raise UserError(f"The network itself cannot be computed here: {found[BASE].problem}")
        answers = {name: work / f"{name}.npy" for name in children}
        for name, child in children.items():
            said = child.ask("save")
            if "problem" in said:
                found[name] = Measured(name, problem=said["problem"])
                continue
            parity = compare_logits(_pairs(answers[BASE], answers[name]), real_pictures=real)
            ms = statistics.median(times[name])
            found[name] = replace(
                found[name],
                ms=round(ms, 2),
                ratio=round(statistics.median(times[BASE]) / ms, 2),
                max_difference=round(parity.max_difference, 6),
                mask_iou=round(parity.mask_iou, 6),
                memory_mb=said["memory_mb"],
            )
    tell(1.0, "Done")
    result = Bench(machine(), side, real, tuple(found[name] for name in names))
    write_json(exported_folder(folder) / BENCH_FILE, result.to_json())
    return result


def read_bench(folder: Path) -> Bench | None:
    """What was measured for the Checkpoint in `folder` on this machine. Raises ReadError for what is no Checkpoint."""
    path = exported_folder(folder) / BENCH_FILE
    try:
        value = read_json(path) if path.is_file() else None
        if not isinstance(value, dict) or value.get("schema") != _SCHEMA or value.get("machine") != machine():
            return None
        return Bench.from_json(value)
    except (UserError, KeyError, TypeError):
        return None  # of another version: measure again


def fastest(folder: Path) -> str | None:
    """The fastest backend that agrees; None where nothing was measured here. Raises ReadError."""
    known = read_bench(folder)
    return known.best if known is not None else None


def machine() -> str:
    """The processor and its cores, so that figures of another machine are not taken for this one's."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {psutil.cpu_count()} cores"


# ------------------------------------------------------------------------------------------------------- processes


class _Child:
    """A process that has one backend loaded and answers in JSON lines."""

    def __init__(self, folder: Path, name: str, work: Path) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.inference.bench", str(folder.resolve()), name, str(work)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, what: str) -> dict[str, Any]:
        """Its answer; one with a "problem" where the process has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(what, file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = (
            json.loads(line) if line else {"problem": f"{self._name} ended without a word; was there enough memory?"}
        )
        return answer


def _pairs(reference: Path, other: Path) -> Iterable[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    first, second = np.load(reference, mmap_mode="r"), np.load(other, mmap_mode="r")
    return ((first[i : i + 1], second[i : i + 1]) for i in range(len(first)))


def _serve(folder: Path, name: str, work: Path, asked: IO[str], answers: IO[str]) -> None:
    """The process of one backend: load it when told to, then time a tile or save all logits."""
    from core.inference import BACKENDS
    from core.networks.runtime import share_cores, tune_allocator

    def say(**answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    if name != BASE:
        share_cores()
        tune_allocator()
    tiles = np.load(work / "tiles.npy")
    process, turn = psutil.Process(), 0
    asked.readline()
    try:
        backend = BACKENDS[name](folder)
        backend.logits(tiles[:1])
    except UserError as error:
        say(problem=str(error))
        return
    except ImportError as error:
        say(problem=f"The package {error.name} is not installed.")
        return
    say(seconds=round(time.time() - process.create_time(), 2))
    for line in asked:
        if line.strip() == "save":
            np.save(work / f"{name}.npy", np.concatenate([backend.logits(tile[None]) for tile in tiles]))
            say(memory_mb=round(peak_memory() / 1e6))
            continue
        began = time.perf_counter()
        backend.logits(tiles[turn % len(tiles)][None])
        say(ms=1000 * (time.perf_counter() - began))
        turn += 1


def peak_memory() -> float:
    """Bytes that this process had in memory at most; where the system does not tell, what it has now."""
    try:
        # not getrusage: on Linux that begins with the peak of the process which started this one
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024.0 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    except (OSError, StopIteration):
        return float(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    out = sys.stdout
    sys.stdout = sys.stderr  # what libraries print must not mix with our answers
    _serve(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.stdin, out)
