"""The loop: it learns, it is repeatable, it goes on exactly, and what validates never trains."""

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.annotation.labels import LabelSet
from core.annotation.raster import Mask
from core.errors import ReadError, UserError
from core.images import RGB, ImageSize, IntensityRule
from core.networks.card import NetworkConfig
from core.training import device, schedule
from core.training.config import TrainingConfig
from core.training.learner import Learner
from core.training.loop import EpochResult, Notice, Result, StepResult, TrainingData, TrainingState, train
from core.training.tiles import Batch, LabelledPicture, PictureCache, TileSampler
from core.training.validation import Validation
from tests.training.scenes import TINY, tiny

SIDE = 40


def scene(name: str) -> tuple[RGB, Mask]:
    random = np.random.default_rng(sum(name.encode()))
    image = random.integers(20, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    top, left = random.integers(0, SIDE - 16, 2)
    mask[top : top + 16, left : left + 16] = 1
    image[mask == 1] += 150
    return image, mask


def make_data(folder: Path, *, train: str = "abcd", val: str = "yz", seen: list[str] | None = None) -> TrainingData:
    """Pictures named by a letter; which of them are read is noted in `seen`."""

    def read(name: str) -> tuple[RGB, Mask]:
        if seen is not None:
            seen.append(name)
        return scene(name)

    cache = PictureCache(read, budget=10_000_000, spill=folder / "cache")
    pixels = {0: SIDE**2 - 256, 1: 256}
    listed = [
        [LabelledPicture(name, ImageSize(SIDE, SIDE), frozenset({1}), pixels) for name in names]
        for names in (train, val)
    ]
    return TrainingData(LabelSet.of(["square"]), IntensityRule(), listed[0], listed[1], cache)


def epochs(results: Iterable[Result]) -> list[EpochResult]:
    return [result for result in results if isinstance(result, EpochResult)]


def figures(result: EpochResult) -> tuple[float, ...]:
    assert result.val_loss is not None
    assert result.val_matrix is not None
    return (result.train_loss, result.val_loss, result.learning_rate, *result.val_matrix.counts.ravel().tolist())


def test_the_loss_falls_and_the_squares_are_found(tmp_path: Path) -> None:
    results = epochs(train(tiny(epochs=6), make_data(tmp_path)))
    assert results[-1].train_loss < 0.6 * results[0].train_loss
    assert results[-1].val_matrix is not None
    assert (results[-1].val_matrix.iou()[1] or 0) > 0.8
    assert results[-1].predictions.keys() == {"y", "z"}


def test_steps_and_epochs_come_in_order(tmp_path: Path) -> None:
    kinds = [type(result).__name__[0] for result in train(tiny(epochs=2, steps_per_epoch=3), make_data(tmp_path))]
    assert "".join(kinds) == "SSSESSSE"


def test_the_best_epoch_is_the_one_of_the_highest_validation_iou(tmp_path: Path) -> None:
    results = epochs(train(tiny(epochs=5), make_data(tmp_path)))
    best = -1.0
    for result in results:
        assert result.val_matrix is not None
        iou = result.val_matrix.mean_iou_foreground or 0.0
        assert not (result.is_best and iou < best)
        assert result.is_best or iou <= best
        best = max(best, iou)


def broken_off(config: TrainingConfig, data: TrainingData, *, epoch: int) -> tuple[list[EpochResult], TrainingState]:
    """The Epochs up to `epoch`, and the state then, kept as the worker keeps it."""
    done = []
    for result in train(config, data):
        if isinstance(result, EpochResult):
            done.append(result)
            if result.epoch == epoch:
                break
    tensors = {name: value.clone().contiguous() for name, value in done[-1].state.tensors.items()}
    return done, TrainingState(tensors, json.loads(json.dumps(dict(done[-1].state.numbers))))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw"},
        {"optimizer": "radam"},
        {"optimizer": "sgd"},
        {"precision": "fp16"},
        {"accumulate": 2, "batch": 2},
        {"schedule": "step", "drops": 3},
        {"schedule": "plateau", "plateau_epochs": 1, "learning_rate": 0.2},
    ],
)
def test_a_resumed_training_is_the_same_as_one_without_a_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    monkeypatch.setattr(device, "_has_float16", lambda _: True)
    config = tiny(epochs=5, augment="cell", weight_decay=0.1, **changes)
    whole = epochs(train(config, make_data(tmp_path)))
    first, state = broken_off(config, make_data(tmp_path), epoch=3)
    second = epochs(train(config, make_data(tmp_path), resume=state))
    assert [result.epoch for result in second] == [4, 5]
    assert [figures(result) for result in first + second] == [figures(result) for result in whole]
    assert [result.is_best for result in first + second] == [result.is_best for result in whole]


