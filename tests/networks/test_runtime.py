import os
import platform

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
