import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples each time: a run says what changed in the code. HYPOTHESIS_PROFILE=explore looks for new ones.
# No deadline: the machines that test are busy.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The shared real pictures, which are not part of the repository."""
    folder = Path(os.environ.get("MASKLOOP_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the shared data is not at {folder}; set MASKLOOP_DATA")
    return folder
