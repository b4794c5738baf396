"""Where the roads, buildings, trees and cars of an invented town stand. Geometry only; paint.py gives it colours.

One pixel is about 0.3 m, whatever the size of the picture.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sample_data.geometry import Box, Points, cut_to_picture, rectangle, turned

Roof = Literal["gable", "hip", "flat"]


@dataclass(frozen=True)
class Road:
    """A strip around a centre line."""

    centre: Points
    width: Points  # (N,): at each point of the centre line
    outline: Points  # what of the strip lies in the picture

    def heading(self, at: int) -> float:
        """The direction of the centre line at its point `at`, radians."""
        step = self.centre[min(at + 1, len(self.centre) - 1)] - self.centre[max(at - 1, 0)]
        return float(np.arctan2(step[1], step[0]))


@dataclass(frozen=True)
class Building:
    """A rectangle or an L; `outline` is cut at the picture's edge, `footprint` is whole."""

    outline: Points
    footprint: Points
    wings: tuple[Box, ...]  # of the roof; a ridge runs along the length of each
    roof: Roof
    height: float


class Tree(NamedTuple):
    x: float
    y: float
    radius: float


class District(NamedTuple):
    """How a kind of neighbourhood is built."""

    setback: tuple[float, float]  # from the road's edge to the house
    gap: tuple[float, float]  # between houses
    built: float  # share of the places along a road that hold a house
    rows: float  # share of terraced rows
    halls: float  # share of large flat roofs
    infill: float  # buildings tried behind the first row, per 100 x 100 pixels
    trees: float  # per 100 x 100 pixels
    parcel: float  # side of a piece of land of one colour


DISTRICTS: Final[dict[str, District]] = {
    "suburb": District((9, 20), (7, 18), 0.92, 0.1, 0.03, 2.2, 8.0, 80),
    "terraces": District((5, 10), (4, 14), 0.95, 0.6, 0.06, 2.5, 4.0, 70),
    "works": District((12, 26), (14, 34), 0.8, 0.05, 0.7, 2.0, 2.0, 110),
    "village": District((8, 40), (30, 90), 0.55, 0.05, 0.1, 0.7, 4.0, 140),
}


@dataclass
class Plan:
    """All that stands in one scene, and which pixel belongs to what."""

    size: int
    district: District
    angle: float  # of the street grid
    roads: list[Road] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    yards: list[Box] = field(default_factory=list)
    cars: list[Box] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)


def make_plan(rng: Generator, size: int) -> Plan:
    """A town for a picture of `size` x `size` pixels."""
    name = rng.choice(list(DISTRICTS), p=(0.4, 0.25, 0.15, 0.2))
    plan = Plan(size, DISTRICTS[name], angle=rng.uniform(0, np.pi))
    _lay_roads(plan, rng)
    taken = np.zeros((size, size), np.uint8)
    for road in plan.roads:
        cv2.fillPoly(taken, [_pixels(road.outline)], 1)
    cv2.dilate(taken, np.ones((5, 5), np.uint8), dst=taken)  # a verge that no house stands on
    _build_along_roads(plan, rng, taken)
    _build_behind(plan, rng, taken)
    _park_cars(plan, rng)
    _plant_trees(plan, rng, taken)
    return plan


def _pixels(points: Points) -> NDArray[np.int32]:
    return points.round().astype(np.int32)


# ------------------------------------------------------------------------------------------------------------ roads


def _lay_roads(plan: Plan, rng: Generator) -> None:
    """Through roads on a bent grid, then side streets that leave them."""
    size = plan.size
    spacing = rng.uniform(190, 330)
    for quarter in (0, 1):
        angle = plan.angle + quarter * np.pi / 2 + rng.normal(0, 0.12)
        across = np.array([-np.sin(angle), np.cos(angle)])
        for offset in np.arange(-size, size, spacing) + rng.uniform(0, spacing):
            if rng.random() < (0.9 if quarter == 0 else 0.7):
                start = np.array([size / 2, size / 2]) + across * offset
                _add_road(plan, rng, start, angle, reach=(-size, size), width=rng.uniform(17, 30))
    through = list(plan.roads)
    for road in through:
        for _ in range(rng.poisson(size / 350)):
            at = int(rng.integers(1, len(road.centre) - 1))
            angle = road.heading(at) + rng.choice((-1, 1)) * (np.pi / 2 + rng.normal(0, 0.15))
            _add_road(plan, rng, road.centre[at], angle, reach=(0, rng.uniform(60, 170)), width=rng.uniform(10, 16))


