"""Shapes on their way to the browser and back, and everything that cannot be one."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.annotation.pixels import Box
from core.annotation.shapes import MaskShape, Shape
from core.errors import ReadError
from core.formats.labelme_shape import read_shape, write_shape
from core.project.edits import Paint, Replace, Reshape
from core.serving.wire import MOST_POINTS, edit_from_wire, plain, shape_from_wire, shape_to_wire
from tests.drawings import mask_shapes, outlines

TRIANGLE = {"kind": "polygon", "label": "coin", "points": [[1, 1], [6, 1], [1, 6.5]]}
MASK = {"kind": "mask", "label": "coin", "box": [0, 0, 2, 2], "rle": [1, 3]}
NOT_A_NUMBER = [float("nan"), float("inf"), None, "1", True, [1], 10**400, -1_000_001]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(outlines() | mask_shapes())
def test_a_shape_comes_back_as_it_went(shape: Shape) -> None:
    assert shape_from_wire(shape_to_wire(shape)) == shape


@settings(deadline=None)
@given(st.text(min_size=1, max_size=4), st.dictionaries(st.text(max_size=3), ODD, max_size=3), st.none() | st.text())
def test_what_is_let_in_is_read_from_the_file_as_it_was(label: str, extra: Any, description: str | None) -> None:
    try:
        shape = shape_from_wire({**TRIANGLE, "label": label, "extra": extra, "description": description})
    except ReadError:
        assert not "".join(letter for letter in label if ord(letter) >= 32).strip()
        return
    assert read_shape(write_shape(shape)) == (shape, [])


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        "polygon",
        {},
        {**TRIANGLE, "kind": "star"},
        {**TRIANGLE, "kind": ["polygon"]},
        {**TRIANGLE, "label": ""},
        {**TRIANGLE, "label": " \n"},
        {**TRIANGLE, "label": 5},
        {**TRIANGLE, "points": None},
        {**TRIANGLE, "points": [[0, 0], [1, 1]]},
        {**TRIANGLE, "points": [[0, 0, 0]] * 3},
        {**TRIANGLE, "points": {"0": 1}},
        *({**TRIANGLE, "points": [[0, 0], [1, 1], [2, odd]]} for odd in NOT_A_NUMBER),
        {**TRIANGLE, "points": [[0, 0]] * (MOST_POINTS + 1)},
        {**TRIANGLE, "kind": "rectangle"},
        {**TRIANGLE, "group_id": "one"},
        {**TRIANGLE, "group_id": 1.5},
        {**TRIANGLE, "description": 5},
        {**TRIANGLE, "flags": [1]},
        {**TRIANGLE, "extra": [1]},
        {
            **TRIANGLE,
            "extra": {
                "a": [
                    [
                        [
                            [
                                [
                                    [
                                        [
                                            [
                                                [
                                                    [
                                                        [
                                                            [
                                                                [
                                                                    [
                                                                        [
                                                                            [
                                                                                [
                                                                                    [
                                                                                        [
                                                                                            [
                                                                                                [
                                                                                                    [
                                                                                                        [
                                                                                                            [
                                                                                                                [
                                                                                                                    [
                                                                                                                        [
                                                                                                                            [
                                                                                                                                [
                                                                                                                                    [
                                                                                                                                        [
                                                                                                                                            [
                                                                                                                                                [
                                                                                                                                                    [
                                                                                                                                                        [
                                                                                                                                                            [
                                                                                                                                                                [
                                                                                                                                                                    [
                                                                                                                                                                        [
                                                                                                                                                                            [
                                                                                                                                                                                [
                                                                                                                                                                                    [
                                                                                                                                                                                        [
                                                                                                                                                                                            [
                                                                                                                                                                                                [
                                                                                                                                                                                                    [
                                                                                                                                                                                                        [
                                                                                                                                                                                                            [
                                                                                                                                                                                                                [
                                                                                                                                                                                                                    [
                                                                                                                                                                                                                        [
                                                                                                                                                                                                                            []
                                                                                                                                                                                                                        ]
                                                                                                                                                                                                                    ]
                                                                                                                                                                                                                ]
                                                                                                                                                                                                            ]
                                                                                                                                                                                                        ]
                                                                                                                                                                                                    ]
                                                                                                                                                                                                ]
                                                                                                                                                                                            ]
                                                                                                                                                                                        ]
                                                                                                                                                                                    ]
                                                                                                                                                                                ]
                                                                                                                                                                            ]
                                                                                                                                                                        ]
                                                                                                                                                                    ]
                                                                                                                                                                ]
                                                                                                                                                            ]
                                                                                                                                                        ]
                                                                                                                                                    ]
                                                                                                                                                ]
                                                                                                                                            ]
                                                                                                                                        ]
                                                                                                                                    ]
                                                                                                                                ]
                                                                                                                            ]
                                                                                                                        ]
                                                                                                                    ]
                                                                                                                ]
                                                                                                            ]
                                                                                                        ]
                                                                                                    ]
                                                                                                ]
                                                                                            ]
                                                                                        ]
                                                                                    ]
                                                                                ]
                                                                            ]
                                                                        ]
                                                                    ]
                                                                ]
                                                            ]
                                                        ]
                                                    ]
                                                ]
                                            ]
                                        ]
                                    ]
                                ]
                            ]
                        ]
                    ]
                ]
            },
        },
        {**MASK, "box": None},
        {**MASK, "box": [0, 0, 2]},
        {**MASK, "box": [0, 0, 0, 2], "rle": []},
        {**MASK, "box": [0.5, 0, 2, 2]},
        {**MASK, "box": [2_000_000, 0, 2, 2]},
        {**MASK, "box": [0, 0, 10**6, 10**6], "rle": [10**12]},
        {**MASK, "rle": None},
        {**MASK, "rle": [1, 2]},
        {**MASK, "rle": [1, 4]},
        {**MASK, "rle": [-1, 5]},
        {**MASK, "rle": [1.0, 3]},
        {**MASK, "rle": [True, 3]},
        {**MASK, "rle": [1, 2**70]},
        {**MASK, "rle": "13"},
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(wire: object) -> None:
    with pytest.raises(ReadError) as caught:
        shape_from_wire(wire)
    assert caught.value.message.endswith(".")
    assert len(caught.value.message) < 200


def test_points_may_lie_outside_and_unknown_keys_are_left_out() -> None:
    far = shape_from_wire(
        {**TRIANGLE, "points": [[-1e6, 0], [1e6, 0], [3, 1e6]], "odd": 1, "extra": {"points": 1, "a": 2}}
    )
    assert far.points_xy[0] == (-1e6, 0)
    assert far.extra == {"a": 2}


def test_edits_come_in() -> None:
    assert edit_from_wire({"kind": "splice", "at": 1, "remove": 2, "add": []}) == Replace(1, 2, ())
    paint = edit_from_wire({"kind": "paint", "at": 0, "box": [-1, 2, 2, 1], "rle": [0, 1, 1]})
    assert isinstance(paint, Paint)
    assert (paint.at, paint.box, paint.region.tolist()) == (0, Box(-1, 2, 2, 1), [[True, False]])
    operation = {"kind": "op", "name": "split", "at": [1, 2], "points": [[0, 0], [5, 5]], "options": {"tolerance": 2}}
    assert edit_from_wire(operation) == Reshape("split", (1, 2), ((0, 0), (5, 5)), {"tolerance": 2})
    assert edit_from_wire({"kind": "op", "name": "merge", "at": []}) == Reshape("merge", (), (), {})


@pytest.mark.parametrize(
    "edit",
    [
        None,
        {"kind": "explode"},
        {"kind": "splice", "at": 0},
        {"kind": "splice", "at": "0", "remove": 0, "add": []},
        {"kind": "splice", "at": 0, "remove": 0, "add": [None]},
        {"kind": "paint", "at": 0, "box": [0, 0, 1, 1]},
        {"kind": "paint", "at": None, "box": [0, 0, 1, 1], "rle": [1]},
        {"kind": "op", "name": 1, "at": []},
        {"kind": "op", "name": "merge", "at": 1},
        {"kind": "op", "name": "merge", "at": [True]},
        {"kind": "op", "name": "merge", "at": [], "options": 1},
        {"kind": "op", "name": "merge", "at": [], "points": [1]},
    ],
)
def test_an_edit_that_cannot_be_is_refused(edit: object) -> None:
    with pytest.raises(ReadError):
        edit_from_wire(edit)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from([*TRIANGLE, *MASK, "extra", "flags", "at", "remove", "add", "name"]), ODD))
def test_nothing_but_a_sentence_comes_of_odd_values(odd: dict[str, Any]) -> None:
    for base in (TRIANGLE, MASK):
        with suppress(ReadError):
            shape_from_wire({**base, **odd})
    for kind in ("splice", "paint", "op"):
        with suppress(ReadError):
            edit_from_wire({"at": 0, "remove": 0, "add": [], "box": [0, 0, 1, 1], "rle": [1], **odd, "kind": kind})


def test_a_mask_is_its_box_and_its_runs() -> None:
    shape = shape_from_wire(MASK)
    assert isinstance(shape, MaskShape)
    assert np.array_equal(shape.region, [[False, True], [True, True]])
    assert shape_to_wire(shape)["rle"] == [1, 3]
    assert plain("a\ud800é") == "a?é"
