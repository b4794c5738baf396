"""The picture of a Plan as an aeroplane would take it: ground, shadows, roofs, trees, then the air and the sensor.

Colours are RGB from 0 to 1, float32, until the last step.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sample_data.geometry import Box, Points, rectangle, turned
from sample_data.plan import Building, Plan, Tree

Picture = NDArray[np.float32]  # (H, W, 3)
Grey = NDArray[np.float32]  # (H, W)
Color = tuple[float, float, float]

_LAND: Final[tuple[Color, ...]] = (
    (0.33, 0.42, 0.22),  # lawn
    (0.40, 0.46, 0.27),
    (0.29, 0.37, 0.20),
    (0.52, 0.50, 0.33),  # dry grass
    (0.50, 0.43, 0.33),  # soil
)
_ROOFS: Final[tuple[Color, ...]] = (
    (0.58, 0.36, 0.28),  # tiles
    (0.51, 0.32, 0.26),
    (0.45, 0.36, 0.31),
    (0.37, 0.37, 0.39),  # slate
    (0.50, 0.50, 0.50),
    (0.66, 0.64, 0.60),
)
_FLAT_ROOFS: Final[tuple[Color, ...]] = ((0.74, 0.74, 0.72), (0.58, 0.57, 0.55), (0.43, 0.44, 0.46), (0.55, 0.62, 0.64))
_ASPHALT: Final[tuple[Color, ...]] = ((0.45, 0.45, 0.46), (0.52, 0.51, 0.50), (0.38, 0.38, 0.40), (0.58, 0.55, 0.50))
_CARS: Final[tuple[Color, ...]] = (
    (0.92, 0.92, 0.92),
    (0.15, 0.15, 0.17),
    (0.60, 0.62, 0.65),
    (0.60, 0.16, 0.14),
    (0.18, 0.27, 0.45),
)
_SHADE: Final = np.array((0.42, 0.46, 0.55), np.float32)  # what the sky leaves where the sun does not reach


@dataclass(frozen=True)
class Light:
    """Where the sun stands: `towards` points at it in the picture, `reach` is the shadow of a height of one pixel."""

    towards: Points  # (2,), length 1
    reach: float


def paint(plan: Plan, owner: NDArray[np.int32], rng: Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8. owner: (H, W), i + 1 where building i of the plan is seen, -1 - i where road i is, else 0."""
    azimuth = rng.uniform(0, 2 * np.pi)
    light = Light(np.array([np.cos(azimuth), np.sin(azimuth)]), reach=rng.uniform(0.45, 1.1))
    picture = _ground(plan, rng)
    _paint_pavement(picture, plan, owner, rng)
    for car in plan.cars:
        _paint_car(picture, car, _CARS[rng.integers(len(_CARS))], light)
    _cast_shadows(picture, plan, light)
    for number, building in enumerate(plan.buildings):
        _paint_roof(picture, building, owner, number + 1, light, rng)
    crown = _texture(rng, 64, (3, 6))
    for tree in plan.trees:
        _paint_tree(picture, tree, owner, light, crown, rng)
    return _through_air_and_lens(picture, rng)


# ----------------------------------------------------------------------------------------------------------- ground


