from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.annotation.clean_up import CleanUp
from core.annotation.labels import LabelSet
from core.errors import ConfigError
from core.images import RGB
from core.inference.predict import decided, predict, predict_undecided
from core.inference.rows import Cancelled, PredictConfig, add_probabilities, normalisation_table
from core.inference.torch_backend import TorchBackend, network_backend
from core.inference.windows import Window
from core.networks import build_network
from core.networks.card import ModelCard, NetworkConfig, Normalisation

CPU = torch.device("cpu")


def card(classes: int = 2, window: int = 64, depth: int = 2) -> ModelCard:
    labels = LabelSet.of([f"label {i}" for i in range(1, classes)])
    return ModelCard(NetworkConfig("unet", classes=classes, width=4, depth=depth), labels, window=window)


class Threshold:
    """A backend whose class is known for each pixel: the channel with the greatest value, for three classes."""

    card = card(classes=3)
    multiple_of = 4

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.shapes.append(batch.shape)
        return 20 * batch


def coloured(height: int, width: int, seed: int = 0) -> tuple[RGB, NDArray[np.uint8]]:
    """A picture in which each pixel has one bright channel, and which one."""
    ids = np.random.default_rng(seed).integers(0, 3, (height, width), dtype=np.uint8)
    return np.asarray(np.eye(3, dtype=np.uint8)[ids] * 200), ids


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (5, 700), (700, 5), (64, 64), (65, 63), (83, 83), (84, 200), (333, 250)]
)
@pytest.mark.parametrize("batch", [1, 3])
def test_each_pixel_gets_its_own_class_at_any_size(size: tuple[int, int], batch: int) -> None:
    image, ids = coloured(*size)
    found = predict(image, Threshold(), config=PredictConfig(batch=batch))
    assert np.array_equal(found.mask, ids)
    assert found.confidence.shape == size
    assert found.confidence.min() >= 254  # all windows agree
    assert found.mask.dtype == found.confidence.dtype == np.uint8


def test_confidence_is_the_probability_of_the_class() -> None:
    class Unsure(Threshold):
        def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.log(np.broadcast_to(np.float32([0.2, 0.5, 0.3])[:, None, None], batch.shape))

    found = predict(np.full((200, 150, 3), 7, np.uint8), Unsure())
    assert (found.mask == 1).all()
    assert np.abs(found.confidence.astype(int) - round(0.5 * 255)).max() <= 1


def test_a_picture_within_1_3_windows_is_computed_at_once() -> None:
    backend = Threshold()
    predict(coloured(83, 70)[0], backend)
    assert backend.shapes == [(1, 3, 84, 72)]


def test_the_picture_is_normalised_as_the_card_says() -> None:
    normalisation = Normalisation((10.0, 20.0, 30.0), (2.0, 4.0, 8.0))
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    seen: list[NDArray[np.float32]] = []

    class Recorder(Threshold):
        card = ModelCard(Threshold.card.network, Threshold.card.labels, normalisation)

        def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            seen.append(batch.copy())
            return batch

    predict(image, Recorder())
    np.testing.assert_allclose(seen[0][0], normalisation.apply(image), rtol=1e-6)
    assert normalisation_table(normalisation).shape == (1, 256, 3)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_probabilities_are_those_of_torch(classes: int) -> None:
    logits = np.random.default_rng(0).normal(0, 5, (classes, 6, 4)).astype(np.float32)
    weights = np.random.default_rng(1).random((6, 4), np.float32)
    total = np.ones_like(logits)
    add_probabilities(total, logits, weights)
    expected = 1 + torch.from_numpy(logits).softmax(dim=0).numpy() * weights
    np.testing.assert_allclose(total, expected, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_large_logits_are_certain(classes: int) -> None:
    for sign in (-1, 1):
        total = np.zeros((classes, 1, 1), np.float32)
        logits = np.full((classes, 1, 1), sign * 1e4, np.float32)
        logits[1] = -sign * 1e4
        add_probabilities(total, logits, np.ones((1, 1), np.float32))
        assert total[1, 0, 0] == pytest.approx(0 if sign == 1 else 1, abs=1e-30)
        assert total.sum() == 1


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    predict(coloured(200, 200)[0], Threshold(), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert len(seen) == 16


def test_it_stops_between_windows_when_asked() -> None:
    backend = Threshold()
    answers: Iterator[bool] = iter([False, False, True])
    with pytest.raises(Cancelled):
        predict(coloured(200, 200)[0], backend, cancelled=lambda: next(answers))
    assert len(backend.shapes) == 2


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"overlap": 0.95}, {"window": 8}, {"batch": 0}):
        with pytest.raises(ConfigError):
            PredictConfig(**wrong)


def seeded_network() -> torch.nn.Module:
    """A random network that gives about half of the pixels to either class."""
    torch.manual_seed(0)
    network = build_network(card().network)
    pictures = torch.from_numpy(Normalisation().apply(soft_picture(256, 256)))[None]
    for _ in range(50):
        network(pictures)
    network.eval()
    with torch.no_grad():
        logits = network(pictures)
        network.head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()
    return network


