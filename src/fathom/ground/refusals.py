"""What the system refuses, said in a sentence: room on the disk, permission, names, memory."""

import errno
import re

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
