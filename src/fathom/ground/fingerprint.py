"""Fingerprints: what decides a result, as one hash, so that equal hashes mean equal results."""

import ast
import hashlib
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

SOURCES = Path(__file__).parents[2]  # what holds the package `fathom`
# Two threads that parse at once may fail in Python 3.11 (CPython issue 106905), and then all do.
_PARSING = Lock()


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


def file_fingerprint(path: Path) -> str:
    """Return a file's suffix, by which it is read, and the SHA-256 of its bytes; "" for no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return f"{path.suffix.lower()} {hashlib.file_digest(file, 'sha256').hexdigest()}"


@cache
def code_of(module: str) -> str:
    """Return a fingerprint of a module of fathom and all that it imports of it, directly or not.

    Comments and docstrings are no part of it.
    """
    return fingerprint(*(_without_words(path) for path in closure(module)))


def closure(module: str) -> list[Path]:
    """Return the files of fathom that `module` imports, directly or not, and its own, sorted."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = (SOURCES / waiting.pop().replace(".", "/")).with_suffix(".py")
        if path.is_file() and path not in found:
            found.add(path)
            waiting += _imports(path)
    return sorted(found)


def _tree(path: Path) -> ast.Module:
    with _PARSING:
        return ast.parse(path.read_text("utf-8"))


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.startswith("fathom.")]


def _without_words(path: Path) -> str:
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                value.value = ""
    return ast.dump(tree)