def _add_road(
    plan: Plan, rng: Generator, start: Points, angle: float, *, reach: tuple[float, float], width: float
) -> None:
    """A road through `start`: from reach[0] to reach[1] pixels along `angle`, swinging gently to both sides."""
    along = np.arange(*reach, 8.0)
    wave, phase = rng.uniform(260, 520), rng.uniform(0, 2 * np.pi)
    swing = rng.uniform(0, 0.05) * wave
    sideways = swing * (np.sin(2 * np.pi * along / wave + phase) - np.sin(phase))  # 0 at the start: it meets its road
    centre = start + turned(np.stack([along, sideways], axis=1), angle)
    margin = 2 * width
    near = np.flatnonzero((np.abs(centre - plan.size / 2) < plan.size / 2 + margin).all(axis=1))
    if len(near) < 4:
        return
    centre, along = centre[near[0] : near[-1] + 1], along[near[0] : near[-1] + 1]
    widths = width * (1 + 0.1 * np.sin(2 * np.pi * along / rng.uniform(150, 400) + phase))
    step = np.gradient(centre, axis=0)
    across = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.linalg.norm(step, axis=1, keepdims=True)
    sides = across * widths[:, None] / 2
    outline = cut_to_picture(np.concatenate([centre + sides, (centre - sides)[::-1]]), plan.size)
    if outline is not None:
        plan.roads.append(Road(centre, widths, outline))


# -------------------------------------------------------------------------------------------------------- buildings


def _build_along_roads(plan: Plan, rng: Generator, taken: NDArray[np.uint8]) -> None:
    """Houses, rows and halls on both sides of each road, square to it."""
    district = plan.district
    for road in plan.roads:
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(road.centre, axis=0), axis=1))])
        for side in (-1, 1):
            walked = rng.uniform(0, 40)
            while walked < length[-1]:
                at = int(np.searchsorted(length, walked, side="right")) - 1
                angle = road.heading(at)
                front = rng.uniform(22, 46)
                hall = rng.random() < district.halls
                depth = rng.uniform(40, 80) if hall else rng.uniform(22, 36)
                front = rng.uniform(60, 130) if hall else front
                off = road.width[at] / 2 + rng.uniform(*district.setback) + depth / 2
                centre = road.centre[at] + side * off * np.array([-np.sin(angle), np.cos(angle)])
                placed = 0.0
                if rng.random() < district.built:
                    if rng.random() < district.rows and not hall:
                        placed = _add_row(plan, rng, taken, centre, angle, depth)
                    else:
                        placed = _add_house(plan, rng, taken, centre, angle + rng.normal(0, 0.02), front, depth)
                walked += placed + rng.uniform(*district.gap) if placed else 12


def _build_behind(plan: Plan, rng: Generator, taken: NDArray[np.uint8]) -> None:
    """Buildings and sheds away from the roads."""
    for _ in range(rng.poisson(plan.district.infill * (plan.size / 100) ** 2)):
        centre = rng.uniform(0, plan.size, 2)
        angle = plan.angle + rng.choice((0, np.pi / 2)) + rng.normal(0, 0.08)
        if rng.random() < 0.5:
            front, depth = rng.uniform(10, 18), rng.uniform(8, 13)  # a shed
        else:
            front, depth = rng.uniform(24, 60), rng.uniform(20, 34)
        _add_house(plan, rng, taken, centre, angle, front, depth)


def _add_row(plan: Plan, rng: Generator, taken: NDArray[np.uint8], centre: Points, angle: float, depth: float) -> float:
    """Three to seven houses wall to wall, their ridges in line; the length of the row, 0 when there is no room."""
    fronts = rng.uniform(15, 24, rng.integers(3, 8))
    row = Box((float(centre[0]), float(centre[1])), angle, float(fronts.sum()), depth)
    if not _claim(taken, rectangle(row)):
        return 0.0
    left = -row.length / 2
    height = rng.uniform(16, 26)
    for front in fronts:
        middle = turned(np.array([[left + front / 2, rng.uniform(-1.5, 1.5)]]), angle)[0] + centre
        wing = Box((float(middle[0]), float(middle[1])), angle, float(front), depth)
        _stand(plan, rectangle(wing), (wing,), "gable", height + rng.uniform(-2, 2))
        left += front
    return row.length


