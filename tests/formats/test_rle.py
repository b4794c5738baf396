import json
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.raster import Mask
from core.formats.rle import (
    decode_coco,
    decode_coco_crop,
    decode_runs,
    encode_coco,
    encode_runs,
    pack_counts,
    unpack_counts,
)
from core.images import ImageSize
from tests import coco_oracle
from tests.drawings import masks

RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


# ---------------------------------------------------------------------------------------------------------- oracles


@given(masks())
def test_what_we_compress_is_what_pycocotools_compresses_and_decodes(mask: Mask) -> None:
    ours = encode_coco(mask > 0)
    assert ours == coco_oracle.encode(mask > 0)
    assert np.array_equal(coco_oracle.decode(ours, *mask.shape), mask)


@given(masks())
def test_plain_runs_mean_to_pycocotools_what_they_mean_here(mask: Mask) -> None:
    plain = encode_coco(mask > 0, compressed=False)
    assert np.array_equal(coco_oracle.decode(plain, *mask.shape), mask)
    assert np.array_equal(decode_coco(plain), mask)


@given(masks())
def test_what_pycocotools_compresses_is_read_here(mask: Mask) -> None:
    theirs = coco_oracle.encode(mask > 0)
    assert np.array_equal(decode_coco(theirs), mask)
    assert np.array_equal(decode_coco({**theirs, "counts": theirs["counts"].encode()}), mask)


def test_runs_of_a_large_picture_need_several_characters_a_number() -> None:
    mask = np.zeros((3000, 2000), dtype=np.uint8)
    mask[2999, 1999] = mask[1234, 567] = 1
    mask[10:2000, 1000:1900] = 1
    theirs = coco_oracle.encode(mask > 0)
    assert encode_coco(mask > 0) == theirs
    assert np.array_equal(decode_coco(theirs), mask)


# ------------------------------------------------------------------------------------------------------- round trips


def test_runs_stand_row_by_row_and_begin_with_background() -> None:
    assert encode_runs(RING) == [0, 4, 1, 4]
    assert encode_runs(np.array([[0, 1], [1, 0]], dtype=bool)) == [1, 2, 1]
    assert encode_coco(np.array([[0, 1, 1], [0, 0, 1]], dtype=bool), compressed=False)["counts"] == [2, 1, 1, 2]


@given(masks())
def test_rows_come_back(mask: Mask) -> None:
    runs = encode_runs(mask > 0)
    assert sum(runs) == mask.size
    assert np.array_equal(decode_runs(runs, *mask.shape), mask)
    assert np.array_equal(decode_runs([str(run) for run in runs], *mask.shape), mask)


@given(masks(), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2))
def test_a_window_has_the_runs_of_the_whole_picture(mask: Mask, top: int, left: int, below: int, right: int) -> None:
    whole = np.pad(mask > 0, ((top, below), (left, right)))
    in_window = encode_coco(mask > 0, size=ImageSize(*whole.shape), top=top, left=left)
    assert in_window == encode_coco(whole)
    crop = decode_coco_crop(in_window)
    drawn = np.zeros_like(whole)
    drawn[crop.top :, crop.left :][: crop.region.shape[0], : crop.region.shape[1]] = crop.region
    assert np.array_equal(drawn, whole)
    if whole.any():
        assert crop.region.any(axis=0)[[0, -1]].all()
        assert crop.region.any(axis=1)[[0, -1]].all()
    else:
        assert crop.region.shape == (0, 0)


def test_a_window_that_leaves_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="not inside"):
        encode_coco(RING, size=ImageSize(3, 4), left=2)


@given(st.lists(st.integers(0, 2**27), max_size=12))
def test_any_numbers_survive_the_text(counts: list[int]) -> None:
    assert unpack_counts(pack_counts(counts)).tolist() == counts


