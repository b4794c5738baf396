"""A small Project to try things on."""

from pathlib import Path

import pytest

from core.annotation.labels import LabelSet
from core.project.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", name="Coins of Pompeii", labels=LabelSet.of(["coin"]))