def soft_picture(height: int, width: int) -> RGB:
    """Smooth blobs, as pictures have them."""
    coarse = torch.rand(1, 3, height // 16, width // 16, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    return (fine[0].clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()


def test_seams_do_not_show() -> None:
    """A crop that begins half a window later has its seams elsewhere, and predicts the same in its interior.

    The network sees 20 pixels to each side, half of an overlap is 19 or more, so next to nothing of a window's edge is
    left: confidence differs by less than 1 of 255 on average, and less than 1 of 100 pixels change their class.
    Windows stand at multiples of what the network pools by; elsewhere a pixel would fall into other pooling cells.
    """
    backend = TorchBackend(seeded_network(), card(window=192), device=CPU, dtype=torch.float32)
    image = soft_picture(640, 640)
    whole, part = predict(image, backend), predict(image[96:, 96:], backend)
    inside = (slice(24, -24), slice(24, -24))
    foreground = [np.where(p.mask == 1, p.confidence, 255 - p.confidence).astype(int) for p in (whole, part)]
    difference = np.abs(foreground[0][96:, 96:][inside] - foreground[1][inside])
    assert 0.3 < (whole.mask == 1).mean() < 0.7  # the network does not say the same everywhere
    assert difference.mean() < 1
    assert (whole.mask[96:, 96:][inside] != part.mask[inside]).mean() < 0.01


def test_windows_predict_what_the_whole_picture_would() -> None:
    backend = TorchBackend(seeded_network(), card(window=192), device=CPU, dtype=torch.float32)
    image = soft_picture(640, 640)
    windows = predict(image, backend)
    once = predict(image, backend, config=PredictConfig(window=640))
    assert (windows.mask != once.mask).mean() < 0.01


def test_a_live_network_goes_on_training_as_if_nothing_had_happened() -> None:
    network = seeded_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    backend = network_backend(network, card())
    predict(coloured(70, 70)[0], backend)
    assert network.training
    assert all(value.requires_grad for value in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_mask_is_cleaned_up_as_the_card_says() -> None:
    image, ids = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8)
    image[..., 0] = 200
    for side, left in ((8, 4), (2, 30)):
        image[4 : 4 + side, left : left + side] = (0, 200, 0)
        ids[4 : 4 + side, left : left + side] = 1
    backend = Threshold()
    assert np.array_equal(predict(image, backend).mask, ids)
    backend.card = replace(backend.card, clean_up=CleanUp(drop_below=10))
    assert np.array_equal(predict(image, backend).mask, np.where(np.arange(40) < 20, ids, 0))


def test_black_windows_hold_no_data_and_cost_nothing() -> None:
    image, ids = coloured(400, 300)
    image[:150], ids[:150] = 0, 0
    backend = Threshold()
    found = predict(image, backend)
    assert np.array_equal(found.mask, ids)
    whole = Threshold()
    predict(coloured(400, 300)[0], whole)
    assert len(backend.shapes) < 0.8 * len(whole.shapes)
    nothing = Threshold()
    assert (predict(np.zeros((90, 90, 3), np.uint8), nothing).confidence == 255).all()
    assert nothing.shapes == []


@pytest.mark.parametrize("batch", [1, 3])
def test_windows_that_are_remembered_are_not_computed_again(batch: int) -> None:
    class Memory:
        def __init__(self) -> None:
            self.kept: dict[Window, tuple[RGB, NDArray[np.float32]]] = {}

        def recall(self, window: Window, pixels: RGB) -> NDArray[np.float32] | None:
            known = self.kept.get(window)
            return known[1] if known is not None and np.array_equal(known[0], pixels) else None

        def keep(self, window: Window, pixels: RGB, logits: NDArray[np.float32]) -> None:
            self.kept[window] = (pixels.copy(), logits.copy())

    image, _ = coloured(300, 300)
    memory, backend = Memory(), Threshold()
    predict(image, backend, config=PredictConfig(batch=batch), memory=memory)
    image[10:20, 10:20] = (0, 0, 200)  # in one window
    backend.shapes.clear()
    found = predict(image, backend, config=PredictConfig(batch=batch), memory=memory)
    assert sum(shape[0] for shape in backend.shapes) == 1
    assert np.array_equal(found.mask, image.argmax(axis=2))


@pytest.mark.parametrize("thresholds", [{}, {"label 1": 0.3}, {"label 1": 0.9, "label 2": 0.2}])
def test_thresholds_and_clean_up_may_be_chosen_after_the_network(thresholds: dict[str, float]) -> None:
    class Soft(Threshold):
        def logits(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            return 2 * batch

    backend = Soft()
    image = np.random.default_rng(0).integers(1, 256, (150, 130, 3), dtype=np.uint8)
    undecided = predict_undecided(image, backend)
    backend.card = replace(backend.card, thresholds=thresholds, clean_up=CleanUp(drop_below=3))
    found, expected = decided(undecided, backend.card), predict(image, backend)
    assert np.array_equal(found.mask, expected.mask)
    assert np.array_equal(found.confidence, expected.confidence)
    assert np.abs(undecided.probabilities.sum(axis=0, dtype=int) - 255).max() <= 1
    if thresholds:
        assert not np.array_equal(found.mask, undecided.mask)


def test_a_lower_threshold_finds_more() -> None:
    backend = TorchBackend(seeded_network(), card(), device=CPU, dtype=torch.float32)
    undecided = predict_undecided(soft_picture(160, 160), backend)
    shares = [
        (decided(undecided, replace(backend.card, thresholds={"label 1": value})).mask == 1).mean()
        for value in (0.2, 0.5, 0.8)
    ]
    assert shares[0] > shares[1] > shares[2]
