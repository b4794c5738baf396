"""The curves and sample pictures of a Run as TensorBoard events in <run>/tensorboard/, beside its CSVs.

Points wait in memory and are written once an Epoch. Each process that trains a Run begins a file of its own, because a
reader does not get past the torn record that a killed one may leave. The first record of a later file takes back what
was written after the state that is gone on from. Nothing here ends a training: the CSVs have the same numbers.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.errors import WriteError
from core.files import write_error
from core.images import RGB, encode_jpeg
from core.training.run import Run

if TYPE_CHECKING:
    from core.training.loop import EpochResult, StepResult, TrainingState

EVENTS_FOLDER: Final = "tensorboard"  # in the Run's folder
PICTURE_EPOCHS: Final = 20  # of a Run, about: the folder stays at some megabytes
_QUALITY: Final = 80  # of the JPEGs
_FORMAT: Final = "brain.Event:2"  # what readers know: a START record takes back later steps


class Events:
    """The events of a Run, from `state` on. `say` is told once, where they cannot be written any more, why."""

    def __init__(self, run: Run, state: "TrainingState | None", say: Callable[[str], object]) -> None:
        self._say, self._ended = say, False
        self._labels = [label.name for label in run.labels.foreground]
        self._waiting: list[Any] = []
        self._share = -1  # of the training, in parts of PICTURE_EPOCHS, that had pictures last
        folder = run.folder / EVENTS_FOLDER
        number = len(list(folder.glob("*tfevents*")))
        self._path = folder / f"events.out.tfevents.{number:04d}"
        self._add(0, file_version=_FORMAT)
        if number:
            self._add((state.numbers["step"] if state else 0) + 1, session_log={"status": "START"})
        else:
            self._add(0, summary=_text("config", json.dumps(run.config.to_json(), indent=2, ensure_ascii=False)))
        self._write()

    def add_step(self, result: "StepResult") -> None:
        """A point of the loss and the learning rate."""
        values = {"loss/step": result.loss, "learning_rate": result.learning_rate}
        self._add(result.step, summary=_scalars(values))

    def go_back(self, step: int) -> None:
        """Strike out the points after `step`: the training goes on from there."""
        self._add(step + 1, session_log={"status": "START"})

    def add_epoch(self, result: "EpochResult", pictures: Mapping[str, RGB]) -> None:
        """The Epoch's points and, about PICTURE_EPOCHS times in a Run, its `pictures` by Sample; then to the disk."""
        val = result.val_matrix
        ious = val.iou()[1:] if val else []
        values = {
            "loss/train": result.train_loss,
            "loss/validation": result.val_loss,
            "iou/train": result.train_matrix.mean_iou_foreground,
            "iou/validation": val.mean_iou_foreground if val else None,
            **{f"label_iou/{name}": iou for name, iou in zip(self._labels, ious, strict=False)},
        }
        self._add(result.step, summary=_scalars(values))
        share = int(result.progress * (PICTURE_EPOCHS - 1))
        if pictures and share > self._share:
            self._share = share
            self._add(result.step, summary={"value": [_picture(name, image) for name, image in pictures.items()]})
        self._write()

    def _add(self, step: int, **what: Any) -> None:
        if not self._ended:
            self._waiting.append({"wall_time": time.time(), "step": step, **what})

    def _write(self) -> None:
        """Append what waits."""
        if self._ended:
            return
        try:
            _append(self._path, self._waiting)
        except ImportError:
            self._end("TensorBoard is not installed, so no events are written.")
        except OSError as error:
            self._end(f"No TensorBoard events from here on. {write_error(self._path, error).message}")
        self._waiting.clear()

    def _end(self, reason: str) -> None:
        self._ended = True
        with suppress(WriteError):  # the disk that refused the events may refuse the log
            self._say(reason)


def _append(path: Path, events: list[dict[str, Any]]) -> None:
    """Add records to an events file. Raises OSError, and ImportError without TensorBoard."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(Event(**event).SerializeToString())


# ------------------------------------------------------------------------------------- summaries, as protobuf has them


def _scalars(values: Mapping[str, float | None]) -> dict[str, Any]:
    """What was not measured is left out."""
    return {"value": [{"tag": _utf8(tag), "simple_value": x} for tag, x in values.items() if x is not None]}


def _picture(name: str, image: RGB) -> dict[str, Any]:
    """JPEG, not TensorBoard's usual PNG: 1.4 to 6 times smaller on triplets of ../shared/data."""
    height, width = image.shape[:2]
    encoded = encode_jpeg(image, quality=_QUALITY)
    inner = {"height": height, "width": width, "colorspace": 3, "encoded_image_string": encoded}
    return {"tag": _utf8(f"pictures/{name}"), "image": inner}


def _text(tag: str, text: str) -> dict[str, Any]:
    """A text that is shown as it is: indented, it is a code block of Markdown."""
    lines = "\n".join(f"    {line}" for line in _utf8(text).splitlines())
    tensor = {"dtype": "DT_STRING", "string_val": [lines.encode()], "tensor_shape": {"dim": [{"size": 1}]}}
    return {"value": [{"tag": tag, "metadata": {"plugin_data": {"plugin_name": "text"}}, "tensor": tensor}]}


def _utf8(text: str) -> str:
    """Names of files may hold what UTF-8 cannot, and protobuf refuses that."""
    return text.encode(errors="replace").decode()
