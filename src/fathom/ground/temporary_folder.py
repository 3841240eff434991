"""A temporary folder that does not outlive its process for long, even where that is killed.

Nothing can clean up after SIGKILL but the next one. Each folder has a file that its process holds a
lock on, and that says on which machine. Whoever wants a folder in the same place takes away those
of this machine whose lock nobody holds: the system lets go of it when a process ends, however.
"""

import fcntl
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OWNER = ".owner"


@contextmanager
def temporary_folder(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """Yield a new folder in `place`, or where the system has such, while the context lasts."""
    if place is None:
        place = Path(tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place, prefix)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=place) as name,
        (Path(name) / OWNER).open("w", encoding="utf-8") as owner,
    ):
        # A file without a machine's name is nobody's to take away: so it is where storage that
        # machines share has no locks.
        with suppress(OSError):
            fcntl.flock(owner, fcntl.LOCK_EX)
            owner.write(platform.node())
            owner.flush()
        yield Path(name)


def _remove_abandoned(place: Path, prefix: str) -> None:
    for path in place.glob(f"{prefix}*/{OWNER}"):
        # Refused: it lives, is another user's, or went meanwhile.
        with suppress(OSError), path.open("r+", encoding="utf-8") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Of another machine: its locks may not be seen from here.
            if owner.read() == platform.node():
                shutil.rmtree(path.parent, ignore_errors=True)
