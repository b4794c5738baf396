"""The prediction API alone: from its start to the first mask, its memory, what it adds to the network, many clients.

    python -m benchmarks.serving [--checkpoint models/sample-town] [--backend onnx] [--clients 64] [--seconds 60]

The server is a process of its own, the clients are threads of this one, on loopback. A client that is answered 429
waits as long as Retry-After says. What is added is the time that a client waits for an answer less the network's, which
the answer's Server-Timing tells: HTTP, reading the picture, blending, cleaning up, writing the PNG.
"""

import argparse
import http.client
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import psutil

from core.images import IMAGE_SUFFIXES, RGB, encode_jpeg, encode_png, read_image

ROOT: Final = Path(__file__).resolve().parents[1]
_SIDE: Final = 512
_ROUNDS: Final = 60
_BOUNDARY: Final = "maskloop-benchmark"
_SERVER: Final = """
import argparse
from core.serving.command import add_serve, serve
parser = argparse.ArgumentParser()
add_serve(lambda name, run, about: parser)
serve(parser.parse_args())
"""


class Server(NamedTuple):
    port: int
    process: psutil.Process
    started: float  # time.perf_counter()

    def megabytes(self) -> float:
        return float(self.process.memory_info().rss / 1e6)


class Answer(NamedTuple):
    """server: seconds by what Server-Timing calls them, empty where nothing was predicted.  wait: of Retry-After."""

    status: int
    seconds: float
    server: Mapping[str, float]
    wait: float

    @property
    def added(self) -> dict[str, float]:
        """Seconds by where they went, all but the network's."""
        read, predict, network, write = (self.server[key] for key in ("read", "predict", "network", "write"))
        parts = {"reading": read, "blending": predict - network, "writing": write}
        return parts | {"HTTP": self.seconds - read - predict - write}


@dataclass
class Load:
    """What many clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "models" / "sample-town")
    parser.add_argument("--backend", default="onnx")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args(arguments)
    with running_server(args.checkpoint, args.backend) as server:
        client = Client(server.port)
        client.predict(_body(_picture(0), "jpg"))
        first = time.perf_counter() - server.started
        print(f"{args.checkpoint.name}, {args.backend}, {_SIDE}x{_SIDE}\n\n| what | measured | aim |\n|---|---|---|")
        print(f"| start, import, load, first mask | {first:.2f} s | 1 s |")
        for kind in ("png", "jpg"):
            _print_added(client, kind)
        print(f"| resident memory after {2 * _ROUNDS} masks | {server.megabytes():.0f} MB | 400 MB |")
        _print_load(many_clients(server, args.clients, args.seconds), args.clients, args.seconds)


def _print_added(client: "Client", kind: str) -> None:
    answers = [client.predict(_body(_picture(number), kind)) for number in range(_ROUNDS)]
    network = statistics.median(answer.server["network"] for answer in answers)
    added = [answer.added for answer in answers]
    whole = statistics.median(sum(parts.values()) for parts in added)
    parts = ", ".join(f"{key} {1000 * statistics.median(part[key] for part in added):.1f}" for key in added[0])
    print(
        f"| {kind}: added to the network's {1000 * network:.1f} ms, median | {1000 * whole:.1f} ms ({parts}) | 10 ms |"
    )


def _print_load(load: Load, clients: int, seconds: float) -> None:
    failed = sum(count for status, count in load.statuses.items() if status not in ("200", "429"))
    told = ", ".join(f"{status}: {count}" for status, count in sorted(load.statuses.items()))
    p50, p95, p99 = (1000 * float(np.percentile(load.seconds, part)) for part in (50, 95, 99))
    third = len(load.megabytes) // 2
    memory = f"{load.megabytes[0]:.0f}, {load.megabytes[third]:.0f}, {load.megabytes[-1]:.0f} MB"
    print(f"| {clients} clients at once for {seconds:g} s: answers by status | {told} | |")
    print(f"| failed otherwise than by 429 | {failed} | 0 |")
    print(f"| masks per second | {load.statuses['200'] / seconds:.1f} | |")
    print(f"| seconds to a mask: p50, p95, p99 | {p50:.0f}, {p95:.0f}, {p99:.0f} ms | |")
    print(f"| resident memory at the start, in the middle, at the end | {memory} | flat |")


@contextmanager
def running_server(checkpoint: Path, backend: str) -> Iterator[Server]:
    started = time.perf_counter()
    command = [sys.executable, "-c", _SERVER, str(checkpoint.resolve()), "--port", "0", "--backend", backend]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        found = re.search(r"http://[^:]+:(\d+)/", said)
        if found is None:
            raise SystemExit(said + process.stderr.read())
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop it
        yield Server(int(found[1]), psutil.Process(process.pid), started)
    finally:
        process.terminate()
        process.wait(30)


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def predict(self, body: bytes) -> Answer:
        """Raises OSError and HTTPException where there is no answer."""
        started = time.perf_counter()
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        self._connection.request("POST", "/predict", body, {"Content-Type": kind})
        answer = self._connection.getresponse()
        data = answer.read()
        seconds = time.perf_counter() - started
        if answer.status == 200 and not data.startswith(b"\x89PNG"):
            raise http.client.HTTPException("no PNG")
        timing = re.findall(r"(\w+);dur=([\d.]+)", answer.headers.get("Server-Timing", ""))
        server = {what: float(taken) / 1000 for what, taken in timing}
        return Answer(answer.status, seconds, server, float(answer.headers.get("Retry-After", 0)))


def many_clients(server: Server, clients: int, seconds: float) -> Load:
    """`clients` that ask again and again for `seconds`, each on its own connection."""
    load, turn = Load(), threading.Lock()
    bodies = [_body(_picture(number), "jpg") for number in range(8)]
    until = time.monotonic() + seconds

    def ask(number: int) -> None:
        client = Client(server.port)
        while time.monotonic() < until:
            try:
                answer = client.predict(bodies[number % len(bodies)])
            except (OSError, http.client.HTTPException) as error:
                with turn:
                    load.statuses[type(error).__name__] += 1
                client = Client(server.port)
                continue
            with turn:
                load.statuses[str(answer.status)] += 1
                if answer.status == 200:
                    load.seconds.append(answer.seconds)
            time.sleep(min(answer.wait, max(0.0, until - time.monotonic())))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        load.megabytes.append(server.megabytes())
        time.sleep(0.5)
    return load


def _picture(number: int) -> RGB:
    """Of the sample town, as its masks are those of real use: noise would cost more to write."""
    pictures = sorted(path for path in (ROOT / "sample_data" / "town").rglob("*") if path.suffix in IMAGE_SUFFIXES)
    picture = read_image(pictures[number % len(pictures)])
    return np.asarray(cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def _body(picture: RGB, kind: str) -> bytes:
    data = encode_png(picture) if kind == "png" else encode_jpeg(picture)
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="picture.{kind}"\r\n\r\n'
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


if __name__ == "__main__":
    main()
