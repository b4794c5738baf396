"""What the training process says of itself in status.json: how far it is, and every two seconds that it lives."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from core.errors import WriteError
from core.training.config import TrainingConfig
from core.training.status import process_of, write_status

if TYPE_CHECKING:
    from core.training.loop import StepResult

_BEAT: Final = 2.0  # seconds


class Pace:
    """How far, and how long still, from the Steps of this process."""

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config
        self._first: StepResult | None = None
        self.epochs = config.epochs  # as many as there will be: fewer than the Config's where time ends it

    def of(self, result: "StepResult") -> dict[str, Any]:
        """What status.json says after a Step."""
        self._first = self._first or result
        done, seconds = result.progress - self._first.progress, result.seconds - self._first.seconds
        left = seconds * (1 - result.progress) / done if done > 0 else None
        if self._config.minutes is not None:
            in_all = round(result.step / self._config.steps_per_epoch / max(result.progress, 1e-6))
            self.epochs = min(self._config.epochs, max(result.epoch, in_all))
        return {
            "epoch": result.epoch,
            "epochs": self.epochs,
            "seconds": round(result.seconds, 2),
            "seconds_left": None if left is None else round(left, 1),
        }


class Status:
    """status.json, written when what it does or the Epoch changes, and by a thread every two seconds."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self._folder = folder
        self._value: dict[str, Any] = {"state": "running", "epoch": 0, "epochs": epochs, "doing": "trains"}
        self._value |= process_of(os.getpid())
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Status":
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def update(self, **changes: Any) -> None:
        with self._lock:
            news = any(changes.get(key, self._value[key]) != self._value[key] for key in ("doing", "epoch"))
            self._value.update(changes)
        if news:
            self._write()

    def end(self, state: str, **facts: str) -> None:
        """The last word; no heartbeat follows it."""
        self._ended.set()
        self.update(state=state, **facts)
        self._write()

    def _write(self) -> None:
        with self._lock:
            write_status(self._folder, {**self._value, "heartbeat": time.time()})

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            try:
                self._write()
            except WriteError:
                continue  # the training itself meets the full disk soon, and says so
