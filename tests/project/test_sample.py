"""What an annotation file says of itself, and which pictures a folder holds."""

import os
from pathlib import Path

import pytest

from core.annotation.shapes import Annotation
from core.images import ImageSize
from core.project.sample import STATES, SampleState, Stamp, samples_in, stamp_of, stamped, with_stamp

EMPTY = Annotation(size=ImageSize(2, 2))


@pytest.mark.parametrize("state", STATES)
def test_a_stamp_comes_back(state: SampleState) -> None:
    stamp = Stamp(3, state, "Ann", "now", "model")
    assert stamp_of(with_stamp(EMPTY, stamp)) == stamp


@pytest.mark.parametrize("own", [None, [], {"version": -1, "state": ["done"], "source": {}}, {"version": "7"}])
def test_a_file_of_another_program_counts_as_done(own: object) -> None:
    stamp = stamp_of(Annotation(size=ImageSize(2, 2), extra={"maskloop": own}))
    assert (stamp.version, stamp.state, stamp.source) == (0, "done", "outside")


def test_a_save_of_a_person_needs_no_word_about_it() -> None:
    saved = stamped(EMPTY, version=1, state="done", author="Ann")
    assert "source" not in saved.extra["maskloop"]
    assert stamp_of(saved).source == "person"
    assert stamp_of(None) == Stamp(0, "todo", "", "")


def test_pictures_are_listed_anew_when_the_folder_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    os.utime(tmp_path, (1, 1))
    listed = samples_in(tmp_path)
    assert list(listed) == ["a"]
    assert samples_in(tmp_path) is listed
    for name in ("b.png", "c.png"):  # within one tick of the clock
        (tmp_path / name).touch()
        assert name[0] in samples_in(tmp_path)
    (tmp_path / "a.png").unlink()
    assert list(samples_in(tmp_path)) == ["b", "c"]
