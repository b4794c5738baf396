import subprocess
import sys
from pathlib import Path

import pytest

from core import process


def test_giving_way_needs_no_autogroups() -> None:
    code = "import os; from core.process import give_way; give_way(); print(os.nice(0))"
    assert int(subprocess.check_output([sys.executable, "-c", code], text=True)) >= process.NICENESS


@pytest.mark.parametrize("own_session", [True, False])
def test_a_process_gives_way_and_takes_nobody_with_it(own_session: bool) -> None:
    group = Path("/proc/self/autogroup")
    if not group.exists() or not group.read_text():  # empty: another controller schedules this process (cgroups)
        pytest.skip("no autogroups on this system")
    before = group.read_text().split()[-1]
    code = (
        "import os; from pathlib import Path; from core.process import give_way; give_way();"
        f"print(os.nice(0), Path('{group}').read_text().split()[-1])"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True, start_new_session=own_session)
    niceness, of_group = (int(word) for word in said.split())
    assert niceness >= process.NICENESS
    assert of_group == (process.NICENESS if own_session else int(before))
    assert group.read_text().split()[-1] == before
