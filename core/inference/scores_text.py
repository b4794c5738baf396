"""Scores as lines of plain text, from their JSON."""

from collections.abc import Sequence

from core.inference.scores import Json


def score_lines(found: Json) -> list[str]:
    """What `Scores.to_json` gives: a line on the set, then up to three a class."""
    intervals = found["intervals"]
    lines = [
        f"{found['measured']['pictures']} pictures: mean IoU over all classes with background "
        f"{number(found['mean_iou'])}{_between(intervals['mean_iou'])}, "
        f"micro IoU {number(found['micro_iou'])}, pixel accuracy {number(found['pixel_accuracy'])}"
    ]
    for name, values in found["classes"].items():
        lines.append(
            f"  {name}: IoU {number(values['iou'])}{_between(values['iou_interval'])}, Dice {number(values['dice'])}"
            f"{_between(values['dice_interval'])}, precision {number(values['precision'])}, "
            f"recall {number(values['recall'])}"
        )
        if values["iou"] is not None and "boundary" in values:
            lines += [_boundary_line(values["boundary"], found["measured"]["unit"]), _objects_line(values["objects"])]
    if any(values is not None for values in intervals.values()):
        share, times = found["measured"]["bootstrap"]["share"], found["measured"]["bootstrap"]["resamples"]
        lines.append(f"In brackets: the middle {100 * share:g} % when the pictures are drawn again {times:,} times.")
    return lines


def number(value: float | None) -> str:
    return "none (not in these pictures)" if value is None else f"{value:.4f}"


def _boundary_line(boundary: Json, unit: str) -> str:
    pictures = boundary["pictures"]
    not_counted = [f"{case} in {pictures[case]}" for case in ("missed", "false alarm", "hidden") if pictures[case]]
    if not pictures["both"]:
        return f"    border: no distance, {', '.join(not_counted)}"
    distances = [
        f"{name} {_distance(boundary[f'{key}_px_mean_of_pictures'], boundary[f'{key}_unit_mean_of_pictures'], unit)}"
        for name, key in (("95 % Hausdorff", "hausdorff_95"), ("mean distance", "mean_distance"))
    ]
    means = "; ".join([f"means over {_pictures(pictures['both'])}", *not_counted])
    return f"    border: boundary IoU {number(boundary['iou'])}, {' and '.join(distances)} ({means})"


def _objects_line(objects: Json) -> str:
    ratios = [f"{name} {_or_none(objects[name])}" for name in ("precision", "recall")]
    return (
        f"    objects: F1 {_or_none(objects['f1'])}{_between(objects['f1_interval'])}, {', '.join(ratios)}; "
        f"found {objects['hits']}, missed {objects['misses']}, false alarms {objects['false_alarms']}"
    )


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _distance(pixels: float, in_unit: float | None, unit: str) -> str:
    return f"{pixels:.2f} px" + ("" if in_unit is None or unit == "px" else f" = {in_unit:.4g} {unit}")


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _between(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.4f} to {interval[1]:.4f})"
