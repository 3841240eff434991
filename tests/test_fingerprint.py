"""A module's fingerprint is the same from every thread."""

import gc
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fathom.ground.fingerprint import code_of

UNCACHED = code_of.__wrapped__
MODULE = "fathom.ground.fingerprint"


@pytest.fixture
def threads_that_alternate():
    """Let the collector run often, and another thread whenever it runs."""

    def rest(*_):
        time.sleep(0)

    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(rest)
    gc.set_threshold(50)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)
    gc.callbacks.remove(rest)


def test_threads_that_ask_at_once_get_the_same_fingerprint(threads_that_alternate):
    """Python 3.11 fails where two threads parse at once, and in every later call of either."""
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(UNCACHED, [MODULE] * 8))
    assert found == {UNCACHED(MODULE)}
