"""Curves on disk: a CSV of numbers, read while somebody writes it."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path


def read_columns(path: Path) -> dict[str, list[float | None]]:
    """A CSV of numbers as columns. A torn or foreign row is left out: somebody may be writing it just now."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    whole = text[: text.rfind("\n") + 1]
    rows = csv.reader(io.StringIO(whole, newline=""))
    names = next(rows, [])
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    for row in rows:
        if len(row) != len(names):
            continue
        try:
            values = [float(cell) if cell else None for cell in row]
        except ValueError:
            continue
        for name, value in zip(names, values, strict=True):
            columns[name].append(value)
    return columns


def csv_line(cells: Sequence[str | float | None]) -> str:
    """One row with its line break; numbers to six digits, None as an empty cell."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([_shortened(cell) for cell in cells])
    return line.getvalue()


def _shortened(cell: str | float | None) -> str | float | None:
    if not isinstance(cell, float):
        return cell
    return int(cell) if cell.is_integer() else f"{cell:.6g}"
