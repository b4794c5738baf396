"""Files are whole or absent."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ReadError, WriteError
from core.files import locked, natural_key, read_json, safe_name, write_bytes, write_json


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "project.json"
    write_bytes(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="the disk is full"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["project.json"]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="was not saved"):
        write_bytes(tmp_path / "file" / "a.json", b"")


def test_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ReadError, match=r"a\.json is not readable JSON"):
        read_json(tmp_path / "a.json")


def test_json_keeps_every_script(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "葡萄 é"})
    assert "葡萄" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"name": "葡萄 é"}


@given(st.text(max_size=300))
def test_a_safe_name_is_one_file_name(text: str) -> None:
    name = safe_name(text)
    assert name
    assert name not in (".", "..")
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert len(name.encode()) <= 255
    assert safe_name(name) == name


def test_slice_2_comes_before_slice_10() -> None:
    assert sorted(["s10", "s2", "s1"], key=natural_key) == ["s1", "s2", "s10"]


def test_a_lock_that_is_held_is_said_at_once_to_who_does_not_wait(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(WriteError, match="is writing to"):  # noqa: SIM117
        with locked(tmp_path / "lock", wait=False):
            raise AssertionError
    with locked(tmp_path / "lock", wait=False):
        pass
    code = "import sys, pathlib, core.files as f\nwith f.locked(pathlib.Path(sys.argv[1]), wait=False): pass"
    with locked(tmp_path / "lock"):
        ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], capture_output=True, text=True)
    assert "is writing to" in ended.stderr