def _add_house(
    plan: Plan,
    rng: Generator,
    taken: NDArray[np.uint8],
    centre: Points,
    angle: float,
    front: float,
    depth: float,
) -> float:
    """A rectangle or an L around `centre`; its length, 0 when there is no room."""
    large = front * depth > 3000
    body = Box((float(centre[0]), float(centre[1])), angle, front, depth)
    wings: tuple[Box, ...] = (body,)
    footprint = rectangle(body)
    if front > 26 and rng.random() < 0.4:
        wings, footprint = _l_shape(rng, body)
    if not _claim(taken, footprint):
        return 0.0
    roof: Roof = (
        "flat" if large or rng.random() < 0.15 else "hip" if len(wings) == 1 and rng.random() < 0.4 else "gable"
    )
    height = rng.uniform(5, 9) if front < 20 else rng.uniform(20, 40) if large else rng.uniform(11, 22)
    if _stand(plan, footprint, wings, roof, height) and large and rng.random() < 0.7:
        yard = turned(np.array([[0.0, depth / 2 + 20]]), angle)[0] + centre
        plan.yards.append(Box((float(yard[0]), float(yard[1])), angle, front * 0.9, 34))
    return front


def _l_shape(rng: Generator, body: Box) -> tuple[tuple[Box, ...], Points]:
    """The roofs and the outline of an L: `body` and a wing square to it at one end."""
    wide, deep = body.length / 2, body.depth / 2
    across, out = rng.uniform(0.4, 0.55) * body.length, rng.uniform(0.4, 0.9) * body.depth
    corners = np.array(
        [
            (-wide, -deep),
            (wide, -deep),
            (wide, deep + out),
            (wide - across, deep + out),
            (wide - across, deep),
            (-wide, deep),
        ]
    )
    mirror = rng.choice((-1.0, 1.0), 2)
    # The wing's ridge begins at the ridge of the body, so that the two roofs meet in valleys.
    middle = turned(np.array([[wide - across / 2, (deep + out) / 2]]) * mirror, body.angle)[0] + body.centre
    wing = Box((float(middle[0]), float(middle[1])), body.angle + np.pi / 2, deep + out, across)
    return (body, wing), turned(corners * mirror, body.angle) + body.centre


def _stand(plan: Plan, footprint: Points, wings: tuple[Box, ...], roof: Roof, height: float) -> bool:
    outline = cut_to_picture(footprint, plan.size)
    if outline is not None:
        plan.buildings.append(Building(outline, footprint, wings, roof, height))
    return outline is not None


def _claim(taken: NDArray[np.uint8], footprint: Points) -> bool:
    """Mark the ground of a building as taken; False when it touches what is there, or lies outside the picture."""
    corner, opposite = footprint.min(axis=0), footprint.max(axis=0)
    left, top = np.maximum(np.floor(corner) - 2, 0).astype(int)
    right, bottom = np.minimum(np.ceil(opposite) + 3, taken.shape[0]).astype(int)
    if right - left < 5 or bottom - top < 5:
        return False
    ground = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(ground, [_pixels(footprint - (left, top))], 1)
    here = taken[top:bottom, left:right]
    if not ground.any() or (here & ground).any():
        return False
    here |= ground
    return True


# --------------------------------------------------------------------------------------------------- cars and trees


def _park_cars(plan: Plan, rng: Generator) -> None:
    """Cars in the lanes of the roads and in rows in the yards."""
    for road in plan.roads:
        for at in np.flatnonzero(rng.random(len(road.centre)) < 0.05).tolist():
            angle = road.heading(at)
            lane = rng.choice((-1, 1)) * road.width[at] / 4
            x, y = road.centre[at] + lane * np.array([-np.sin(angle), np.cos(angle)])
            plan.cars.append(Box((float(x), float(y)), angle, rng.uniform(12, 16), rng.uniform(5.5, 6.5)))
    for yard in plan.yards:
        for along in np.arange(-yard.length / 2 + 6, yard.length / 2 - 6, 9.0):
            if rng.random() < 0.6:
                x, y = turned(np.array([[along, rng.choice((-8.0, 8.0))]]), yard.angle)[0] + yard.centre
                plan.cars.append(Box((float(x), float(y)), yard.angle + np.pi / 2, rng.uniform(12, 15), 6.0))


def _plant_trees(plan: Plan, rng: Generator, taken: NDArray[np.uint8]) -> None:
    """Single trees and small woods, wherever no crown would hide a road or a roof: the truth stays what is seen."""
    room = cv2.distanceTransform(1 - taken, cv2.DIST_L2, 3)
    woods = rng.uniform(-0.2, 1.2, (3, 2)) * plan.size
    for _ in range(rng.poisson(plan.district.trees * (plan.size / 100) ** 2)):
        if rng.random() < 0.45:
            x, y = woods[int(rng.integers(len(woods)))] + rng.normal(0, 45, 2)
        else:
            x, y = rng.uniform(0, plan.size, 2)
        if not (0 <= x < plan.size and 0 <= y < plan.size):
            continue
        radius = min(rng.uniform(4, 13), float(room[int(y), int(x)]) * 0.85)
        if radius >= 3:
            plan.trees.append(Tree(float(x), float(y), radius))
