"""What is probably wrong with a Shape as it is drawn: the rules of the data set's report and of the editor.

The editor has the same rules in pages/ui/editor/checks.js; tests/annotation/check_cases.json holds both to them.

| kind | when |
|---|---|
| few_points | a polygon has fewer than 3 different points |
| crossing | an outline crosses itself (core/annotation/crossing.py) |
| zero_area | an outline, rectangle or circle has no area; a mask has no pixel |
| sliver | an outline's mean width (twice the area over the perimeter) is below SLIVER_WIDTH, and it is no small blob: its roundness (4 pi area / perimeter squared) is below SLIVER_ROUNDNESS |
| outside, partly_outside | a Shape lies outside of the picture, or reaches over its edge |
| coarse | neighbouring points of a polygon lie further apart than SPACING says for the preset, where it is curved |

Curved: at both ends of an edge the outline turns to the same side, and by CURVED_DEGREES at each, from one edge to the
next. Straight runs turn by less, corners of buildings by more, so both are exempt; points in doubles count once.
"""  # noqa: E501

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.annotation.crossing import Edges, crossings, edges_of
from core.annotation.shapes import Circle, MaskShape, OrientedRectangle, Polygon, Rectangle, Shape
from core.images import ImageSize

FindingKind = Literal["few_points", "crossing", "zero_area", "sliver", "outside", "partly_outside", "coarse"]

SPACING: Final[Mapping[str, float]] = {"satellite": 5.0, "medical": 2.0}  # pixels; other presets have no such rule
CURVED_DEGREES: Final = (7.0, 65.0)
SLIVER_WIDTH: Final = 1.0  # pixels
SLIVER_ROUNDNESS: Final = 0.1  # a circle has 1, a square 0.79, a strip of 1 x 30 pixels 0.1
_NO_AREA: Final = 1e-12  # of the square of the perimeter: what rounding leaves


class Finding(NamedTuple):
    """text: what follows the Shape's name in a sentence.  place_xy: where to look, within the picture."""

    kind: FindingKind
    text: str
    place_xy: tuple[float, float]


def findings(shape: Shape, size: ImageSize, preset: str) -> tuple[Finding, ...]:
    """What is wrong with one Shape of a picture of `size` in a Project of `preset`, in the order of the table."""
    return findings_of((shape,), size, preset)[0]


def findings_of(shapes: Sequence[Shape], size: ImageSize, preset: str) -> list[tuple[Finding, ...]]:
    """The findings of each of `shapes`; together they take a fraction of the time."""
    outlined = [i for i, shape in enumerate(shapes) if isinstance(shape, Polygon | OrientedRectangle)]
    lengths = [len(shapes[i].points_xy) for i in outlined]
    numbers = (number for i in outlined for point in shapes[i].points_xy for number in point)
    points = np.fromiter(numbers, np.float64, 2 * sum(lengths)).reshape(-1, 2)
    of_outline: dict[int, list[Finding]] = {}
    with np.errstate(all="ignore"):  # of numbers near the largest that there are
        edges = edges_of(points, lengths)
        crossed = crossings(edges, len(outlined))
        areas, perimeters = _areas(edges, len(outlined)), _perimeters(edges, len(outlined))
        coarse = _coarse(edges, SPACING[preset], size) if preset in SPACING else {}
    extents = _extents(points, lengths)
    for ring, i in enumerate(outlined):
        shape = shapes[i]
        found = _of_outline(shape, crossed[ring], float(areas[ring]), float(perimeters[ring]), size)
        of_outline[i] = [*found, *_outside(extents[ring], size)]
        if isinstance(shape, Polygon) and ring in coarse:
            of_outline[i].append(coarse[ring])
    return [
        tuple(of_outline[i] if i in of_outline else _without_outline(shape, size)) for i, shape in enumerate(shapes)
    ]


def _of_outline(
    shape: Shape, crossing: tuple[float, float] | None, area: float, perimeter: float, size: ImageSize
) -> list[Finding]:
    """At most one: what is wrong with the outline as a whole."""
    different = len(set(shape.points_xy))
    if different < 3:
        points = "1 point" if different == 1 else f"{different} points"
        return [Finding("few_points", f"has only {points}; a polygon needs 3", _first(shape, size))]
    if crossing is not None:
        return [Finding("crossing", "crosses itself", _within(*crossing, size))]
    if area <= _NO_AREA * perimeter * perimeter:
        return [Finding("zero_area", "has no area", _first(shape, size))]
    if 2 * area < SLIVER_WIDTH * perimeter and 4 * math.pi * area < SLIVER_ROUNDNESS * perimeter * perimeter:
        return [Finding("sliver", "is thinner than a pixel", _first(shape, size))]
    return []


