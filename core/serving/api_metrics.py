"""What the prediction API counts, in Prometheus' text format, which is written by hand: it is a few lines."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import psutil

_BOUNDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """How many measurements lay at or below each of `_BOUNDS`."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str) -> Iterator[str]:
        total = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class ApiMetrics:
    """Counters of one process. Threads may share it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._answers, self._networks = Histogram(), Histogram()

    def count(self, path: str, status: int) -> None:
        with self._turn:
            self._requests[path, status] += 1

    def predicted(self, answer: float, network: float) -> None:
        """Seconds from a request's first line to its answer, and those of them that the network computed."""
        with self._turn:
            self._answers.add(answer)
            self._networks.add(network)

    def text(self, waiting: Iterable[tuple[str, int]]) -> str:
        """waiting: of each loaded model how many requests wait for it."""
        with self._turn:
            requests = sorted(self._requests.items())
            answers = [*self._answers.lines("maskloop_predict_seconds")]
            networks = [*self._networks.lines("maskloop_network_seconds")]
        memory = psutil.Process().memory_info().rss
        lines = [
            *_head("maskloop_requests_total", "counter", "Requests by path and status."),
            *(f'maskloop_requests_total{{path="{_safe(p)}",status="{status}"}} {n}' for (p, status), n in requests),
            *_head("maskloop_predict_seconds", "histogram", "Seconds from a request for a prediction to its answer."),
            *answers,
            *_head("maskloop_network_seconds", "histogram", "Seconds of these that the network computed."),
            *networks,
            *_head("maskloop_waiting", "gauge", "Requests that wait for a model."),
            *(f'maskloop_waiting{{model="{_safe(model)}"}} {count}' for model, count in waiting),
            *_head("process_resident_memory_bytes", "gauge", "Memory of this process."),
            f"process_resident_memory_bytes {memory}",
        ]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _safe(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
