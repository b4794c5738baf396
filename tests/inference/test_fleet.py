import builtins
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.annotation.labels import LabelSet
from core.errors import ConfigError, ReadError, UserError
from core.images import encode_png
from core.inference import load_backend
from core.inference.batch import BatchProgress, predict_batch
from core.inference.batch_journal import Journal
from core.inference.batch_plan import BatchConfig
from core.inference.fleet import predict_fleet
from core.networks import build_network
from core.networks.card import ModelCard, NetworkConfig
from core.networks.checkpoint import save_checkpoint

MASKS = BatchConfig(formats=("mask",))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = NetworkConfig("unet", width=4, depth=2)
    card = ModelCard(config, LabelSet.of(["thing"]), window=64)
    save_checkpoint(tmp_path / "model", build_network(config), card)
    return tmp_path / "model"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        (folder / f"{number}.png").write_bytes(encode_png(pixels))
    return folder


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: requirements-fleet.txt")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster


def masks_in(folder: Path) -> dict[str, bytes]:
    return {path.name: np.asarray(Image.open(io.BytesIO(path.read_bytes()))).tobytes() for path in folder.glob("*.png")}


def test_two_workers_of_which_one_dies_do_what_one_process_does(
    cluster: Any, model: Path, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "bad.png").write_bytes(b"no picture")
    killed: list[int] = []

    def kill_one(told: BatchProgress) -> None:
        if told.done == 2:
            process = next(iter(cluster.workers.values())).process.process
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)

    out = tmp_path / "fleet"
    report = predict_fleet([pictures], model, out, scheduler=cluster.scheduler_address, config=MASKS, progress=kill_one)
    assert killed
    assert (report.total, report.done, len(report.failures)) == (13, 12, 1)
    assert "bad.png" in report.failures[0].message
    assert len(Journal(out).entries) == 13
    predict_batch([pictures], load_backend(model), tmp_path / "alone", model=model, config=MASKS)
    alone = masks_in(tmp_path / "alone")
    assert len(alone) == 12
    assert masks_in(out) == alone
    # each goes on where the other stopped
    (out / "3.png").unlink()
    assert predict_batch([pictures], load_backend(model), out, model=model, config=MASKS).kept == 12
    assert predict_fleet([pictures], model, out, scheduler=cluster.scheduler_address, config=MASKS).kept == 13


def test_workers_are_started_here_without_an_address(model: Path, pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: requirements-fleet.txt")
    told: list[BatchProgress] = []
    report = predict_fleet(
        [pictures],
        model,
        tmp_path / "out",
        workers=1,
        config=MASKS,
        progress=told.append,
        cancelled=lambda: len(told) >= 2,
    )
    assert report.stopped
    assert 2 <= report.done < 12  # what was in flight came home
    assert len(masks_in(tmp_path / "out")) == report.done


def test_a_scheduler_that_is_not_there_is_said(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: requirements-fleet.txt")
    monkeypatch.setattr("core.inference.fleet._CONNECT", 0.5)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(UserError, match="does not answer"):
            predict_fleet([pictures], model, tmp_path / "out", scheduler=address)


def test_without_dask_the_install_line_is_said(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name.split(".")[0] in ("dask", "distributed"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match="Dask is not installed") as caught:
        predict_fleet([pictures], model, tmp_path / "out")
    assert "requirements-fleet.txt" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_is_said_before_anything_starts(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        predict_fleet([pictures], tmp_path, tmp_path / "out", workers=0)
    with pytest.raises(ReadError):
        predict_fleet([pictures], tmp_path / "nowhere", tmp_path / "out")
