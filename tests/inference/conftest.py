"""Tiny networks: one thread. Two that share the cores with other programs wait for each other at every layer."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core.project.home import REPOSITORY


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="package")
def town_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the kept model with its pictures; what is exported from it is kept for the whole package."""
    folder = tmp_path_factory.mktemp("models") / "town"
    shutil.copytree(REPOSITORY / "models" / "sample-town", folder, ignore=shutil.ignore_patterns("exported"))
    return folder
