"""The near-duplicates as the audit hands them to the splits: the pairs, and how they were found."""

import json
from pathlib import Path

import pandas as pd

from fathom.ground.errors import FathomError
from fathom.ground.output import write_json, write_table
from fathom.imaging.nuclei import Nuclei
from fathom.params.audit import Audit
from fathom.splitting.bonds import PAIR, Duplicates

PAIRS, HOW = "near_duplicates.parquet", "near_duplicates.json"


def write_pairs(folder: Path, pairs: pd.DataFrame, params: Audit) -> None:
    """Write the pairs and how they were looked for, for `read_duplicates`."""
    write_table(folder / PAIRS, pairs)
    how: dict[str, object] = {
        "method": "the audit's near-duplicates: exact, turned, mirrored, shifted, re-encoded, "
        "of another brightness",
        "nucleus_correlation": params.nucleus_correlation,
        "nucleus_z": params.nucleus_z,
    }
    write_json(folder / HOW, how)


def read_duplicates(folder: Path, nuclei: Nuclei) -> Duplicates:
    """Read the pairs of nuclei that must stand on one side of every split.

    Raises `FathomError` where they are missing or of other nuclei.
    """
    for name in (PAIRS, HOW):
        if not (folder / name).is_file():
            raise FathomError(f"{folder / name} is missing: run the stage 'audit' first")
    pairs = pd.read_parquet(folder / PAIRS, columns=["first_nucleus", "second_nucleus"])
    if not set(pairs.to_numpy().ravel()) <= set(nuclei.kept["nucleus"]):
        raise FathomError(
            f"{folder / PAIRS} was made from other nuclei: run the stage 'audit' again"
        )
    how = json.loads((folder / HOW).read_text(encoding="utf-8"))
    return Duplicates(pairs.set_axis(PAIR, axis="columns"), how)
