"""Two processes (gloo) that train one Run together give the curve of one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.errors import ConfigError
from core.networks.card import NetworkConfig
from core.training.batch import Batch
from core.training.config import TrainingConfig
from core.training.run import Finished, Run, Stopped, create_run, read_metrics, read_run
from core.training.team import Team
from core.training.worker import work
from tests.training.scenes import make_project, tiny

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def work_together(run: Run, processes: int = 2) -> list[int]:
    """Their exit codes. As torchrun starts them, without its own three seconds."""
    port = str(free_port())
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "core.training.worker", str(run.folder)],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(processes)
    ]
    return [process.wait(timeout=120) for process in started]


def of_sums(**changes: object) -> TrainingConfig:
    """What does not depend on which Tiles are together: no BatchNorm, and a loss that is a mean over pixels."""
    network = NetworkConfig(name="unet", width=8, depth=2, norm="group")
    return tiny(network=network, cross_entropy=1.0, dice=0.0, lovasz=0.0, epochs=3, precision="fp32", **changes)


def test_two_processes_give_the_curve_of_one(tmp_path: Path) -> None:
    runs = [create_run(make_project(tmp_path / name), of_sums()) for name in ("one", "two")]
    work(runs[0].folder)
    assert work_together(runs[1]) == [0, 0]
    alone, together = (read_metrics(run) for run in runs)
    assert isinstance(read_run(runs[1].folder).status, Finished)
    for column in ("train_loss", "val_loss", "val_iou", "learning_rate"):
        assert together[column] == pytest.approx(alone[column], abs=5e-3, rel=2e-3), column
    assert "2 processes" in (runs[1].folder / "log.txt").read_text()


def test_a_stopped_team_ends(tmp_path: Path) -> None:
    run = create_run(make_project(tmp_path / "p"), of_sums())
    (run.folder / "stop").touch()
    assert work_together(run) == [0, 0]
    assert isinstance(read_run(run.folder).status, Stopped)


def test_a_team_that_diverges_goes_back_together(tmp_path: Path) -> None:
    """One of the learning rates on the way down is small enough, or the leader gives up; the others end with it."""
    run = create_run(
        make_project(tmp_path / "p"),
        of_sums(learning_rate=2.0, gradient_clip=0.0, weight_decay=10.0, steps_per_epoch=40),
    )
    codes = work_together(run)
    assert "half the learning rate" in (run.folder / "log.txt").read_text()
    assert codes in ([0, 0], [2, 0])


def test_each_process_gets_its_share() -> None:
    masks = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((6, 2, 2), np.uint8)
    batch = Batch(masks[..., None].repeat(3, axis=-1), masks)
    assert [Team(rank, 3).share(batch).masks[:, 0, 0].tolist() for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]
    assert Team().share(batch) is batch
    with pytest.raises(ConfigError, match="6 tiles a step cannot be divided among 4"):
        Team(0, 4).share(batch)


def test_a_cross_validation_is_not_for_a_team(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = make_project(tmp_path / "p")
    assert main(["train", str(project.folder), "--folds", "2", "--processes", "2"]) == 2
    assert "A cross-validation trains in one process" in capsys.readouterr().err
    assert not project.runs.exists() or not list(project.runs.iterdir())


def test_a_team_that_is_killed_is_no_finished_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "p")
    killed = subprocess.CompletedProcess([], returncode=-9)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    assert main(["train", str(project.folder), "--processes", "2"]) == 2


def test_the_command_line_starts_a_team(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    settings = [f"{key}={value}" for key, value in of_sums().as_settings().items() if value]
    command = ["train", str(project.folder), "--processes", "2", "--json"]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(
        [sys.executable, "-m", "core", *command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["state"] == "finished"
    assert result["epochs"] == 3
