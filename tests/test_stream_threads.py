import threading
import time

import pytest

from fathom.ground.processor import cores
from fathom.scoring.stream import read_and_work


def test_results_come_in_the_order_of_the_items():
    def work(item, read):
        time.sleep(0.002 * (item % 3))
        return item, read

    found = list(read_and_work(range(20), lambda item: -item, work, at_once=3))
    assert found == [(item, -item) for item in range(20)]


def test_few_items_are_at_hand_however_slow_their_user():
    given, most = 0, 0
    taken = 0

    def items():
        nonlocal given
        for item in range(30):
            given += 1
            yield item

    for _ in read_and_work(items(), lambda item: item, lambda item, _: item, at_once=2):
        taken += 1
        most = max(most, given - taken)
        time.sleep(0.001)
    assert taken == 30
    assert most <= 2


def test_one_item_is_read_while_another_is_worked_on():
    read_next = threading.Event()

    def read(item):
        if item == 1:
            read_next.set()
        return item

    def work(item, _):
        return item > 0 or read_next.wait(timeout=5)

    assert list(read_and_work(range(3), read, work, at_once=1)) == [True, True, True]


@pytest.mark.parametrize("where", ["read", "work"])
def test_an_error_ends_it_all(where):
    started = []

    def fail(item):
        if item == 3:
            raise ValueError("damaged")
        return item

    def read(item):
        started.append(item)
        return fail(item) if where == "read" else item

    def work(item, _):
        return fail(item) if where == "work" else item

    with pytest.raises(ValueError, match="damaged"):
        list(read_and_work(range(1000), read, work, at_once=2))
    assert len(started) < 20
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith(("read", "work"))
    ]


def test_leaving_early_leaves_no_thread():
    results = read_and_work(range(1000), lambda item: item, lambda item, _: item, at_once=2)
    assert next(results) == 0
    results.close()
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith(("read", "work"))
    ]


def test_the_cores_allowed_are_counted(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {4, 7})
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    assert cores() == 2
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert cores() == 1
