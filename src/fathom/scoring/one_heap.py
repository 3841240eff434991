"""One heap for all threads: what one tile leaves free, the next tile takes, whoever works on it."""

import ctypes
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of <malloc.h>, mallopt(3)


def share_one_heap() -> None:
    """Have glibc serve all threads of this process from one heap; call it before they are made.

    Left to itself, glibc gives each thread a heap of its own, and each grows to the most that any
    tile has ever asked of it, holes included: memory then follows how long a slide is worked on
    (docs/streaming.md has the figures). Elsewhere than on glibc nothing is changed.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
