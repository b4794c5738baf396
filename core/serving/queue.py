"""Predictions one after the other: a thread computes, a bounded number of requests waits, others shall come back.

Small pictures are not put together into batches. On a processor the network uses all cores for a single window already:
four windows of 512 x 512 in one batch took 0.89 times as long as one after the other (ONNX Runtime 1.65 s and 1.88 s,
OpenVINO 0.72 s and 0.81 s, on two busy cores), and the first of them would wait for the last.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Generic, TypeVar

from core.inference.rows import Cancelled
from core.serving.refusals import BusyError, RefusedError

WAITING: Final = 16
SECONDS: Final = 300.0
_SHARE: Final = 0.2  # of the latest in the running mean of seconds

T = TypeVar("T")
Work = Callable[[Callable[[], bool]], T]  # is given what says whether to stop, and raises Cancelled when it has


class Turn(Generic[T]):
    """One request's place, and its answer to come."""

    def __init__(self, queue: "TurnQueue", work: Work[T]) -> None:
        self._queue = queue
        self._work = work
        self._left = False
        self.future: Future[T] = Future()

    def leave(self) -> None:
        """Nobody waits for the answer any more: a place in the queue is free, or the work is told to stop."""
        self._left = True
        self._queue.forget(self)
        self.future.cancel()

    def run(self, seconds: float) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        until = time.monotonic() + seconds
        try:
            self.future.set_result(self._work(lambda: self._left or time.monotonic() > until))
        except Cancelled:
            late = RefusedError(
                503, f"The prediction took more than {seconds:g} s.", hint="Send a smaller picture, or parts of it."
            )
            self.future.set_exception(late)
        except BaseException as error:
            self.future.set_exception(error)


class TurnQueue:
    """A thread that runs one piece of work after the other. Threads may share it."""

    def __init__(self, name: str, *, waiting: int = WAITING, seconds: float = SECONDS) -> None:
        """waiting: how many may wait beside the one that runs.  seconds: how long one may run."""
        self._most, self._seconds = waiting, seconds
        self._waiting: deque[Turn[object]] = deque()
        self._changed = threading.Condition()
        self._running = self._closed = False
        self._usual = 0.0  # seconds
        threading.Thread(target=self._run, name=f"predictions of {name}", daemon=True).start()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        return self._running or bool(self._waiting)

    def check(self) -> None:
        """Raises BusyError when no more may wait."""
        if len(self._waiting) >= self._most and self._running:
            raise BusyError(self._usual * (len(self._waiting) + 1) / 2)

    def take(self, work: Work[T]) -> Turn[T]:
        """A place for `work`, at the end. Raises BusyError when no more may wait."""
        turn = Turn(self, work)
        with self._changed:
            if self._closed:
                raise BusyError(1)
            self.check()
            self._waiting.append(turn)  # type: ignore[arg-type]
            self._changed.notify()
        return turn

    def forget(self, turn: Turn[T]) -> None:
        """Its place is free for another; nothing where it is running or has run."""
        with self._changed:
            if turn in self._waiting:
                self._waiting.remove(turn)  # type: ignore[arg-type]

    def close(self) -> None:
        """Those that wait get their answers, then the thread ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while (turn := self._next()) is not None:
            started = time.monotonic()
            turn.run(self._seconds)
            del turn  # with its picture: nothing of it stays while there is nothing to do
            taken = time.monotonic() - started
            self._usual = taken if self._usual == 0 else (1 - _SHARE) * self._usual + _SHARE * taken

    def _next(self) -> Turn[object] | None:
        with self._changed:
            self._running = False
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return None
            self._running = True
            return self._waiting.popleft()