def _without_outline(shape: Shape, size: ImageSize) -> list[Finding]:
    xs, ys = zip(*shape.points_xy, strict=True)
    extent, last, empty = (min(xs), min(ys), max(xs), max(ys)), 0, False
    match shape:
        case Rectangle():
            empty = xs[0] == xs[1] or ys[0] == ys[1]
        case Circle():
            radius = math.hypot(xs[1] - xs[0], ys[1] - ys[0])
            extent, empty = (xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius), radius == 0
        case MaskShape():
            last, empty = 1, not shape.region.any()  # its points are the first and the last pixel
    found = [Finding("zero_area", "has no area", _first(shape, size))] if empty else []
    return [*found, *_outside(extent, size, last=last)]


def _outside(extent: tuple[float, float, float, float], size: ImageSize, *, last: int = 0) -> list[Finding]:
    """extent: left, top, right, bottom, up to the edge of the picture, or of a mask up to its last pixel."""
    left, top, right, bottom = extent
    place = _within((left + right) / 2, (top + bottom) / 2, size)
    if right < 0 or bottom < 0 or left >= size.width or top >= size.height:
        return [Finding("outside", "lies outside of the picture", place)]
    over = max(-left, -top, right - (size.width - last), bottom - (size.height - last))
    if over <= 0:
        return []
    text = f"reaches over the edge of the picture by {max(1, _whole(over))} px"
    return [Finding("partly_outside", text, place)]


def _extents(points: NDArray[np.float64], lengths: Sequence[int]) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each ring."""
    if not lengths:
        return []
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    both = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    return [(left, top, right, bottom) for left, top, right, bottom in np.concatenate(both, axis=1).tolist()]


def _areas(edges: Edges, count: int) -> NDArray[np.float64]:
    """The area of each ring."""
    origins = edges.starts[np.searchsorted(edges.ring, edges.ring)]  # far from its first point it would not be exact
    (x0, y0), (x1, y1) = (edges.starts - origins).T, (edges.ends - origins).T
    return np.abs(np.bincount(edges.ring, x0 * y1 - x1 * y0, minlength=count)) / 2


def _perimeters(edges: Edges, count: int) -> NDArray[np.float64]:
    lengths = np.hypot(*(edges.ends - edges.starts).T)
    return np.asarray(np.bincount(edges.ring, lengths, minlength=count), dtype=np.float64)


def _coarse(edges: Edges, spacing: float, size: ImageSize) -> dict[int, Finding]:
    """By ring, edges longer than `spacing` where it is curved."""
    along = edges.ends - edges.starts
    lengths, before = np.hypot(*along.T), along[edges.before]
    turns = np.degrees(
        np.arctan2(before[:, 0] * along[:, 1] - before[:, 1] * along[:, 0], (before * along).sum(axis=1))
    )
    at_end = turns[edges.after]
    bent, bent_at_end = ((np.abs(t) >= CURVED_DEGREES[0]) & (np.abs(t) <= CURVED_DEGREES[1]) for t in (turns, at_end))
    found: dict[int, Finding] = {}
    wide = np.flatnonzero((lengths > spacing) & bent & bent_at_end & (turns * at_end > 0))
    rings, firsts = np.unique(edges.ring[wide], return_index=True)
    for ring, of_ring in zip(rings.tolist(), np.split(wide, firsts[1:]), strict=True) if len(rings) else ():
        longest = of_ring[np.argmax(lengths[of_ring])]
        x, y = ((edges.starts[longest] + edges.ends[longest]) / 2).tolist()
        gaps = "1 gap" if len(of_ring) == 1 else f"{len(of_ring)} gaps"
        text = (
            f"has {gaps} of up to {_whole(float(lengths[longest]))} px between points where it is curved; "
            f"{spacing:g} px is the most"
        )
        found[ring] = Finding("coarse", text, _within(x, y, size))
    return found


def _first(shape: Shape, size: ImageSize) -> tuple[float, float]:
    return _within(*shape.points_xy[0], size)


def _within(x: float, y: float, size: ImageSize) -> tuple[float, float]:
    return min(max(x, 0.0), float(size.width)), min(max(y, 0.0), float(size.height))


def _whole(pixels: float) -> int:
    """Halves up, as JavaScript rounds; no picture is larger than a million."""
    return math.floor(min(pixels, 1e6) + 0.5)
