"""The file beside a folder of masks that says what its ids or colours are called: classes.csv, .json or labels.txt."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.annotation.labels import LabelSet, parse_color, parse_labels_txt
from core.errors import ConfigError, ReadError
from core.formats.label_text import clean_label

FILE_NAMES: Final = ("classes.csv", "classes.json", "class_dict.csv", "labels.txt", "class_names.txt")  # best first
_INDEX: Final = ("index", "id", "value", "class_id")
_NAME: Final = ("name", "class", "label")


@dataclass(frozen=True)
class ClassTable:
    """names: id -> name.  colors: packed colour (red << 16 | green << 8 | blue) -> name."""

    names: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)


def read_class_table(data: bytes, *, name: str) -> ClassTable:
    """Read a table of classes. Raises ReadError.

    classes.csv: a header with index and name; color or r, g, b if any. classes.json: the same as objects, or
    {"1": "crack"}. labels.txt, as Labelme exports by it: the names in the order of their ids, 1 the first drawn one.
    """
    try:
        text = data.decode("utf-8-sig")
        if name.lower().endswith(".txt"):
            return ClassTable(dict(enumerate(parse_labels_txt(text, name=name).names)))
        rows = _json_rows(text) if name.lower().endswith(".json") else _csv_rows(text)
        return _table(rows)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error, ConfigError) as error:
        raise ReadError(
            f"{name} cannot be used: {error}.", hint="It needs the columns index and name, one class a row."
        ) from error


def write_class_table(labels: LabelSet) -> bytes:
    """classes.json for `labels`: index, name and colour of each."""
    rows = [{"index": index, **label} for index, label in enumerate(labels.to_json())]
    return json.dumps(rows, ensure_ascii=False, indent=2).encode()


def pack(red: int, green: int, blue: int) -> int:
    """A colour as one number."""
    return red << 16 | green << 8 | blue


def _csv_rows(text: str) -> list[dict[str, Any]]:
    dialect = csv.Sniffer().sniff(text.splitlines()[0], ",;\t") if text.strip() else csv.excel
    return [
        {str(key).strip().lower(): (value or "").strip() for key, value in row.items() if isinstance(value, str | None)}
        for row in csv.DictReader(io.StringIO(text), dialect=dialect)
    ]


def _json_rows(text: str) -> list[dict[str, Any]]:
    value = json.loads(text)
    if isinstance(value, dict):
        return [{"index": key, "name": name} for key, name in value.items()]
    return [{str(key).lower(): item for key, item in row.items()} for row in value]


def _table(rows: Iterable[Mapping[str, Any]]) -> ClassTable:
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    for row in rows:
        name = next((clean_label(str(row[key])) for key in _NAME if row.get(key)), "")
        if not name:
            raise ValueError("a row has no name")
        index = next((row[key] for key in _INDEX if row.get(key) not in (None, "")), None)
        if index is not None:
            names[int(index)] = name
        color = _color(row)
        if color is not None:
            colors[color] = name
        if index is None and color is None:
            raise ValueError(f"{name!r} has neither an index nor a colour")
    return ClassTable(names, colors)


def _color(row: Mapping[str, Any]) -> int | None:
    if all(row.get(key) not in (None, "") for key in ("r", "g", "b")):
        return pack(int(row["r"]), int(row["g"]), int(row["b"]))
    text = row.get("color") or row.get("colour")
    return pack(*parse_color(str(text))) if text else None
