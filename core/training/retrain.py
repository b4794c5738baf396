"""The new model beside the current one, on the same validation pictures; the better one is used.

Each Run begins from the base, never from the last model: going on from it would favour the pictures it saw first.
No torch at import: pages read Comparisons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.annotation.labels import IGNORE_ID, LabelSet
from core.annotation.raster import Mask
from core.errors import ReadError, UserError
from core.files import read_json, write_json
from core.images import read_image
from core.inference import load_backend
from core.inference.backend import Backend
from core.inference.metrics import ConfusionMatrix, mean_of
from core.inference.predict import predict
from core.inference.scores import ScoreConfig, Scores
from core.networks.card import read_card, write_card
from core.project.project import Project
from core.training.judges import judges
from core.training.run import Run, run_split, usable_rows

COMPARISON_FILE: Final = "comparison.json"
_A_FOLD: Final = "It is fold {} of {} of a cross-validation: the ensemble of all of them is what to use."
_UNFAIR: Final = (
    "The current model has learned from some of these validation pictures, so a comparison would flatter it. It stays "
    "until a person chooses."
)
_BY_MEMBERS: Final = (
    "The current model is an ensemble: each picture was judged by one of its members that has not learned from it."
)


@dataclass(frozen=True)
class Comparison:
    """new, current: as in Scores.to_json without its pictures, and "model", the folder relative to the Project's.

    compared: the labels over which `mean_iou_compared` of both is taken: those that both models know and the
    validation pictures show. promoted: the new one is in use. reason: why, in a sentence.
    """

    new: Mapping[str, Any]
    current: Mapping[str, Any] | None
    compared: Sequence[str]
    pictures: int
    promoted: bool
    reason: str


def compare_and_promote(
    project: Project, run: Run, *, progress: Callable[[int, int], None] | None = None
) -> Comparison:
    """Measure the Run's best model and the current one, use the new one if it is not worse, and write down why.

    A Run of a cross-validation is measured alone: the current model may have learned from the pictures it validates on.
    Where a current ensemble has, each picture is judged by a member that has not. Raises UserError when the Run has no
    model yet.
    """
    if run.best is None:
        raise UserError(f"The run {run.name} has no model yet.", hint="Train for at least one epoch.")
    current = project.current_model() if run.fold is None else None
    if current is not None and current.resolve() == run.best.resolve():
        current = None
    names = validation_names(project, run)
    backends, judged = [load_backend(run.best)], dict[Path, list[str]]()
    problem, unfair = "", False
    if current is not None:
        try:
            backends.append(load_backend(current))
            found = judges(project, current, names)
            judged, unfair = found or {}, found is None
        except ReadError as error:
            problem = f"The current model cannot be read ({error.message})"
    if unfair or problem:
        current, backends = None, backends[:1]
    scores = _scores(project, run, backends, names, judged, progress)
    comparison = _judge(project, run, current, backends, scores)
    if problem:
        comparison = replace(comparison, reason=f"{problem}, so the new one is used.")
    elif unfair:
        comparison = replace(comparison, promoted=False, reason=_UNFAIR)
    elif run.fold is not None:
        comparison = replace(comparison, promoted=False, reason=_A_FOLD.format(run.fold.number, run.fold.of))
    elif judged.keys() - {current}:
        comparison = replace(comparison, reason=f"{comparison.reason} {_BY_MEMBERS}")
    write_card(run.best, replace(read_card(run.best), metrics=scores[0].matrix.to_json(run.labels) if names else {}))
    if comparison.promoted:
        project.set_current_model(run.best)
    write_json(run.folder / COMPARISON_FILE, asdict(comparison))
    return comparison


def promote(project: Project, run: Run) -> Comparison | None:
    """Use the Run's best model whatever the figures say: the person decides. Raises UserError without one."""
    if run.best is None:
        raise UserError(f"The run {run.name} has no model yet.", hint="Train for at least one epoch.")
    project.set_current_model(run.best)
    comparison = read_comparison(run)
    if comparison is not None and not comparison.promoted:
        comparison = replace(comparison, promoted=True, reason="A person chose it.")
        write_json(run.folder / COMPARISON_FILE, asdict(comparison))
    return comparison


def read_comparison(run: Run) -> Comparison | None:
    """None before the end of the training. Raises ReadError when the file is damaged."""
    path = run.folder / COMPARISON_FILE
    if not path.is_file():
        return None
    try:
        return Comparison(**read_json(path))
    except TypeError as error:
        raise ReadError(f"{path.name} of the run {run.name} is damaged.", hint="Train anew.") from error


# ------------------------------------------------------------------------------------------------------- details


