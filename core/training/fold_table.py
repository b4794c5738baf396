"""What a cross-validation measured: of each fold, pooled, and how much folds differ. No torch: pages read Tables."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from core.errors import ReadError
from core.files import read_json
from core.training.fold_set import TABLE_FILE, FoldSet

MEANS: Final = ("mean_iou_foreground", "mean_iou", "mean_dice", "boundary_iou_mean_of_labels", "pixel_accuracy")


@dataclass(frozen=True)
class Table:
    """What a cross-validation measured: every picture once, by the model that has not learned from it.

    folds: a Run each: run (its id), number, pictures, scores (as Scores.to_json without its pictures). pooled: as
    Scores.to_json, of all pictures together. over_folds: figure -> mean and spread (sample standard deviation, None for
    fewer than two) over the folds that have it; "iou:<label>" is the IoU of a label.
    """

    created: str  # ISO time
    labels: Sequence[str]  # background left out
    folds: Sequence[Mapping[str, Any]]
    pooled: Mapping[str, Any]
    over_folds: Mapping[str, Mapping[str, Any]]

    @property
    def pictures(self) -> int:
        return sum(int(fold["pictures"]) for fold in self.folds)


def over_folds(scores: Sequence[Any], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """figure -> mean and spread over the folds that have it, see Table."""
    figures = {name: [found[name] for found in scores] for name in MEANS}
    figures |= {f"iou:{label}": [found["classes"][label]["iou"] for found in scores] for label in labels}
    result = {}
    for name, values in figures.items():
        known = [value for value in values if value is not None]
        result[name] = {
            "mean": statistics.fmean(known) if known else None,
            "spread": statistics.stdev(known) if len(known) > 1 else None,
            "folds": len(known),
        }
    return result


def read_table(fold_set: FoldSet) -> Table | None:
    """None before the end. Raises ReadError when the file is damaged."""
    path = fold_set.folder / TABLE_FILE
    if not path.is_file():
        return None
    try:
        return Table(**read_json(path))
    except TypeError as error:
        hint = "Delete it and go on: it is made again."
        raise ReadError(f"{path.name} of {fold_set.name} is damaged.", hint=hint) from error


def outcome(fold_set: FoldSet) -> dict[str, Any]:
    """What came of a cross-validation, for the command line."""
    table = read_table(fold_set) if fold_set.finished else None
    state = "finished" if table else "stopped"
    result: dict[str, Any] = {
        "set": str(fold_set.folder),
        "state": state,
        "done": fold_set.done,
        "of": fold_set.of,
        "runs": [str(run.folder) for run in fold_set.runs],
        "table": asdict(table) if table else None,
        "checkpoint": str(fold_set.ensemble) if fold_set.ensemble else None,
    }
    if table is None:
        lines = [f"{fold_set.id} stopped, {fold_set.done} of {fold_set.of} folds are done"]
    else:
        lines = [f"{fold_set.id} finished", *table_lines(table), f"  ensemble: {fold_set.ensemble}"]
    return {**result, "text": "\n".join(lines)}


def table_lines(table: Table) -> list[str]:
    """The table as plain text: mean IoU of the labels of each fold, of all pictures pooled, mean and spread."""

    def line(name: str, pictures: int, scores: Mapping[str, Any]) -> str:
        return f"  {name}: mean IoU of the labels {_number(scores['mean_iou_foreground'])} ({pictures} pictures)"

    over = table.over_folds["mean_iou_foreground"]
    return [
        *(line(f"fold {fold['number']}", fold["pictures"], fold["scores"]) for fold in table.folds),
        line("all pictures pooled", table.pictures, table.pooled),
        f"  over {over['folds']} folds: mean {_number(over['mean'])}, spread {_number(over['spread'])}",
        "  Each picture was measured once, by the model that has not learned from it. Best epochs were chosen on the "
        "same pictures, which flatters a little. The ensemble itself is not measured: its members have learned from "
        "all of them.",
    ]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
