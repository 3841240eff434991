"""How glibc manages this process' memory; elsewhere than on glibc nothing is changed."""

import ctypes
import sys

# Of <malloc.h>, mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def share_one_heap() -> None:
    """Have all threads served from one heap; call it before they are made.

    Left to itself, glibc gives each thread a heap of its own, and each grows to the most that any
    tile of a slide has ever asked of it, holes included: memory then follows how long a slide is
    worked on (docs/streaming.md has the figures).
    """
    _set(_ARENA_MAX, 1)


def keep_freed_memory() -> None:
    """Have what is freed kept for this process' life.

    Left to itself glibc gives every large map back to the system and has it zeroed, a page at a
    time, when the next layer asks: a third of the time of the shallow network
    (docs/performance.md).
    """
    _set(_MMAP_MAX, 0)
    _set(_TRIM_THRESHOLD, 2**31 - 1)


def _set(option: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(option, value)
