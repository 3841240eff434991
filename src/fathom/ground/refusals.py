"""What the system says to a process: what it refuses, as a sentence; that it shall end.

It refuses room on the disk, permission, names, memory. It ends a process by a signal: its user's
(Ctrl-C) or another program's (a job scheduler's, a parent's).
"""

import errno
import re
import signal
import sys
import threading
from types import FrameType

FILES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk failed",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENAMETOOLONG: "no file can have so long a name here",
    errno.ELOOP: "a link that leads back to itself",
}
# Where a library says it in words alone: NumPy's `save`; HDF5, Arrow.
NO_ROOM = re.compile(r"\d+ requested and \d+ written")
NUMBER = re.compile(r"\berrno\]?\s*=?\s*(\d+)", re.IGNORECASE)
# torch, C++, OpenCV, the loader of shared libraries.
NO_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|bad.alloc|insufficient memory|out of memory"
    r"|failed to map segment",
    re.IGNORECASE,
)

AGAIN_S = 0.05  # after which an interrupt that was lost is sent once more


def heed_termination() -> None:
    """Let another program end this one (SIGTERM) as its user does: by a `KeyboardInterrupt`.

    Python drops what is raised in a finaliser, prints a traceback and goes on, as if nobody had
    asked. An interrupt that is lost so, a user's as well, is sent once more a moment later.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable


_again: list[threading.Timer] = []  # what is to be sent once more: one at most


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Whoever was asked twice has heard it now: nothing shall interrupt what it cleans up.
    while _again:
        _again.pop().cancel()
    signal.default_int_handler(number, frame)


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    main = threading.main_thread()
    # One that is at its end needs no second word.
    if not issubclass(lost.exc_type, KeyboardInterrupt) or not main.is_alive():
        sys.__unraisablehook__(lost)
        return
    # To the main thread, so that one that waits for a lock is woken; from a thread of its own,
    # since what is raised here is dropped as well.
    again = threading.Timer(AGAIN_S, signal.pthread_kill, (main.ident, signal.SIGTERM))
    again.daemon = True
    _again.append(again)
    again.start()


def refusal(error: BaseException) -> str | None:
    """Return what the system refused, None where an error is of another kind."""
    text = str(error)
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return (
            "memory ran out, or is limited here. Nothing was written in part. Close what else "
            "takes memory, or let fewer processes run at once, and run this again"
        )
    if not isinstance(error, OSError):
        return None
    number = error.errno
    if number is None and (found := NUMBER.search(text)):
        number = int(found[1])
    if NO_ROOM.search(text):
        number = errno.ENOSPC
    if number not in FILES:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"{where}{FILES[number]}. Nothing was written in part; what was there is as it was. "
        "Mend it and run this again"
    )