def test_the_crop_of_a_small_object_is_cheap_in_a_large_picture() -> None:
    runs = encode_coco(RING, size=ImageSize(10_000, 10_000), top=5000, left=5000)
    tracemalloc.start()
    crop = decode_coco_crop(runs)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (crop.top, crop.left) == (5000, 5000)
    assert np.array_equal(crop.region, RING)
    assert most < 1_000_000


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("segmentation", "clause"),
    [
        ({}, "its size is not"),
        ({"size": [2, 2]}, "it has no runs"),
        ({"size": [2, 2], "counts": None}, "it has no runs"),
        ({"size": [2, 2], "counts": {"a": 1}}, "it has no runs"),
        ({"size": [2], "counts": [4]}, "its size is not"),
        ({"size": "22", "counts": [4]}, "its size is not"),
        ({"size": [2, "2"], "counts": [4]}, "its size is not"),
        ({"size": [2, True], "counts": [2]}, "its size is not"),
        ({"size": [2, 2.5], "counts": [5]}, "its size is not"),
        ({"size": [2, float("nan")], "counts": [5]}, "its size is not"),
        ({"size": [0, 2], "counts": []}, "its size is not"),
        ({"size": [-2, -2], "counts": [4]}, "its size is not"),
        ({"size": [10**400, 2], "counts": [4]}, "too large"),
        ({"size": [100_000, 100_000], "counts": [10**10]}, "too large"),
        ({"size": [2, 2], "counts": [3]}, "sum up to 3 pixels, not to 2 x 2 = 4"),
        ({"size": [2, 2], "counts": [5]}, "sum up to 5"),
        ({"size": [2, 2], "counts": [5, -1]}, "negative"),
        ({"size": [2, 2], "counts": [3.5, 0.5]}, "not whole"),
        ({"size": [2, 2], "counts": [float("nan")]}, "not whole"),
        ({"size": [2, 2], "counts": [float("inf")]}, "not whole"),
        ({"size": [2, 2], "counts": [10**400]}, "not whole"),
        ({"size": [2, 2], "counts": [1e12, 3]}, "too large"),
        ({"size": [2, 2], "counts": [[4]]}, "not whole"),
        ({"size": [2, 2], "counts": ["four"]}, "not whole"),
        ({"size": [2, 2], "counts": [{}]}, "not whole"),
        ({"size": [2, 2], "counts": ""}, "sum up to 0"),
        ({"size": [2, 2], "counts": "T"}, "cut off"),
        ({"size": [2, 2], "counts": "four!"}, "stand for nothing"),
        ({"size": [2, 2], "counts": "四"}, "stand for nothing"),
        ({"size": [2, 2], "counts": "\ud800"}, "stand for nothing"),
        ({"size": [2, 2], "counts": "o" * 30 + "0"}, "number that is too large"),
        ({"size": [2, 2], "counts": "N"}, "negative"),
    ],
)
def test_runs_that_cannot_be_are_refused_with_a_clause(segmentation: dict[str, Any], clause: str) -> None:
    for decode in (decode_coco, decode_coco_crop):
        with pytest.raises(ValueError, match=clause):
            decode(segmentation)


def test_whole_numbers_with_a_point_are_whole_numbers() -> None:
    assert decode_coco({"size": [1.0, 2.0], "counts": [1.0, 1.0]}).tolist() == [[False, True]]


def test_runs_of_zero_pixels_between_others_are_read() -> None:
    assert decode_runs([1, 0, 0, 1, 2], 1, 4).tolist() == [[False, True, False, False]]


@pytest.mark.parametrize(("height", "width"), [(0, 4), (-1, -4), (20_000, 20_000)])
def test_sides_that_cannot_be_are_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="its size"):
        decode_runs([4], height, width)


def test_a_bomb_of_one_long_text_among_many_numbers_costs_no_memory() -> None:
    counts = [*([1] * 100_000), "9" * 300_000]
    start = time.monotonic()
    with pytest.raises(ValueError, match="not whole"):
        decode_coco({"size": [300, 300], "counts": counts})
    assert time.monotonic() - start < 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "size": st.lists(st.integers(0, 4), min_size=2, max_size=2) | JSON,
            "counts": st.lists(st.integers(-1, 5), max_size=6) | st.text("0123456789@PQRo_no", max_size=8) | JSON,
        }
    )
)
def test_no_runs_raise_anything_but_a_value_error(segmentation: dict[str, Any]) -> None:
    region, clause = None, ""
    try:
        region = decode_coco(json.loads(json.dumps(segmentation)))
    except ValueError as error:
        clause = str(error)
    if region is None:
        assert clause.startswith(("its ", "it has "))
        return
    height, width = segmentation["size"]
    assert region.shape == (height, width)
    assert np.array_equal(decode_coco(encode_coco(region)), region)
