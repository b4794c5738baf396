"""Shapes cut in two by a line, or into their parts."""

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.annotation.pixels import Box, box_of, tightened
from core.annotation.polygons import parts_of
from core.annotation.raster import mask_like, mask_of
from core.annotation.shapes import MaskShape, PointsXY, Region, Shape
from core.annotation.splice import Options, Reshaped, Splice
from core.errors import ConfigError
from core.images import ImageSize

MAX_PIECES: Final = 5_000  # of one Shape: an editor with more is slow, and nobody looks through them
_CROSSINGS: Final = 50_000_000  # of a line with rows of pixels
_SENSE: Final = 3.0  # pixels along a line after which its direction is taken: hands shake


def split(
    shapes: tuple[Shape, ...], at: tuple[int, ...], points_xy: PointsXY, options: Options, size: ImageSize
) -> Reshaped:
    """Each Shape that the line cuts becomes two masks, left and right of it; without a line, one mask a part.

    The line goes on straight beyond its ends. Parts hang together if their pixels touch, by a corner is enough.
    """
    splices = []
    for i in reversed(at):
        mask = mask_of(shapes[i], size)
        pieces = _sides(mask, points_xy) if points_xy else _parts(mask)
        if len(pieces) > 1:
            splices.append(Splice(i, 1, tuple(pieces)))
    if not splices and points_xy:
        raise ConfigError("The line does not cut the shape.", hint="Draw it from one side of the shape to the other.")
    if not splices:
        raise ConfigError("The shape is in one piece.", hint="Draw a line where it should be cut.")
    return Reshaped(tuple(splices))


def _sides(mask: MaskShape, line_xy: PointsXY) -> list[MaskShape]:
    """The mask left and right of a line, or as it is if the line does not reach it."""
    box = box_of(mask)
    right = right_of_line(line_xy, box)
    if not _touches(mask, line_xy):
        return [mask]
    pieces = (tightened(replace(mask, region=mask.region & side)) for side in (~right, right))
    return [piece for piece in pieces if piece is not None]


def _touches(mask: MaskShape, line_xy: PointsXY) -> bool:
    """Whether the line, as it was drawn, passes over pixels of the mask."""
    box = box_of(mask)
    xs, ys = zip(*line_xy, strict=True)
    left, top = math.floor(min(xs)) - 1, math.floor(min(ys)) - 1
    near = box.cut(Box(left, top, math.ceil(max(xs)) + 2 - left, math.ceil(max(ys)) + 2 - top))
    if not near.width or not near.height:
        return False
    canvas = Image.new("1", (near.width, near.height))
    # wide: of a thin line Pillow draws each pixel, however far outside it lies
    ImageDraw.Draw(canvas).line([(x - near.left, y - near.top) for x, y in line_xy], fill=1, width=3)
    rows, columns = near.top - box.top, near.left - box.left
    return bool((np.asarray(canvas) & mask.region[rows : rows + near.height, columns : columns + near.width]).any())


def _parts(mask: MaskShape) -> list[MaskShape]:
    box, parts = box_of(mask), parts_of(mask.region)
    if len(parts) > MAX_PIECES:
        raise ConfigError(
            f"The shape would fall into {len(parts)} pieces; {MAX_PIECES} is the most.", hint="Erase the specks first."
        )
    return [
        mask_like(
            mask, Box(box.left + part.left, box.top + part.top, part.region.shape[1], part.region.shape[0]), part.region
        )
        for part in parts
    ]


def right_of_line(line_xy: PointsXY, box: Box) -> Region:
    """Which pixels of `box` have their centre right of the line, (height, width) bool.

    The line goes on straight beyond its ends; where it crosses itself, sides change. Raises ConfigError for a line
    that is a point.
    """
    line = np.array(line_xy, dtype=np.float64)
    ring = _closed_far_away(line, box)
    (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
    centres = (np.minimum(y0, y1) - box.top - 0.5, np.maximum(y0, y1) - box.top - 0.5)
    first, last = (np.clip(np.ceil(rows), 0, box.height).astype(np.intp) for rows in centres)
    counts = last - first
    if counts.sum() > _CROSSINGS:
        raise ConfigError("The line winds too much to cut along it.", hint="Draw a simpler one.")
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    share = (row + box.top + 0.5 - y0[edge]) / (y1[edge] - y0[edge])
    column = np.ceil(x0[edge] + share * (x1[edge] - x0[edge]) - box.left - 0.5)
    turns = np.zeros((box.height, box.width + 1), dtype=np.uint8)
    np.bitwise_xor.at(turns, (row, np.clip(column, 0, box.width).astype(np.intp)), 1)
    return np.bitwise_xor.accumulate(turns[:, : box.width], axis=1).astype(np.bool_)


def _closed_far_away(line: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
    """`line` gone on far beyond its ends and closed by an arc around the box, (N, 2)."""
    middle = np.array([box.left + box.width / 2, box.top + box.height / 2])
    far = 8 * (np.abs(line - middle).max() + box.width + box.height)
    start, end = line[0] + far * _heading(line), line[-1] + far * _heading(line[::-1])
    (end_angle, start_angle) = (math.atan2(*(point - middle)[::-1]) for point in (end, start))
    sweep = (start_angle - end_angle) % math.tau
    angles = end_angle + np.linspace(0, sweep, 2 + int(sweep / math.radians(30)))[1:-1]
    arc = middle + far * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([start[None], line, end[None], arc])


def _heading(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """The direction, of length 1, in which `line` goes on beyond its first point."""
    away = line[0] - line
    lengths = np.hypot(*away.T)
    if not lengths.any():
        raise ConfigError("A line to cut along needs two points.", hint="Click once on each side of the shape.")
    at = int(np.argmax(lengths >= min(_SENSE, lengths.max())))
    return np.asarray(away[at] / lengths[at])
