"""What decides the numbers of a cell, as one hash: code, machinery, plan, rows and data."""

import ast
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fathom.ground.numerics import Numerics
from fathom.ground.processor import processor
from fathom.training.cell import Cell, Shown

TRAINS = "fathom.training.training"  # the module that trains a cell
SOURCES = Path(__file__).parents[2]  # what holds the package `fathom`
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")


def keys_of(cells: Sequence[Cell], shown: Sequence[Shown], numerics: Numerics) -> list[str]:
    """Return what names each cell in the store: cells of the same key have the same bytes.

    The run's name and the recipe's other seeds are no part of it: two rows that train the same
    network share it.
    """
    machinery = fingerprint(code(), *map(version, PACKAGES), _machine(numerics))
    different = {id(one): one for one in shown}
    data = {name: fingerprint(one.crops, one.targets) for name, one in different.items()}
    return [
        fingerprint(machinery, data[id(one)], *_plan(cell), *cell.rows.keys(), *cell.rows.values())
        for cell, one in zip(cells, shown, strict=True)
    ]


def _plan(cell: Cell) -> tuple[str, ...]:
    recipe = cell.recipe.model_dump_json(exclude={"seeds"})
    probes = cell.probes.model_dump_json() if cell.probes else ""
    return cell.line, recipe, probes, str(cell.until_left), str(cell.fold), str(cell.seed)


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


@cache
def code() -> str:
    """Return a fingerprint of the modules that train a cell, without comments and docstrings."""
    return fingerprint(*(_without_words(path) for path in closure(TRAINS)))


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


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.startswith("fathom.")]


def _without_words(path: Path) -> str:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                value.value = ""
    return ast.dump(tree)


def _machine(numerics: Numerics) -> str:
    """Return what the bits hang on besides: nothing where they are portable."""
    if numerics == "portable":
        return numerics
    return f"{numerics}\n{processor()}\n{gpu()}"


def gpu() -> str:
    """Return the name of the GPU that torch would train on, "" where there is none."""
    import torch  # noqa: PLC0415  a stage that only hands out cells is spared torch's second

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
