import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError
from core.inference import BACKENDS, load_backend, torch_backend
from core.inference.predict import predict
from core.inference.torch_backend import TorchBackend, network_backend
from core.networks import build_network
from core.networks.card import ModelCard, NetworkConfig
from core.networks.checkpoint import save_checkpoint

CARD = ModelCard(NetworkConfig("unet", classes=3, width=4, depth=2), LabelSet.of(["roof", "road"]), window=64)
PICTURE = np.random.default_rng(0).integers(0, 256, (150, 130, 3), dtype=np.uint8)


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_network(CARD.network)
    for _ in range(20):
        network(torch.randn(2, 3, 32, 32))
    return network


@pytest.fixture
def folder(tmp_path: Path, network: torch.nn.Module) -> Path:
    save_checkpoint(tmp_path, network, CARD)
    return tmp_path


def exactly(network: torch.nn.Module, batch: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(batch)).numpy()


def test_a_loaded_checkpoint_gives_the_logits_of_its_network(folder: Path, network: torch.nn.Module) -> None:
    backend = load_backend(folder)
    batch = np.random.default_rng(0).normal(size=(2, 3, 32, 64)).astype(np.float32)
    logits = backend.logits(batch)
    assert (backend.card, backend.multiple_of) == (CARD, 4)
    assert logits.shape == (2, 3, 32, 64)
    assert logits.dtype == np.float32
    assert np.abs(logits - exactly(network, batch)).mean() < 0.02  # bfloat16 has 8 bits


def test_without_native_bfloat16_it_computes_in_float32(
    folder: Path, network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    backend = torch_backend.load(folder)
    batch = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
    assert backend.precision == "float32"
    np.testing.assert_allclose(backend.logits(batch), exactly(network, batch), rtol=1e-4, atol=1e-4)


def test_bfloat16_is_used_where_the_processor_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert torch_backend.load(folder).precision == "bfloat16"


def test_a_network_that_bfloat16_would_change_stays_in_float32(
    network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    with torch.no_grad():
        network.head.bias.add_(1000)  # bfloat16 has 8 bits: what the classes differ by is lost
    assert network_backend(network, CARD).precision == "float32"


def test_it_folds_the_batch_norms_of_the_copy_only(network: torch.nn.Module) -> None:
    network_backend(network, CARD)
    assert any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


def test_several_people_get_what_each_would_get_alone(folder: Path) -> None:
    backend = load_backend(folder)
    pictures = [np.ascontiguousarray(PICTURE[:, ::-1]), PICTURE, PICTURE // 2]
    alone = [predict(picture, backend) for picture in pictures]
    together: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        together[number] = predict(pictures[number], backend).mask

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(together[number], alone[number].mask) for number in range(3))


def test_the_device_is_the_cpu_where_there_is_no_other() -> None:
    assert torch_backend.fastest_device().type in ("cpu", "cuda")
    assert isinstance(network_backend(build_network(CARD.network), CARD), TorchBackend)


def test_an_unknown_backend_is_told_with_those_there_are(folder: Path) -> None:
    with pytest.raises(ConfigError, match=rf"no backend 'abacus'.*{'|'.join(BACKENDS)}"):
        load_backend(folder, "abacus")


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="is missing"):
        load_backend(tmp_path)


def early_exit_backend() -> TorchBackend:
    torch.manual_seed(0)
    config = NetworkConfig("unet", classes=3, width=4, depth=4, supervision=1, early_exit=True)
    card = ModelCard(config, LabelSet.of(["roof", "road"]), window=64)
    return TorchBackend(build_network(config).eval(), card, device=torch.device("cpu"), dtype=torch.float32)


def test_a_sure_early_output_is_taken_and_the_rest_is_not_computed() -> None:
    backend = early_exit_backend()
    network = backend._network
    torch.nn.init.zeros_(network.exit[1].weight)
    network.exit[1].bias.data = torch.tensor([0.0, 9.0, 0.0])  # sure that everything is roof
    logits = backend.logits(np.zeros((1, 3, 64, 64), np.float32))
    assert logits.shape == (1, 3, 64, 64)
    assert (logits.argmax(axis=1) == 1).all()
    assert dict(backend.exits) == {0: 1}


def test_an_output_that_is_not_sure_is_not_taken() -> None:
    backend = early_exit_backend()
    network = backend._network
    for head in (network.exit[1], network.side["1"]):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    picture = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    logits = backend.logits(picture)
    with torch.inference_mode():
        np.testing.assert_allclose(logits, network(torch.from_numpy(picture)).numpy(), rtol=1e-4, atol=1e-4)
    assert dict(backend.exits) == {2: 1}
