"""Aerial scenes of invented towns with the exact truth: sets of any size for tests and benchmarks.

    python -m sample_data.generate OUT --count 100 --size 512 --seed 7 --format labelme
    python -m sample_data.generate OUT --count 100 --format masks --classes building

labelme writes OUT/scene_0000.png with scene_0000.json beside it; masks writes OUT/images and OUT/masks, equal stems.
Both write labels.txt, masks also classes.csv. The same seed gives the same scenes. Nothing here imports core.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sample_data.geometry import Points
from sample_data.paint import paint
from sample_data.plan import make_plan

CLASSES: Final = ("building", "road")  # class ids 1 and 2; 0 is everything else


@dataclass(frozen=True)
class Outline:
    """A polygon of one class, points (x, y) in pixels, inside the picture."""

    label: str
    points_xy: Points


@dataclass(frozen=True)
class Scene:
    """A picture (H, W, 3) uint8, its class ids (H, W) uint8, and the polygons that paint them in this order."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    shapes: tuple[Outline, ...]


def scene(seed: int, size: int) -> Scene:
    """The scene of this seed, `size` x `size` pixels: roads first, buildings over them (they do not touch)."""
    if size < 64:
        raise ValueError(f"a scene needs a size of at least 64 pixels, got {size}")
    rng = np.random.default_rng(seed)
    plan = make_plan(rng, size)
    shapes = [Outline("road", road.outline) for road in plan.roads]
    shapes += [Outline("building", building.outline) for building in plan.buildings]
    numbers = [*(-1 - i for i in range(len(plan.roads))), *(1 + i for i in range(len(plan.buildings)))]
    owner = _painted(shapes, numbers, size)
    mask = np.select([owner > 0, owner < 0], [np.uint8(1), np.uint8(2)], np.uint8(0))
    return Scene(paint(plan, owner, rng), mask, tuple(shapes))


def mask_of(shapes: Sequence[Outline], size: int, classes: Sequence[str] = CLASSES) -> NDArray[np.uint8]:
    """(size, size) uint8: the place in `classes` (from 1) of what is painted last; other labels are not painted."""
    drawn = [shape for shape in shapes if shape.label in classes]
    return _painted(drawn, [classes.index(shape.label) + 1 for shape in drawn], size).astype(np.uint8)


def labelme_json(shapes: Sequence[Outline], image_name: str, size: int) -> str:
    """The text of a Labelme file beside the picture `image_name`."""
    entries = [
        {
            "label": shape.label,
            "points": shape.points_xy.tolist(),
            "group_id": None,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for shape in shapes
    ]
    content: dict[str, Any] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": entries,
        "imagePath": image_name,
        "imageData": None,
        "imageHeight": size,
        "imageWidth": size,
    }
    return json.dumps(content) + "\n"


def write_labelme(folder: Path, name: str, made: Scene, classes: Sequence[str] = CLASSES) -> None:
    """folder/name.png and folder/name.json."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(made.image).save(folder / f"{name}.png")
    shapes = [shape for shape in made.shapes if shape.label in classes]
    text = labelme_json(shapes, f"{name}.png", made.image.shape[0])
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def write_masks(folder: Path, name: str, made: Scene, classes: Sequence[str] = CLASSES) -> None:
    """folder/images/name.png and folder/masks/name.png, whose values are class ids: places in `classes`, from 1."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(made.image).save(folder / "images" / f"{name}.png")
    mask = mask_of(made.shapes, made.image.shape[0], classes)
    Image.fromarray(mask).save(folder / "masks" / f"{name}.png")


def _painted(shapes: Sequence[Outline], values: Sequence[int], size: int) -> NDArray[np.int32]:
    """(size, size): the value of the last polygon that covers each pixel, edges included as Labelme does; else 0."""
    canvas = Image.new("I", (size, size))
    draw = ImageDraw.Draw(canvas)
    for shape, value in zip(shapes, values, strict=True):
        draw.polygon([(x, y) for x, y in shape.points_xy.tolist()], fill=value, outline=value)
    return np.array(canvas)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sample_data.generate", description="Make aerial scenes.")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--size", type=int, default=512, help="side of a picture in pixels")
    parser.add_argument("--seed", type=int, default=0, help="scene i has the seed SEED + i")
    parser.add_argument("--format", choices=("labelme", "masks"), default="labelme")
    parser.add_argument("--classes", default=",".join(CLASSES), help="of building and road; their order gives the ids")
    args = parser.parse_args(arguments)
    classes = args.classes.split(",")
    if not set(classes) <= set(CLASSES) or len(set(classes)) != len(classes):
        parser.error(f"--classes {args.classes}: choose of {', '.join(CLASSES)}")
    if args.size < 64:
        parser.error(f"--size {args.size}: at least 64")
    write = write_masks if args.format == "masks" else write_labelme
    for number in range(args.count):
        write(args.out, f"scene_{number:04d}", scene(args.seed + number, args.size), classes)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "labels.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    if args.format == "masks":
        rows = ["index,name", "0,background", *(f"{class_id},{name}" for class_id, name in enumerate(classes, 1))]
        (args.out / "classes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
