"""The curves of a Run once more, as TensorBoard reads them: <run>/tensorboard/. For people who are used to it.

Nothing in the app reads them, so a failure to write them is said once in the log and ends nothing.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from core.images import RGB
from core.training.run import Run

if TYPE_CHECKING:
    from core.training.loop import EpochResult, StepResult, TrainingState

FOLDER: Final = "tensorboard"
_STEP_EVERY: Final = 1.0  # seconds between two points of the loss
_PICTURES_MOST: Final = 20  # Epochs with pictures: a Run of 100 has them every fifth


class Events:
    """Scalars by Step and Epoch, pictures of input | truth | prediction, the settings as text.

    A Run that goes on writes a further file in the same folder; what came after its state is struck out.
    say: told once, in a sentence, when nothing can be written any more.
    """

    def __init__(self, run: Run, state: "TrainingState | None", *, say: Callable[[str], None]) -> None:
        self._say = say
        self._labels = [label.name for label in run.labels.foreground]
        self._every = max(1, -(-run.config.epochs // _PICTURES_MOST))
        self._last = 0.0
        self._writer = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            step = state.numbers["step"] + 1 if state else None
            self._writer = SummaryWriter(str(run.folder / FOLDER), purge_step=step)
            if state is None:
                settings = json.dumps(run.config.as_settings(), indent=1)
                self._writer.add_text("settings", f"```\n{settings}\n```")
        except (ImportError, OSError, RuntimeError) as error:
            self._fail(error)

    def add_step(self, result: "StepResult") -> None:
        """At most a point a second."""
        if time.monotonic() - self._last >= _STEP_EVERY:
            self._last = time.monotonic()
            self._add({"loss/step": result.loss, "learning_rate": result.learning_rate}, result.step)

    def add_epoch(self, result: "EpochResult", triplets: Mapping[str, RGB]) -> None:
        """triplets: by Sample, picture, truth and prediction side by side; kept of some Epochs only."""
        values = {"loss/train": result.train_loss, "iou/train": result.train_matrix.mean_iou_foreground}
        if result.val_matrix is not None:
            ious = dict(zip(self._labels, result.val_matrix.iou()[1:], strict=True))
            values |= {"loss/validation": result.val_loss, "iou/validation": result.val_matrix.mean_iou_foreground}
            values |= {f"iou of labels/{name}": iou for name, iou in ious.items()}
        self._add(values, result.step)
        if self._writer is None:
            return
        try:
            if result.epoch % self._every == 0 or result.progress >= 1:
                for name, picture in triplets.items():
                    self._writer.add_image(name, np.asarray(picture), result.step, dataformats="HWC")
            self._writer.flush()
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def close(self) -> None:
        if self._writer is not None:
            try:
                self._writer.close()
            except (OSError, RuntimeError) as error:
                self._fail(error)

    def _add(self, values: Mapping[str, float | None], step: int) -> None:
        if self._writer is None:
            return
        try:
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(name, value, step)
        except (OSError, RuntimeError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._say(f"The curves for TensorBoard are not written any more ({error}); all else goes on.")
        self._writer = None
