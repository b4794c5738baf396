"""The curves of a Run: metrics.csv and steps.csv, written row by row."""

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from core.files import write_bytes, write_error
from core.training.columns import csv_line, read_columns
from core.training.run import Run

if TYPE_CHECKING:
    from core.training.loop import EpochResult, StepResult, TrainingState

STEP_COLUMNS: Final = ("step", "epoch", "seconds", "loss", "learning_rate")
EPOCH_COLUMNS: Final = (
    "epoch",
    "step",
    "seconds",
    "train_loss",
    "val_loss",
    "train_iou",
    "val_iou",
    "val_mean_iou",
    "learning_rate",
    "waiting_share",
)
_STEP_ROWS_EVERY: Final = 1.0  # seconds between rows of steps.csv


class Curves:
    """metrics.csv and steps.csv. What was written after the state that is gone on from is cut off first."""

    def __init__(self, run: Run, state: "TrainingState | None") -> None:
        self._run = run
        self._labels = [label.name for label in run.labels.foreground]
        self._last_row = -math.inf
        epoch, step = (state.numbers["epoch"], state.numbers["step"]) if state else (0, 0)
        columns = [*EPOCH_COLUMNS, *(f"val_iou:{name}" for name in self._labels)]
        self._begin("metrics.csv", columns, "epoch", epoch)
        self._begin("steps.csv", STEP_COLUMNS, "step", step)

    def add_step(self, result: "StepResult") -> bool:
        """At most a row a second, and always the first: a person waits for it. Whether there is one for this Step."""
        at = time.monotonic()
        if at - self._last_row < _STEP_ROWS_EVERY:
            return False
        self._last_row = at
        row = (result.step, result.epoch, result.seconds, result.loss, result.learning_rate)
        self._append("steps.csv", row)
        return True

    def go_back(self, step: int) -> None:
        """Cut off the Steps after `step`, which come again."""
        self._begin("steps.csv", STEP_COLUMNS, "step", step)

    def add_epoch(self, result: "EpochResult") -> None:
        val = result.val_matrix
        row = (
            result.epoch,
            result.step,
            result.seconds,
            result.train_loss,
            result.val_loss,
            result.train_matrix.mean_iou_foreground,
            val.mean_iou_foreground if val else None,
            val.mean_iou if val else None,
            result.learning_rate,
            result.waiting_share,
            *(val.iou()[1:] if val else [None] * len(self._labels)),
        )
        self._append("metrics.csv", row)

    def _begin(self, file: str, columns: Sequence[str], key: str, last: int) -> None:
        old = read_columns(self._run.folder / file)
        kept = [i for i, value in enumerate(old.get(key, [])) if value is not None and value <= last]
        known = [old.get(name, [None] * len(old[key])) for name in columns] if kept else []
        text = csv_line(columns) + "".join(csv_line([values[i] for values in known]) for i in kept)
        write_bytes(self._run.folder / file, text.encode(), durable=False)

    def _append(self, file: str, row: Sequence[float | None]) -> None:
        path = self._run.folder / file
        try:
            with path.open("a", encoding="utf-8") as target:
                target.write(csv_line(row))
        except OSError as error:
            raise write_error(path, error) from error
