"""Training in a test: one thread (two on busy cores wait for each other), a home of its own, pytest's own allocator."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.training import worker


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MASKLOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # for processes that a test starts
    monkeypatch.setattr(worker, "tune_allocator", lambda: True)
    monkeypatch.setattr(worker, "share_cores", lambda: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