def test_a_state_of_an_earlier_version_is_gone_on_from(tmp_path: Path) -> None:
    _, state = broken_off(tiny(), make_data(tmp_path), epoch=1)
    old = TrainingState(state.tensors, {key: state.numbers[key] for key in ("epoch", "step", "seconds", "best")})
    assert [result.epoch for result in epochs(train(tiny(), make_data(tmp_path), resume=old))] == [2]


def no_better_after(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Validations whose score rises up to `epoch` and stays there."""
    rising = itertools.count(1)
    monkeypatch.setattr(Validation, "score", lambda *_: (min(next(rising), epoch) / 100, 0.0))


def test_the_learning_rate_drops_where_the_score_does_not_rise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_better_after(monkeypatch, 2)
    config = tiny(epochs=8, steps_per_epoch=1, schedule="plateau", plateau_epochs=2, drop_factor=0.5)
    rates = [result.learning_rate for result in epochs(train(config, make_data(tmp_path)))]
    assert rates == pytest.approx([0.02, 0.02, 0.02, 0.02, 0.01, 0.01, 0.005, 0.005])


def test_the_training_ends_when_patience_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_better_after(monkeypatch, 2)
    config = tiny(epochs=9, steps_per_epoch=1, patience=3)
    results = list(train(config, make_data(tmp_path)))
    assert [result.epoch for result in epochs(results)] == [1, 2, 3, 4, 5]
    notice = results[-1]
    assert isinstance(notice, Notice)
    assert notice.text == "The last 3 validations brought no better score: the training ends after epoch 5 of 9."


def test_patience_outlives_a_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_better_after(monkeypatch, 2)
    config = tiny(epochs=9, steps_per_epoch=1, patience=3)
    _, state = broken_off(config, make_data(tmp_path), epoch=4)
    monkeypatch.setattr(Validation, "score", lambda *_: (0.02, 0.0))
    assert [result.epoch for result in epochs(train(config, make_data(tmp_path), resume=state))] == [5]


@pytest.mark.parametrize(("optimizer", "rate"), [("adamw", 0.02), ("radam", 0.02), ("sgd", 0.1)])
def test_each_optimizer_learns(tmp_path: Path, optimizer: str, rate: float) -> None:
    results = epochs(train(tiny(epochs=8, optimizer=optimizer, learning_rate=rate), make_data(tmp_path)))
    assert results[-1].train_loss < 0.7 * results[0].train_loss


def test_a_network_with_several_outputs_learns(tmp_path: Path) -> None:
    network = NetworkConfig(name="residual_unet", width=4, depth=3, supervision=2, early_exit=True)
    results = epochs(train(tiny(epochs=8, network=network), make_data(tmp_path)))
    assert results[-1].train_loss < 0.7 * results[0].train_loss
    assert results[-1].val_matrix is not None
    assert (results[-1].val_matrix.iou()[1] or 0) > 0.8


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    runs = [epochs(train(tiny(epochs=1, seed=seed), make_data(tmp_path)))[0] for seed in (1, 1, 2)]
    assert figures(runs[0]) == figures(runs[1])
    assert figures(runs[0]) != figures(runs[2])


def test_a_validation_picture_never_trains(tmp_path: Path) -> None:
    seen: list[str] = []
    data = make_data(tmp_path, seen=seen)
    for result in train(tiny(epochs=1, steps_per_epoch=20), data):
        if isinstance(result, StepResult):
            assert set(seen) <= set("abcd")
    assert set(seen) == set("abcdyz")


def test_without_validation_pictures_the_training_loss_decides(tmp_path: Path) -> None:
    results = epochs(train(tiny(epochs=4), make_data(tmp_path, val="")))
    assert all(result.val_loss is None and result.val_matrix is None for result in results)
    lowest = float("inf")
    for result in results:
        assert result.is_best == (result.train_loss < lowest)
        lowest = min(lowest, result.train_loss)


def test_only_so_many_megapixels_validate_after_an_epoch(tmp_path: Path) -> None:
    few = tiny(epochs=1, validation_megapixels=1.5 * SIDE**2 / 1e6)
    result = epochs(train(few, make_data(tmp_path, val="wxyz")))[0]
    assert result.val_matrix is not None
    assert result.val_matrix.counts.sum() == SIDE**2


def test_minutes_end_the_training_with_a_measured_epoch(tmp_path: Path) -> None:
    results = list(train(tiny(epochs=100_000, minutes=0.01), make_data(tmp_path)))
    last = results[-1]
    assert isinstance(last, EpochResult)
    assert last.val_matrix is not None
    assert last.progress == 1.0


def test_a_loss_that_is_no_number_is_said(tmp_path: Path) -> None:
    hot = tiny(epochs=50, learning_rate=10.0, gradient_clip=0.0, weight_decay=10.0)
    with pytest.raises(UserError, match=r"is no number any more at step \d+. Choose a lower learning rate."):
        epochs(train(hot, make_data(tmp_path)))


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    state = epochs(train(tiny(epochs=1), make_data(tmp_path)))[0].state
    wider = tiny(network=replace(TINY.network, width=6))
    with pytest.raises(ReadError, match="does not fit the settings"):
        next(train(wider, make_data(tmp_path), resume=state))


def test_a_gpu_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no GPU"):
        next(train(tiny(device="cuda"), make_data(tmp_path)))


def test_a_rare_class_that_weighs_more_is_found_more_often(tmp_path: Path) -> None:
    recalls = {}
    for kind in ("none", "inverse"):
        config = tiny(epochs=1, class_weights=kind, cross_entropy=1.0, dice=0.0, lovasz=0.0, foreground_share=0.0)
        matrix = epochs(train(config, make_data(tmp_path)))[0].val_matrix
        assert matrix is not None
        recalls[kind] = matrix.recall()[1] or 0.0
    assert recalls["inverse"] > recalls["none"]


def test_accumulated_batches_see_the_same_tiles_as_one(tmp_path: Path) -> None:
    """Up to the statistics of BatchNorm, which are those of each batch."""
    one = epochs(train(tiny(epochs=3, batch=8), make_data(tmp_path)))
    four = epochs(train(tiny(epochs=3, batch=2, accumulate=4), make_data(tmp_path)))
    assert one[0].train_matrix.counts.sum(axis=1).tolist() == four[0].train_matrix.counts.sum(axis=1).tolist()
    assert four[-1].train_loss == pytest.approx(one[-1].train_loss, rel=0.3)


def notices(results: Iterable[Result]) -> list[str]:
    return [result.text for result in results if isinstance(result, Notice)]


def test_a_learning_rate_that_diverges_is_halved_until_it_does_not(tmp_path: Path) -> None:
    hot = tiny(epochs=1, steps_per_epoch=40, learning_rate=2.0, gradient_clip=0.0, weight_decay=10.0)
    results = list(train(hot, make_data(tmp_path)))
    assert 1 <= len(notices(results)) <= 3
    assert all(text.endswith("It goes on from the beginning with half the learning rate.") for text in notices(results))
    (last,) = epochs(results)
    assert last.step == 40
    assert math.isfinite(last.train_loss)
    assert last.state.numbers["halvings"] == len(notices(results))
    assert last.learning_rate < hot.learning_rate


def fail_once(monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    """The loss of the Step after `at` is no number, the first time."""
    whole, failed = Learner.loss, list[int]()

    def loss(learner: Learner, logits: Tensor, *others: Any, **named: Any) -> Tensor:
        value = whole(learner, logits, *others, **named)
        if learner.course.step == at and not failed and torch.is_grad_enabled():
            failed.append(at)
            return value * math.nan
        return value

    monkeypatch.setattr(Learner, "loss", loss)


def test_after_a_loss_that_is_no_number_it_goes_on_from_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(epochs=3, augment="cell")
    _, state = broken_off(config, make_data(tmp_path), epoch=1)
    expected = epochs(
        train(config, make_data(tmp_path), resume=TrainingState(state.tensors, {**state.numbers, "halvings": 1}))
    )
    fail_once(monkeypatch, at=6)
    results = list(train(config, make_data(tmp_path)))
    assert notices(results) == [
        "The loss is no number any more at step 7. It goes on from the end of epoch 1 with half the learning rate."
    ]
    assert [result.step for result in results if isinstance(result, StepResult)] == [*range(1, 7), *range(5, 13)]
    assert [figures(result) for result in epochs(results)[1:]] == [figures(result) for result in expected]
    assert expected[-1].learning_rate < 0.6 * config.learning_rate


def limit_memory(monkeypatch: pytest.MonkeyPatch, *, tiles: int) -> None:
    whole = Learner.forward

    def forward(learner: Learner, network: nn.Module, batch: Batch) -> Any:
        if len(batch.masks) > tiles and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return whole(learner, network, batch)

    monkeypatch.setattr(Learner, "forward", forward)


def test_where_memory_runs_out_the_batches_shrink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = epochs(train(tiny(batch=2, accumulate=4), make_data(tmp_path)))
    limit_memory(monkeypatch, tiles=2)
    results = list(train(tiny(batch=8), make_data(tmp_path)))
    assert notices(results) == [
        "There is not enough memory: from here on the 8 tiles of a step are learned in 2 batches.",
        "There is not enough memory: from here on the 8 tiles of a step are learned in 4 batches.",
    ]
    assert [result.train_loss for result in epochs(results)] == [result.train_loss for result in expected]
    assert epochs(results)[-1].train_matrix.counts.tolist() == expected[-1].train_matrix.counts.tolist()


def test_who_goes_back_remembers_what_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_memory(monkeypatch, tiles=2)
    fail_once(monkeypatch, at=2)
    said = [text.split(":")[0] for text in notices(train(tiny(epochs=1), make_data(tmp_path)))]
    assert said[0] == "There is not enough memory"
    assert len(said) == 2


def test_a_resumed_training_remembers_what_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_memory(monkeypatch, tiles=3)
    config = tiny(batch=5, epochs=2)
    whole = epochs(train(config, make_data(tmp_path)))
    _, state = broken_off(config, make_data(tmp_path), epoch=1)
    results = list(train(config, make_data(tmp_path), resume=state))
    assert not notices(results)
    assert figures(epochs(results)[-1]) == figures(whole[-1])


def test_a_single_tile_that_memory_does_not_hold_ends_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, tiles=0)
    results = train(tiny(batch=4), make_data(tmp_path))
    assert [text.split()[-2] for text in notices(itertools.islice(results, 2))] == ["2", "4"]
    with pytest.raises(torch.OutOfMemoryError):
        next(results)


def test_other_errors_of_torch_are_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Learner, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        list(train(tiny(), make_data(tmp_path)))


def test_slow_pictures_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, whole = [0.0], TileSampler.batch

    def slow(sampler: TileSampler, step: int) -> Batch:
        clock[0] += 3.0 * (step % 2)
        return whole(sampler, step)

    def quick(learner: Learner, batch: Batch, further: Batch | None) -> tuple[float, Mask]:
        clock[0] += 1.0
        return gradients(learner, batch)

    gradients = Learner.gradients
    monkeypatch.setattr(TileSampler, "batch", slow)
    monkeypatch.setattr(Learner, "gradients", quick)
    monkeypatch.setattr(schedule.time, "monotonic", lambda: clock[0])
    results = list(train(tiny(epochs=1), make_data(tmp_path, val="")))
    assert [result.waiting_share for result in results if isinstance(result, StepResult)] == [0, 0.75, 0, 0.75]
    assert epochs(results)[0].waiting_share == 0.6
