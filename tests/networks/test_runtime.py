import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from core.networks import runtime
from core.networks.runtime import share_cores, tune_allocator


def test_the_allocator_is_tuned_where_the_c_library_is_glibc() -> None:
    assert tune_allocator() == (platform.libc_ver()[0] == "glibc")


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.sys, "platform", "win32")
    assert tune_allocator() is False


def test_threads_sleep_while_they_wait_unless_a_person_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    share_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_giving_way_needs_no_autogroups() -> None:
    code = "import os; from core.networks.runtime import give_way; give_way(); print(os.nice(0))"
    assert int(subprocess.check_output([sys.executable, "-c", code], text=True)) >= runtime.NICENESS


@pytest.mark.parametrize("own_session", [True, False])
def test_a_process_gives_way_and_takes_nobody_with_it(own_session: bool) -> None:
    group = Path("/proc/self/autogroup")
    if not group.exists() or not group.read_text():  # empty: another controller schedules this process (cgroups)
        pytest.skip("no autogroups on this system")
    before = group.read_text().split()[-1]
    code = (
        "import os; from pathlib import Path; from core.networks.runtime import give_way; give_way();"
        f"print(os.nice(0), Path('{group}').read_text().split()[-1])"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True, start_new_session=own_session)
    niceness, of_group = (int(word) for word in said.split())
    assert niceness >= runtime.NICENESS
    assert of_group == (runtime.NICENESS if own_session else int(before))
    assert group.read_text().split()[-1] == before
