"""CSV of numbers: what is written is what is read."""

from pathlib import Path

from core.training.columns import csv_line, read_columns


def test_rows_come_back_as_columns(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(csv_line(["epoch", 'val_iou:a, "b"', "x"]) + csv_line([1, None, 0.25]) + csv_line([2.0, 1e-7, 3]))
    assert read_columns(path) == {"epoch": [1, 2], 'val_iou:a, "b"': [None, 1e-7], "x": [0.25, 3]}


def test_a_file_that_is_not_there_or_empty_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    assert read_columns(tmp_path / "empty.csv") == read_columns(tmp_path / "none.csv") == {}
