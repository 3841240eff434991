"""Where a cell's training stands, on disk, so that an interrupted cell continues to the same bytes.

A checkpoint is no output of a stage: it lies in an ignored folder, under a name with a hash of all
that decides the cell's numbers (code, torch, processor, recipe, data). Other branches have theirs
beside it, so that nothing is taken from them; what nobody touched for a month is deleted.
"""

import hashlib
import io
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fathom.output import written_whole

DAYS_KEPT = 30


@dataclass(frozen=True)
class Checkpoint:
    """One cell's file: a digest of `key` and content (32 bytes), then the content."""

    path: Path
    key: str

    def save(self, state: Mapping[str, object]) -> None:
        """Write `state`: tensors, numbers, texts, and lists and dicts of them."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getvalue()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path) as part:
            part.write_bytes(self._digest(content) + content)

    def load(self) -> dict[str, Any] | None:
        """Return what was saved, or None where there is nothing to continue from.

        A file that is damaged or was written under another key is refused: it is named on standard
        error, and the cell starts again.
        """
        if not self.path.exists():
            return None
        saved = self.path.read_bytes()
        digest, content = saved[:32], saved[32:]
        if digest != self._digest(content):
            print(
                f"{self.path} is damaged or belongs to another training: starting this cell again",
                file=sys.stderr,
            )
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
        return state

    def remove(self) -> None:
        """Delete the file: what it led to is written."""
        self.path.unlink(missing_ok=True)

    def _digest(self, content: bytes) -> bytes:
        return hashlib.sha256(self.key.encode() + content).digest()


def fingerprint(*parts: str | npt.NDArray[Any]) -> str:
    """Return a SHA-256 of texts and arrays (their type, shape and bytes), as hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"{len(part)} {part}".encode())
        else:
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def environment() -> str:
    """Return a fingerprint of the code and the machinery that a cell's numbers depend on.

    The code is every module of fathom that is loaded; the machinery torch, whether there is a GPU,
    and the processor's instruction set, which decides how sums are rounded.
    """
    modules = sorted(name for name in sys.modules if name.partition(".")[0] == "fathom")
    sources = [Path(str(sys.modules[name].__file__)).read_text("utf-8") for name in modules]
    capability = torch.backends.cpu.get_cpu_capability()
    gpu = str(torch.cuda.is_available())
    return fingerprint(*modules, *sources, torch.__version__, capability, gpu)


def forget_old(folder: Path) -> None:
    """Delete the files of `folder` that were not written to for `DAYS_KEPT` days."""
    for path in folder.glob("*"):
        if path.is_file() and path.stat().st_mtime < time.time() - DAYS_KEPT * 86_400:
            path.unlink()
