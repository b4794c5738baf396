"""Nobody judges a picture that it has learned from; and what that makes of the comparison with an ensemble."""

from pathlib import Path

import pytest

from core.errors import ReadError
from core.files import write_json
from core.inference.ensemble import write_ensemble
from core.project.project import Project
from core.training import retrain
from core.training.fold_set import FoldSet, create_set
from core.training.judges import judges
from core.training.retrain import compare_and_promote, validation_names
from core.training.run import Run, create_run, read_run, run_split
from tests.training.scenes import add_picture, make_project, tiny
from tests.training.test_retrain import BLIND, GOOD, Threshold


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "p", pictures=6)


@pytest.fixture
def folds(project: Project) -> FoldSet:
    """A set of three whose models are there, and its ensemble."""
    fold_set = create_set(project, tiny(), 3)
    for run in fold_set.runs:
        with_model(run)
    write_ensemble(fold_set.folder, [run.folder / "best" for run in fold_set.runs], GOOD.card)
    return fold_set


def with_model(run: Run) -> Run:
    (run.folder / "best").mkdir()
    (run.folder / "best" / "model.json").write_text("{}")
    return read_run(run.folder)


def test_of_an_ensemble_the_member_judges_that_has_held_the_picture_back(project: Project, folds: FoldSet) -> None:
    held_back = {name: run.folder / "best" for run in folds.runs for name in run_split(run).val}
    found = judges(project, folds.folder, sorted(held_back))
    assert found is not None
    assert {name: judge for judge, names in found.items() for name in names} == held_back


def test_all_members_together_judge_what_none_has_seen(project: Project, folds: FoldSet) -> None:
    new = add_picture(project, 50)
    assert judges(project, folds.folder, [new]) == {folds.folder: [new]}
    assert judges(project, folds.folder, []) == {}


def test_a_model_alone_judges_what_it_has_not_learned_from(project: Project) -> None:
    run, elsewhere = create_run(project, tiny()), project.folder / "models" / "kept"
    split = run_split(run)
    assert judges(project, run.folder / "best", split.val) == {run.folder / "best": split.val}
    assert judges(project, run.folder / "best", [*split.val, split.train[0]]) is None
    assert judges(project, elsewhere, split.train) == {elsewhere: split.train}


def test_a_damaged_ensemble_has_no_judges(project: Project, folds: FoldSet) -> None:
    write_json(folds.folder / "ensemble.json", {"schema": 1, "members": 5})
    with pytest.raises(ReadError):
        judges(project, folds.folder, ["scene00"])


# ---------------------------------------------------------------------------------------------------- comparison


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[Path, Threshold]:
    found: dict[Path, Threshold] = {}

    def load(folder: Path) -> Threshold:
        if folder not in found:
            raise AssertionError(f"{folder} must not judge")
        return found[folder]

    monkeypatch.setattr(retrain, "load_backend", load)
    monkeypatch.setattr(retrain, "read_card", lambda folder: found[folder].card)
    monkeypatch.setattr(retrain, "write_card", lambda folder, card: None)
    return found


@pytest.mark.parametrize(("fair", "promoted"), [(BLIND, True), (GOOD, True)])
def test_the_current_ensemble_is_judged_by_members_that_have_not_learned_from_the_picture(
    project: Project, folds: FoldSet, backends: dict[Path, Threshold], fair: Threshold, promoted: bool
) -> None:
    project.set_current_model(folds.folder)
    run = with_model(create_run(project, tiny()))
    names = validation_names(project, run)
    assert names
    backends[run.folder / "best"] = GOOD
    backends[folds.folder] = GOOD  # flattered: it would be perfect, and must not count
    for member in folds.runs:
        if set(run_split(member).val) & set(names):
            backends[member.folder / "best"] = fair
    comparison = compare_and_promote(project, run)
    assert comparison.promoted is promoted
    assert comparison.current is not None
    assert comparison.current["mean_iou_compared"] == (1.0 if fair is GOOD else 0.0)
    assert comparison.current["model"] == f"folds/{folds.id}"
    assert "judged by one of its members" in comparison.reason


def test_a_current_model_that_has_learned_from_the_validation_pictures_stays(
    project: Project, folds: FoldSet, backends: dict[Path, Threshold]
) -> None:
    run = with_model(create_run(project, tiny()))
    learned = next(one for one in folds.runs if set(run_split(one).train) & set(validation_names(project, run)))
    project.set_current_model(learned.folder / "best")
    backends |= {run.folder / "best": GOOD, learned.folder / "best": BLIND}
    comparison = compare_and_promote(project, run)
    assert not comparison.promoted
    assert comparison.current is None
    assert "has learned from some of these validation pictures" in comparison.reason
    assert project.current_model() == learned.folder / "best"


def test_a_fold_is_measured_alone_and_never_used_by_itself(
    project: Project, folds: FoldSet, backends: dict[Path, Threshold]
) -> None:
    ordinary = with_model(create_run(project, tiny()))
    project.set_current_model(ordinary.folder / "best")
    run = folds.runs[1]
    backends[run.folder / "best"] = GOOD
    comparison = compare_and_promote(project, read_run(run.folder))
    assert (comparison.promoted, comparison.current, comparison.pictures) == (False, None, 2)
    assert comparison.new["mean_iou_foreground"] == 1.0
    assert "fold 2 of 3" in comparison.reason
    assert project.current_model() == ordinary.folder / "best"
