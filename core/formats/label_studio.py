"""Label Studio's JSON: a list of tasks, each a picture with the answers of one or several persons (FORMATS 3.7)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import ImageColor

from core.annotation.labels import BACKGROUND, IGNORE, Color
from core.annotation.shapes import Annotation, Shape
from core.errors import ReadError
from core.formats.dataset import LabelEntry, Part, PictureAnnotation, Reading, SizeOf
from core.formats.label_studio_shape import is_region, label_of, read_region, size_of_result
from core.formats.label_text import clean_label
from core.formats.labelme import UNKNOWN_SIZE
from core.formats.labelme_shape import BrokenShapeError
from core.formats.note import Note
from core.formats.picture_path import names_of_url
from core.formats.reading import MaskRoom, parse_json
from core.formats.source import PICTURE_SUFFIXES, Source, SourceFile
from core.formats.xml_events import BrokenXmlError, xml_events
from core.images import ImageSize

PART_KEY: Final = "part"  # of a task's "data": ours
_ANSWERS: Final = ("annotations", "completions", "predictions")  # completions: before version 1.0
_PARTS: Final[Mapping[str, Part]] = {"train": "train", "val": "val", "test": "test"}


@dataclass(frozen=True)
class _Task:
    """One picture.  results: the entries of the answer that was chosen."""

    picture: str
    file: str
    part: Part | None
    results: tuple[Mapping[str, Any], ...]
    notes: tuple[Note, ...]


def is_label_studio_source(source: Source) -> bool:
    """Whether at least one file of the Source is Label Studio's JSON, by content."""
    return any(_tasks_of(value) or _is_short_form(value) for value in map(parse_json, _candidates(source)))


def read_label_studio(source: Source, size_of: SizeOf) -> Reading:
    """All files of tasks in a Source. Raises ReadError when there is none that can be read.

    Of several answers to a task the latest is read, of predictions only when nobody has answered.
    """
    notes: list[Note] = []
    tasks: list[_Task] = []
    taken: set[str] = set()
    for file in _candidates(source):
        value = parse_json(file, notes)
        if _is_short_form(value):
            notes.append(Note("error", f'{file.name} is the short form JSON-MIN; export from Label Studio as "JSON"'))
        for item in _tasks_of(value):
            task = _read_task(item, file.name, size_of, taken, notes)
            if task is not None:
                tasks.append(task)
    if not tasks:
        said = f": {notes[0].text}" if notes else ""
        raise ReadError(
            f"{source.title} holds no task of Label Studio that can be read{said}.",
            hint='Export from Label Studio as "JSON".',
        )
    entries = _read_config(source)
    for task in tasks:
        for result in task.results:
            name = label_of(result)
            if name and is_region(result):
                entries.setdefault(name, LabelEntry(name))
    labels = tuple(entry for name, entry in entries.items() if name not in (BACKGROUND, IGNORE))
    return Reading(labels, (_read_picture(task, size_of) for task in tasks), tuple(notes))


# ------------------------------------------------------------------------------------------------------------ files


def _candidates(source: Source) -> list[SourceFile]:
    """A quick look, which spares parsing a folder of other JSON."""
    files = []
    for file in source.with_suffix(".json"):
        try:
            data = file.read()
        except ReadError:
            continue
        if b'"data"' in data or b'"annotation_id"' in data or b"\0" in data[:4]:  # UTF-16
            files.append(file)
    return files


def _tasks_of(value: object) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [
        item
        for item in items
        if isinstance(item, Mapping)
        and isinstance(item.get("data"), Mapping)
        and any(isinstance(item.get(key), list) for key in _ANSWERS)
    ]


def _is_short_form(value: object) -> bool:
    """JSON-MIN has the data beside the answers, which have lost their types."""
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, Mapping) and "annotation_id" in first and "annotator" in first and "data" not in first


def _read_config(source: Source) -> dict[str, LabelEntry]:
    """The labels of a labelling configuration, when one lies beside: <Label value="car" background="#ff0000"/>."""
    entries: dict[str, LabelEntry] = {}
    for file in source.with_suffix(".xml"):
        try:
            data = file.read()
            if b"<View" not in data:
                continue
            for event in xml_events(data, keep=1):
                name = clean_label(event.element.get("value", ""))
                if event.begins and event.element.tag == "Label" and name:
                    entries.setdefault(name, LabelEntry(name, _color(event.element.get("background", ""))))
        except (ReadError, BrokenXmlError):
            continue  # colours only; the tasks are read all the same
    return entries


def _color(text: str) -> Color | None:
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        return None
    return (red, green, blue)


# ------------------------------------------------------------------------------------------------------------ tasks


