"""What was made of each image, kept by content: nothing is made twice of the same bytes.

A folder that git ignores and that is safe to delete. Every result is a file, named by a hash of
all that decides it (`key_of`): bytes, params, code, versions, processor. A file is a digest of its
key and content (32 bytes), then arrays and notes as NumPy's .npz: nothing in it can be run. What is
damaged is named on standard error and made again.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import code_of, fingerprint
from fathom.ground.output import written_whole
from fathom.ground.processor import processor

DAYS_KEPT = 30  # since it was last used
KIND = ".image"
DIGEST = 32  # bytes
NOTES = "notes"
# Whatever decodes or measures an image.
PACKAGES = (
    *("imagecodecs", "numpy", "onnxruntime", "opencv-python-headless"),
    *("pillow", "scikit-image", "scipy", "tifffile"),
)
_WRITING = Lock()  # two threads may have made the same: images can be copies of each other


class Made(NamedTuple):
    """A result: arrays by name, and what JSON can say."""

    arrays: Mapping[str, npt.NDArray[Any]]
    notes: Mapping[str, Any]


@dataclass(frozen=True)
class ImageStore:
    """The results in a folder; None keeps nothing."""

    folder: Path | None

    def of(self, key: str, make: Callable[[], Made]) -> Made:
        """Return what is kept under `key`, else make and keep it."""
        made = self.kept(key)
        if made is None:
            made = make()
            self.keep(key, made)
        return made

    def holds(self, key: str) -> bool:
        """Tell whether there is a file of `key`, whole or not."""
        return self.folder is not None and (self.folder / f"{key}{KIND}").exists()

    def kept(self, key: str) -> Made | None:
        """Return what is kept under `key`, None where that is nothing, or damaged."""
        if self.folder is None:
            return None
        path = self.folder / f"{key}{KIND}"
        try:
            saved = path.read_bytes()
        except FileNotFoundError:
            return None
        content = saved[DIGEST:]
        if saved[:DIGEST] != _digest(key, content):
            print(f"{path} is damaged: what it held is made again", file=sys.stderr)
            return None
        try:
            with np.load(BytesIO(content), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            made = Made(arrays, json.loads(arrays.pop(NOTES).tobytes()))
        except (AttributeError, KeyError, OSError, ValueError, BadZipFile):
            print(f"{path} is not of fathom's: what it held is made again", file=sys.stderr)
            return None
        with suppress(OSError):  # a store that may only be read
            path.touch()  # it is in use
        return made

    def keep(self, key: str, made: Made) -> None:
        """Keep a result."""
        if self.folder is None:
            return
        file = BytesIO()
        notes = np.frombuffer(json.dumps(made.notes).encode(), np.uint8)
        arrays: dict[str, Any] = {**made.arrays, NOTES: notes}
        np.savez_compressed(file, **arrays)
        content = file.getvalue()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _WRITING, written_whole(self.folder / f"{key}{KIND}") as part:
                part.write_bytes(_digest(key, content) + content)
        except OSError as error:
            raise FathomError(
                f"{self.folder}: what was made of images cannot be kept there ({error.strerror}). "
                "Make room; whatever lies in that folder may be deleted"
            ) from None


NOWHERE = ImageStore(None)


def open_store(folder: Path) -> ImageStore:
    """Return the store in `folder`; what was not used for `DAYS_KEPT` days is deleted."""
    oldest = time.time() - DAYS_KEPT * 86_400
    for path in [*folder.glob(f"*{KIND}"), *folder.glob(f".*{KIND}.*.part")]:
        with suppress(OSError):  # another process was faster; or it may only be read
            if path.stat().st_mtime < oldest:
                path.unlink()
    return ImageStore(folder)


def key_of(made_by: str, *parts: str | npt.NDArray[Any]) -> str:
    """Return what names a result: a hash of the module that makes it, and of what it is made of."""
    return fingerprint(_machinery(), code_of(made_by), made_by, *parts)


@cache
def _machinery() -> str:
    return fingerprint(*map(version, PACKAGES), processor())


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()
