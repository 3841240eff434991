"""What decides the numbers of a cell, as one hash: code, machinery, plan, rows and data."""

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from fathom.ground.fingerprint import code_of, fingerprint
from fathom.ground.numerics import Numerics
from fathom.ground.processor import processor
from fathom.study.stored_crops import in_batches
from fathom.training.cell import Cell, Shown

TRAINS = "fathom.training.training"  # the module that trains a cell
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")


def keys_of(cells: Sequence[Cell], shown: Sequence[Shown], numerics: Numerics) -> list[str]:
    """Return what names each cell in the store: cells of the same key have the same bytes.

    The run's name and the recipe's other seeds are no part of it: two rows that train the same
    network share it.
    """
    machinery = fingerprint(code_of(TRAINS), *map(version, PACKAGES), _machine(numerics))
    different = {id(one): one for one in shown}
    data = {name: _data(one) for name, one in different.items()}
    return [
        fingerprint(machinery, data[id(one)], *_plan(cell), *cell.rows.keys(), *cell.rows.values())
        for cell, one in zip(cells, shown, strict=True)
    ]


def _data(shown: Shown) -> str:
    """Return a fingerprint of what is shown; crops are read a batch at a time."""
    digest = hashlib.sha256()
    for some in in_batches(shown.crops):
        digest.update(np.ascontiguousarray(some).data)
    return fingerprint(str(tuple(shown.crops.shape)), digest.hexdigest(), shown.targets)


def _plan(cell: Cell) -> tuple[str, ...]:
    recipe = cell.recipe.model_dump_json(exclude={"seeds"})
    probes = cell.probes.model_dump_json() if cell.probes else ""
    return cell.line, recipe, probes, str(cell.until_left), str(cell.fold), str(cell.seed)


def _machine(numerics: Numerics) -> str:
    """Return what the bits hang on besides: nothing where they are portable."""
    if numerics == "portable":
        return numerics
    return f"{numerics}\n{processor()}\n{gpu()}"


def gpu() -> str:
    """Return the name of the GPU that torch would train on, "" where there is none."""
    import torch  # noqa: PLC0415  a stage that only hands out cells is spared torch's second

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