def _noise(rng: Generator, size: int, cell: float) -> Grey:
    """(size, size) smooth noise around 0 with spots of about `cell` pixels."""
    count = max(2, int(size / cell) + 2)
    coarse = rng.standard_normal((count, count)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _texture(rng: Generator, size: int, cells: tuple[float, ...]) -> Grey:
    layers = [_noise(rng, size, cell) for cell in cells]
    return np.asarray(sum(layers[1:], layers[0]) / len(layers), dtype=np.float32)


def _ground(plan: Plan, rng: Generator) -> Picture:
    """Pieces of land with their own colour, some of them ploughed in lines, and grass of all grains over it."""
    size = plan.size
    y, x = np.mgrid[:size, :size].astype(np.float32)
    cos, sin = np.cos(plan.angle), np.sin(plan.angle)
    bend = plan.district.parcel * 0.08
    along = x * cos + y * sin + bend * _noise(rng, size, 90)
    across = -x * sin + y * cos + bend * _noise(rng, size, 90)
    column = np.floor(along / plan.district.parcel).astype(int)
    row = np.floor(across / (plan.district.parcel * 0.8)).astype(int)
    column -= column.min()
    row -= row.min()
    pieces = (int(row.max()) + 1, int(column.max()) + 1)
    lush = plan.district.parcel < 100
    likely = (0.4, 0.32, 0.2, 0.06, 0.02) if lush else (0.25, 0.2, 0.15, 0.2, 0.2)
    colors = np.array(_LAND, np.float32)[rng.choice(len(_LAND), pieces, p=likely)]
    colors = colors * rng.normal(1, 0.04, (*pieces, 1)).astype(np.float32)
    lines = (rng.random(pieces) < (0.05 if lush else 0.5)).astype(np.float32) * rng.uniform(0.03, 0.09)
    picture = colors[row, column]
    brightness = 1 + lines[row, column] * np.sin(across * np.float32(2 * np.pi / rng.uniform(5, 9)))
    brightness += 0.08 * _noise(rng, size, 60) + 0.05 * _noise(rng, size, 12) + 0.05 * _texture(rng, size, (2.5, 1.2))
    hue = 0.02 * _noise(rng, size, 35)
    return np.asarray(picture * brightness[..., None] + hue[..., None] * np.array((1, 0.3, -0.3), np.float32))


def _paint_pavement(picture: Picture, plan: Plan, owner: NDArray[np.int32], rng: Generator) -> None:
    """Yards, then roads with a pale kerb, wear, and a middle line on the wide ones."""
    size = plan.size
    worn = 1 + 0.05 * _noise(rng, size, 25) + 0.035 * _texture(rng, size, (3, 1.2))
    for yard in plan.yards:
        here = _filled(rectangle(yard), size)
        picture[here] = np.multiply(_ASPHALT[rng.integers(4)], worn[here][:, None])
    asphalt = np.array(_ASPHALT[rng.integers(4)], np.float32)
    road = owner < 0
    kerb = cv2.dilate(road.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & (owner == 0)
    picture[kerb] = picture[kerb] * 0.55 + 0.45 * np.array((0.62, 0.60, 0.57), np.float32)
    picture[road] = asphalt * worn[road][:, None]
    lines = np.zeros((size, size), np.uint8)
    for strip in plan.roads:
        if strip.width.mean() > 21:
            for start in range(0, len(strip.centre) - 1, 2):
                ends = strip.centre[start : start + 2].round().astype(int)
                cv2.line(lines, ends[0].tolist(), ends[1].tolist(), 1)
    marked = road & lines.astype(bool)
    picture[marked] = picture[marked] * 0.5 + 0.5 * np.array((0.85, 0.84, 0.80), np.float32)


def _filled(points: Points, size: int) -> NDArray[np.bool_]:
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillPoly(canvas, [points.round().astype(np.int32)], 1)
    return canvas.astype(bool)


def _paint_car(picture: Picture, car: Box, color: Color, light: Light) -> None:
    """A body, a darker windscreen, and the shadow beside it."""
    body = rectangle(car)
    cv2.fillPoly(picture, [(body - 2.5 * light.reach * light.towards).round().astype(np.int32)], (0.16, 0.17, 0.2))
    cv2.fillPoly(picture, [body.round().astype(np.int32)], color)
    screen = rectangle(Box((car.length * 0.16, 0.0), 0.0, car.length * 0.16, car.depth * 0.7))
    glass = [0.3 * value + 0.05 for value in color]
    cv2.fillPoly(picture, [(turned(screen, car.angle) + car.centre).round().astype(np.int32)], glass)


# ---------------------------------------------------------------------------------------------- shadows, roofs, trees


def _cast_shadows(picture: Picture, plan: Plan, light: Light) -> None:
    """Darken the ground that buildings and trees keep the sun from."""
    shadow = np.zeros((plan.size, plan.size), np.float32)
    for building in plan.buildings:
        cast = -light.towards * building.height * light.reach
        corners = building.footprint
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            wall = np.array([start, end, end + cast, start + cast])
            cv2.fillConvexPoly(shadow, wall.round().astype(np.int32), 1.0)
        cv2.fillPoly(shadow, [(corners + cast).round().astype(np.int32)], 1.0)
    for tree in plan.trees:
        x, y = np.array([tree.x, tree.y]) - light.towards * tree.radius * 1.3 * light.reach
        cv2.circle(shadow, (round(x), round(y)), round(tree.radius), 0.85, -1)
    soft = cv2.GaussianBlur(shadow, (0, 0), 0.8)[..., None]
    picture *= 1 - soft * (1 - _SHADE)


def _paint_roof(
    picture: Picture, building: Building, owner: NDArray[np.int32], number: int, light: Light, rng: Generator
) -> None:
    """Each face as bright as it looks at the sun; the faces follow from the height of the roof over each pixel."""
    left, top = np.floor(building.outline.min(axis=0)).astype(int)
    right, bottom = np.ceil(building.outline.max(axis=0)).astype(int) + 1
    here = owner[top:bottom, left:right] == number
    y, x = np.mgrid[top : top + here.shape[0], left : left + here.shape[1]].astype(np.float64)
    palette = _FLAT_ROOFS if building.roof == "flat" else _ROOFS
    color = np.array(palette[rng.integers(len(palette))]) * rng.normal(1, 0.06) + rng.normal(0, 0.015, 3)
    brightness = np.full(here.shape, 1.0)
    if building.roof == "flat":
        edge = cv2.erode(np.pad(here, 1).astype(np.uint8), np.ones((5, 5), np.uint8))[1:-1, 1:-1] == 0
        brightness = np.where(edge, 0.86, 1.0)
        _paint_vents(brightness, building, (left, top), light, rng)
    else:
        best = np.full(here.shape, -np.inf)
        for wing in building.wings:
            points = turned(np.stack([x - wing.centre[0], y - wing.centre[1]], axis=-1), -wing.angle)
            u, v = points[..., 0], points[..., 1]
            ends, sides = wing.length / 2 - np.abs(u), wing.depth / 2 - np.abs(v)
            hipped = (ends < sides) if building.roof == "hip" else np.zeros(here.shape, bool)
            height = np.where(hipped, ends, sides)
            height[ends < -1] = -np.inf
            sun = turned(light.towards[None], -wing.angle)[0]
            facing = np.where(hipped, np.sign(u) * sun[0], np.sign(v) * sun[1])
            tiles = 0.04 * np.sin(np.where(hipped, u, v) * 2.2)
            ridge = 0.10 * (np.abs(v) < 0.8) * ~hipped
            higher = height > best
            brightness = np.where(higher, 0.94 + 0.27 * facing + tiles + ridge, brightness)
            best = np.where(higher, height, best)
    brightness = brightness * (1 + rng.normal(0, 0.025, here.shape))
    picture[top:bottom, left:right][here] = (brightness[..., None] * color)[here]


def _paint_vents(
    brightness: NDArray[np.float64], building: Building, corner: tuple[int, int], light: Light, rng: Generator
) -> None:
    """Boxes on a flat roof, with their shadows."""
    wing = building.wings[0]
    for _ in range(rng.poisson(wing.length * wing.depth / 900)):
        at = (rng.uniform(-0.4, 0.4, 2) * (wing.length, wing.depth))[None]
        middle = turned(at, wing.angle)[0] + wing.centre - corner
        box = rectangle(Box((float(middle[0]), float(middle[1])), wing.angle, rng.uniform(3, 8), rng.uniform(3, 6)))
        cv2.fillPoly(brightness, [(box - 3 * light.reach * light.towards).round().astype(np.int32)], 0.6)
        cv2.fillPoly(brightness, [box.round().astype(np.int32)], rng.uniform(0.85, 1.2))


def _paint_tree(
    picture: Picture, tree: Tree, owner: NDArray[np.int32], light: Light, crown: Grey, rng: Generator
) -> None:
    """A ragged crown, bright on the side of the sun; never over a road or a roof."""
    reach = int(np.ceil(tree.radius * 1.25))
    column, row = int(tree.x), int(tree.y)
    top, left = max(row - reach, 0), max(column - reach, 0)
    part = picture[top : row + reach + 1, left : column + reach + 1]
    free = owner[top : row + reach + 1, left : column + reach + 1] == 0
    y, x = np.mgrid[top : top + free.shape[0], left : left + free.shape[1]].astype(np.float32)
    dx, dy = (x - tree.x) / tree.radius, (y - tree.y) / tree.radius
    shift = rng.integers(0, 64 - free.shape[0] + 1), rng.integers(0, 64 - free.shape[1] + 1)
    leaves = crown[shift[0] : shift[0] + free.shape[0], shift[1] : shift[1] + free.shape[1]]
    inside = free & (dx * dx + dy * dy < 1 + 0.35 * leaves)
    green = np.array((0.20, 0.29, 0.15)) * rng.normal(1, 0.1) + rng.normal(0, 0.012, 3)
    shine = 1 + 0.32 * (dx * light.towards[0] + dy * light.towards[1]) + 0.28 * leaves
    part[inside] = (shine[..., None] * green)[inside]


# ---------------------------------------------------------------------------------------------------- air and sensor


def _through_air_and_lens(picture: Picture, rng: Generator) -> NDArray[np.uint8]:
    """Exposure, haze, the blur of the lens and the noise of the sensor."""
    size = picture.shape[0]
    picture = picture * np.float32(rng.uniform(0.9, 1.2)) * rng.normal(1, 0.025, 3).astype(np.float32)
    haze = np.clip(rng.uniform(0, 0.16) + 0.03 * _noise(rng, size, 250), 0, 0.3)[..., None]
    picture = picture * (1 - haze) + haze * np.array((0.72, 0.76, 0.82), np.float32)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.65, 1.0)), dtype=np.float32)
    strength = rng.uniform(0.006, 0.02)
    grain = rng.standard_normal(picture.shape, dtype=np.float32)
    picture += grain * np.sqrt(np.clip(picture, 0.02, 1)) * np.float32(strength)  # more light, more photon noise
    return np.asarray(np.clip(picture * 255, 0, 255).round(), dtype=np.uint8)