def validation_names(project: Project, run: Run) -> list[str]:
    """The pictures of the Run's validation part that are still usable."""
    known = {row.name for row in usable_rows(project)}
    return [name for name in run_split(run).val if name in known]


def _scores(
    project: Project,
    run: Run,
    backends: Sequence[Backend],
    names: Sequence[str],
    judged: Mapping[Path, Sequence[str]],
    progress: Callable[[int, int], None] | None,
) -> list[Scores]:
    """Of the new model, and of the current one where there is one; judged: what stands for it on which pictures."""
    current = project.current_model()
    if len(backends) == 1 or not judged.keys() - {current}:
        return measure_on(project, run.labels, backends, names, progress)
    (new,) = measure_on(project, run.labels, backends[:1], names, progress)
    others = Scores(run.labels, new.config)
    for judge, its_names in judged.items():
        backend = backends[1] if judge == current else load_backend(judge)
        others.merge(*measure_on(project, run.labels, [backend], its_names, None))
    return [new, others]


def measure_on(
    project: Project,
    labels: LabelSet,
    backends: Sequence[Backend],
    names: Sequence[str],
    progress: Callable[[int, int], None] | None,
) -> list[Scores]:
    """Scores a Backend over the Samples `names`, all in the ids of `labels`."""
    config = ScoreConfig(pixel_size=project.settings.pixel_size, unit=project.settings.unit)
    scores = [Scores(labels, config) for _ in backends]
    tables = [_ids_in(labels, backend.card.labels) for backend in backends]
    for done, name in enumerate(names, start=1):
        truth = read_truth(project, name, labels)
        for backend, counted, table in zip(backends, scores, tables, strict=True):
            image = read_image(project.sample(name).image, intensity=backend.card.intensity)
            counted.add(name, truth, table[predict(image, backend).mask])
        if progress is not None:
            progress(done, len(names))
    return scores


def read_truth(project: Project, name: str, labels: LabelSet) -> Mask:
    """The Mask of a Sample in the ids of `labels`, a first part of the Project's; a label added since is left out.

    Raises ReadError when the Sample has lost its Annotation.
    """
    mask = project.read_mask(name)
    if mask is None:
        raise ReadError(f"{name} has no annotation any more.", hint="Restore it from the history, or train anew.")
    mask[(mask >= len(labels)) & (mask != IGNORE_ID)] = IGNORE_ID
    return mask


def _ids_in(labels: LabelSet, others: LabelSet) -> Mask:
    """(256,) what each id of `others` is in `labels`; background where there is no such label."""
    table = np.zeros(256, np.uint8)
    for class_id, name in enumerate(others.names):
        table[class_id] = labels.id_of(name) if name in labels else 0
    return table


def _judge(
    project: Project,
    run: Run,
    current: Path | None,
    backends: Sequence[Backend],
    scores: Sequence[Scores],
) -> Comparison:
    assert run.best is not None
    pictures = len(scores[0].pictures)
    known = backends[1].card.labels if current else run.labels
    shown = scores[0].matrix.counts.sum(axis=1) > 0  # in truth
    ids = [i for i, name in enumerate(run.labels.names) if i > 0 and shown[i] and name in known]
    compared = [run.labels.names[i] for i in ids]
    means = [_mean_iou(counted.matrix, ids) for counted in scores]
    promoted, reason = _decide(means, has_current=current is not None, pictures=pictures)
    if current is not None and set(known.names) != set(run.labels.names):
        reason += f" The labels differ; compared were {', '.join(compared) or 'none'}."

    def described(folder: Path, counted: Scores, mean: float | None) -> dict[str, Any]:
        model = folder.resolve().relative_to(project.folder.resolve()).as_posix()
        return {"model": model, "mean_iou_compared": mean, **counted.to_json(per_picture=False)}

    return Comparison(
        new=described(run.best, scores[0], means[0]),
        current=described(current, scores[1], means[1]) if current else None,
        compared=compared,
        pictures=pictures,
        promoted=promoted,
        reason=reason,
    )


def _decide(scores: Sequence[float | None], *, has_current: bool, pictures: int) -> tuple[bool, str]:
    """Whether the new model is used, and why."""
    if not has_current:
        return True, "It is the first model of this project."
    if pictures == 0:
        return True, "There is no validation picture to compare on, so the newer model is used."
    new, old = scores
    if new is None or old is None:
        return True, "The validation pictures show no label that both models know, so the newer model is used."
    figures = f"its mean IoU of the labels is {new:.3f}, that of the current one {old:.3f}"
    if new >= old:
        return True, f"It is not worse: {figures}."
    return False, f"It is worse, so the current model stays: {figures}."


def _mean_iou(matrix: ConfusionMatrix, ids: Sequence[int]) -> float | None:
    ious = matrix.iou()
    return mean_of(ious[i] for i in ids)
