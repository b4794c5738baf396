"""Predictions in turn: order, places, who leaves, who takes too long."""

import threading
from collections.abc import Callable, Iterator

import pytest

from core.inference.rows import Cancelled
from core.serving.queue import TurnQueue
from core.serving.refusals import BusyError, RefusedError


@pytest.fixture
def queue() -> Iterator[TurnQueue]:
    queue = TurnQueue("test", waiting=2, seconds=0.2)
    yield queue
    queue.close()


class Gate:
    """Work that says that it began and waits to be let go."""

    def __init__(self) -> None:
        self.began, self.open = threading.Event(), threading.Event()

    def __call__(self, _: Callable[[], bool]) -> str:
        self.began.set()
        assert self.open.wait(10)
        return "done"


def test_work_is_done_in_order_by_one_thread(queue: TurnQueue) -> None:
    gate, seen = Gate(), list[tuple[int, str]]()

    def note(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    first = queue.take(gate)
    assert gate.began.wait(10)
    rest = [queue.take(lambda _, number=number: note(number)) for number in range(2)]
    assert len(queue) == 2
    gate.open.set()
    assert first.future.result(10) == "done"
    for turn in rest:
        turn.future.result(10)
    assert seen == [(0, "predictions of test"), (1, "predictions of test")]


def test_who_finds_no_place_is_told_when_to_come_back(queue: TurnQueue) -> None:
    gate = Gate()
    queue.take(gate)
    assert gate.began.wait(10)
    waiting = [queue.take(lambda _: 1) for _ in range(2)]
    for refused in (queue.check, lambda: queue.take(lambda _: 1)):
        with pytest.raises(BusyError) as caught:
            refused()
        assert caught.value.status == 429
        assert 1 <= int(caught.value.headers["Retry-After"]) <= 60
    gate.open.set()
    assert [turn.future.result(10) for turn in waiting] == [1, 1]
    queue.check()


def test_who_leaves_gives_the_place_to_the_next(queue: TurnQueue) -> None:
    gate, ran = Gate(), threading.Event()
    queue.take(gate)
    assert gate.began.wait(10)
    left = queue.take(lambda _: ran.set())
    queue.take(lambda _: 1)
    left.leave()
    last = queue.take(lambda _: 2)
    gate.open.set()
    assert last.future.result(10) == 2
    assert left.future.cancelled()
    assert not ran.is_set()


def test_work_under_way_is_told_that_nobody_waits(queue: TurnQueue) -> None:
    began, told = threading.Event(), threading.Event()

    def work(stopped: Callable[[], bool]) -> None:
        began.set()
        while not stopped():
            pass
        told.set()
        raise Cancelled

    turn = queue.take(work)
    assert began.wait(10)
    turn.leave()
    assert told.wait(10)
    assert queue.take(lambda _: 3).future.result(10) == 3


def test_work_that_takes_too_long_is_stopped(queue: TurnQueue) -> None:
    def work(stopped: Callable[[], bool]) -> None:
        while not stopped():
            pass
        raise Cancelled

    with pytest.raises(RefusedError, match=r"more than 0\.2 s") as caught:
        queue.take(work).future.result(10)
    assert caught.value.status == 503


def test_a_failure_is_told_and_the_next_works(queue: TurnQueue) -> None:
    def work(_: Callable[[], bool]) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        queue.take(work).future.result(10)
    assert queue.take(lambda _: 4).future.result(10) == 4


def test_a_closed_queue_answers_who_waits_and_takes_no_more() -> None:
    queue, gate = TurnQueue("test"), Gate()
    queue.take(gate)
    assert gate.began.wait(10)
    waits = queue.take(lambda _: 5)
    queue.close()
    with pytest.raises(BusyError):
        queue.take(lambda _: 6)
    gate.open.set()
    assert waits.future.result(10) == 5