def _read_task(item: Mapping[str, Any], file: str, size_of: SizeOf, taken: set[str], notes: list[Note]) -> _Task | None:
    data = item["data"]
    names = _picture_names(data)
    if not names:
        notes.append(
            Note(
                "ignored",
                f"a task of {file} that names no single picture was left out",
                "# tasks that name no single picture were left out",
            )
        )
        return None
    # an upload is known by its own name, without the prefix
    usual = names[-1] if any("/upload/" in value for value in data.values() if isinstance(value, str)) else names[0]
    picture = next((name for name in names if name not in taken and size_of(name)), usual)
    if picture in taken:
        notes.append(
            Note(
                "duplicate",
                f"{picture} stands in two tasks of Label Studio; the first was read",
                "# pictures stand in two tasks of Label Studio; the first was read",
            )
        )
        return None
    taken.add(picture)
    said: list[Note] = []
    results = tuple(result for result in _chosen_answer(item, said) if isinstance(result, Mapping))
    part = data.get(PART_KEY)
    return _Task(picture, file, _PARTS.get(part) if isinstance(part, str) else None, results, tuple(said))


def _picture_names(data: Mapping[str, Any]) -> list[str]:
    """What the picture of a task may be called: what "image" says, else what looks like a picture."""
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value.strip()}
    if "image" in texts:
        return names_of_url(texts["image"])
    for text in texts.values():
        names = names_of_url(text)
        if names and names[-1].lower().endswith(PICTURE_SUFFIXES):
            return names
    return []


def _chosen_answer(item: Mapping[str, Any], notes: list[Note]) -> list[Any]:
    answers = [answer for key in ("annotations", "completions") for answer in _answers(item, key)]
    given = [answer for answer in answers if not (answer.get("was_cancelled") or answer.get("skipped"))]
    if given:
        if len(given) > 1:
            notes.append(
                Note(
                    "assumed",
                    f"of {len(given)} answers the latest was read",
                    "of several answers to a task the latest was read, in # pictures",
                )
            )
        return _latest(given)["result"]
    guesses = _answers(item, "predictions")
    if guesses:
        notes.append(
            Note(
                "assumed",
                "nobody has answered; the prediction of a model was read",
                "nobody has answered in # pictures; the predictions of a model were read",
            )
        )
        return _latest(guesses)["result"]
    if answers:
        notes.append(Note("unmatched", "a picture was skipped by its annotator", "# pictures were skipped"))
    else:
        notes.append(Note("unmatched", "a picture has no annotation", "# pictures have no annotation"))
    return []


def _answers(item: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    answers = item.get(key)
    return [
        answer
        for answer in (answers if isinstance(answers, list) else ())
        if isinstance(answer, Mapping) and isinstance(answer.get("result"), list)
    ]


def _latest(answers: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """By their times, which are ISO texts; of equal ones the last in the file."""
    times = [str(answer.get("updated_at") or answer.get("created_at") or "") for answer in answers]
    return answers[max(range(len(answers)), key=lambda i: (times[i], i))]


# --------------------------------------------------------------------------------------------------------- pictures


def _read_picture(task: _Task, size_of: SizeOf) -> PictureAnnotation:
    notes = list(task.notes)
    size = next((size for size in map(size_of_result, task.results) if size), None)
    if size is None:
        info = size_of(task.picture)
        size = info.size if info else UNKNOWN_SIZE
    shapes: list[Shape] = []
    room = MaskRoom()
    for result, label in _regions(task, notes):
        try:
            shape, said = _read_one(result, label, size)
            room.take(shape)
        except BrokenShapeError as error:
            notes.append(error.note)
            continue
        shapes.append(shape)
        notes += said
    annotation = Annotation(size=size, shapes=tuple(shapes))
    return PictureAnnotation(task.picture, annotation, task.file, tuple(notes), task.part)


def _regions(task: _Task, notes: list[Note]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """What was drawn, each region once, with its label: a region and its label may stand in entries of one id."""
    labelled: dict[str, str] = {}
    for result in task.results:
        if is_region(result) and label_of(result):
            labelled.setdefault(str(result.get("id")), label_of(result))
    seen: set[str] = set()
    for result in task.results:
        if not is_region(result):
            kind = clean_label(result.get("type"))[:40] or "unknown"
            notes.append(
                Note(
                    "ignored",
                    f"an answer of the type {kind!r}, which is no shape here, was left out",
                    f"# answers of the type {kind!r}, which is no shape here, were left out",
                )
            )
            continue
        key = str(result.get("id"))
        label = label_of(result) or (labelled.get(key, "") if "id" in result else "")
        if "id" in result and key in seen:
            continue
        if not label:
            notes.append(
                Note("ignored", "a shape without a label was left out", "# shapes without a label were left out")
            )
            continue
        seen.add(key)
        yield result, label


def _read_one(result: Mapping[str, Any], label: str, size: ImageSize) -> tuple[Shape, list[Note]]:
    if result.get("item_index"):
        raise BrokenShapeError(
            "a shape on the second or a further picture of a task was left out",
            "# shapes on further pictures of a task were left out",
        )
    told = size_of_result(result)
    if told is not None and told != size:
        raise BrokenShapeError(
            f"a shape was left out: it was drawn on a picture of {told}, others on {size}",
            "# shapes drawn on a picture of another size were left out",
        )
    if size == UNKNOWN_SIZE:
        raise BrokenShapeError(
            "a shape was left out: neither the file nor a picture says what its percentages are of",
            "# shapes were left out: neither the file nor a picture says what their percentages are of",
        )
    return read_region(result, label, size)
