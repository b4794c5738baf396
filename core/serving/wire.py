"""Stand-in until the journal's wire.py comes: take that one."""

from itertools import chain
from typing import Any

import numpy as np

from core.annotation.pixels import box_of
from core.annotation.shapes import MaskShape, Shape

Wire = dict[str, Any]


def shape_to_wire(shape: Shape) -> Wire:
    wire: Wire = {"kind": shape.kind, "label": shape.label}
    if isinstance(shape, MaskShape):
        flat = shape.region.ravel()
        ends = np.flatnonzero(np.diff(flat)) + 1
        runs = np.diff([0, *ends.tolist(), flat.size]).tolist()
        wire |= {"box": list(box_of(shape)), "rle": list(chain([0] if flat[0] else [], runs))}
    else:
        wire["points"] = [[x, y] for x, y in shape.points_xy]
    others = {"group_id": shape.group_id, "description": shape.description, "flags": dict(shape.flags)}
    return wire | others | {"extra": dict(shape.extra)}
