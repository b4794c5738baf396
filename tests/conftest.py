import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared real pictures, which are not part of the repository."""
    folder = Path(os.environ.get("MASKLOOP_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the shared data is not at {folder}; set MASKLOOP_DATA")
    return folder
