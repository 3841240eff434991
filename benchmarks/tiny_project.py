"""A study of seconds, for benchmarks that break it: a copy of the checkout with simulated images.

`write_project` copies the work tree into a new repository of git and DVC, with eight simulated
fields (160 x 160 px, `draw_field` of tests/conftest.py), two networks, two epochs and two folds.
`Started` is a program in a process group of its own, with what it said and when.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from conftest import draw_field, write_simulated_dataset  # noqa: E402
from test_pipeline import ENVIRONMENT, committed, edit, tiny  # noqa: E402
from test_pipeline import run as run_in  # noqa: E402

__all__ = ["draw_field", "edit", "run_in"]

# What a stage writes and git keeps; and what DVC knows of it.
WRITTEN = ("metrics/", "plots/", "docs/pictures/", "verdicts/", "report/tables/", "registry/")
LOCKS = ("dvc.lock", "data/dvc.lock")
BEGINS = re.compile(r"(?:Running stage|Stage) '([^']+)'(?::| is cached)")
MARK = "FATHOM_STARTED"  # the variable by which a process and its children are found
# A shell has what it runs in the background ignore SIGINT, and children inherit that.
AS_USUAL = ("env", "--default-signal=INT,TERM")
PATIENCE_S = 60.0  # for a process that was asked to end


def smallest(params: dict) -> None:
    """Make the study of tests/py one that trains fewer networks still."""
    tiny(params)
    params["dataset"], params["new_slides"]["dataset"] = "data/fields", "data/new-fields"
    params["diagnosis"] |= {"budget": 8}
    params["controls"] = {"silhouette": params["controls"]["silhouette"]}
    params["shortcuts"] |= {"trees": 10}


def write_project(folder: Path) -> None:
    """Write the project: committed, nothing run."""
    listed = run_in(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        written = name.startswith(WRITTEN) and not name.endswith(".gitignore")
        if (ROOT / name).is_file() and name not in LOCKS and not written:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    write_simulated_dataset(folder / "data" / "fields")
    write_simulated_dataset(folder / "data" / "new-fields", slides=2)
    edit(folder, smallest)
    # `make` shall find its environment, and leave it as it is.
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    (folder / ".git" / "info").mkdir(parents=True)
    run_in(folder, "git", "init", "--quiet", "--initial-branch=main")
    with (folder / ".git" / "info" / "exclude").open("a", encoding="utf-8") as file:
        file.write("/.venv\n/tmp\n")
    committed(folder, "A study of seconds")


def code() -> str:
    """Return a hash of all that the pipeline runs of the checkout, and of the study's params."""
    names = [*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").glob("*.py")]
    names += [ROOT / name for name in ("dvc.yaml", "params.yaml", "Makefile", ".dvcignore")]
    digest = hashlib.sha256()
    for path in sorted(names):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a program that works in a project, its temporary files inside."""
    (folder / "tmp").mkdir(exist_ok=True)
    return ENVIRONMENT | {
        "PYTHONPATH": str(folder / "src"),
        "OPENBLAS_NUM_THREADS": "1",
        "TMPDIR": str(folder / "tmp"),
        "DVC_SITE_CACHE_DIR": str(folder / "tmp" / "site"),
    }


class Started:
    """A program in its own process group; `said` has its lines, `began` when each stage did."""

    def __init__(
        self, command: Sequence[str], folder: Path, changes: Mapping[str, str] | None = None
    ) -> None:
        self._mark = uuid.uuid4().hex
        self._start = time.monotonic()
        self.said: list[str] = []
        self.began: list[tuple[str, float]] = []  # stage, seconds since the program was started
        self._process = subprocess.Popen(
            [*AS_USUAL, *command],
            cwd=folder,
            env=environment(folder) | (changes or {}) | {MARK: self._mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                if found := BEGINS.match(line):
                    self.began.append((found[1], self.seconds))
                self.said.append(line)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; nothing where it has ended."""
        if self.running:
            os.killpg(self._process.pid, number)

    def ended(self, patience: float | None = None) -> int | None:
        """Return the exit code; None where it goes on after so many seconds."""
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(5)
        return code

    def orphans(self, patience: float = 10.0) -> list[str]:
        """Return the command lines of processes that outlive the program, and end those."""
        until = time.monotonic() + patience
        while (left := self._left()) and time.monotonic() < until:
            time.sleep(0.1)
        told = []
        for pid in left:
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue  # it ended
            told.append(line.decode(errors="replace").strip())
        return told

    def _left(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                state = (path / "stat").read_text().rpartition(") ")[2][:1]
                if state != "Z" and self._mark.encode() in (path / "environ").read_bytes():
                    found.append(int(path.name))
            except OSError:
                continue
        return found


def hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of every file of some folders and files, by its path."""
    files = [
        path
        for name in names
        for path in ([folder / name] if (folder / name).is_file() else (folder / name).rglob("*"))
    ]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.is_file()
    }
