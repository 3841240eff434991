"""Nuclei as the stages hand them on: one .npy shard a slide and one table, one row a nucleus.

Never one file a nucleus: 50,000 small files cost DVC 17 s a checkout, 50 shards 2.6 s.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from fathom.ground.errors import FathomError
from fathom.ground.output import write_table, written_whole
from fathom.study.stored_crops import Crops, StoredCrops

TABLE = "nuclei.parquet"
# `left_out`: why a nucleus has no crop; "" where it has one.
TOUCHES_BORDER = "touches the border"
TOO_LARGE = "larger than the crop"
CONFLICT = "two labels inside"
UNLABELLED = "no label"
NUCLEUS_COLUMNS = (
    "nucleus",  # str, unique: "<image>#<label in its label image>"
    "slide",  # str
    "patient",  # str
    "image",  # str, as in images.csv
    "label",  # str, the class; missing where the nucleus has none
    "positive",  # bool, whether `label` is the positive class
    "y",  # float, centroid, px
    "x",
    "top",  # int, bounding box, px, half open
    "left",
    "bottom",
    "right",
    "area_px",  # int
    "touches_border",  # bool
    "focus",  # float, variance of the Laplacian inside the nucleus over its squared mean
    "left_out",  # str
    "shard",  # str, file name beside the table; "" where there is no crop
    "row",  # int, row of the crop in its shard; -1 where there is no crop
)


@dataclass(frozen=True)
class Nuclei:
    """The table of a folder of nuclei and, on demand, its crops."""

    folder: Path
    table: pd.DataFrame  # NUCLEUS_COLUMNS, every nucleus that was found
    kept: pd.DataFrame  # the rows that have a crop, index 0..n-1

    @property
    def crop_px(self) -> int:
        """Return the side of a crop."""
        first = str(self.kept["shard"].iloc[0])
        return int(np.load(self.folder / first, mmap_mode="r").shape[1])

    def crops(self) -> StoredCrops:
        """Return the crops of `kept`, in its order: (n, crop_px, crop_px, channels) uint8."""
        shard, names = pd.factorize(self.kept["shard"])
        row = self.kept["row"].to_numpy(dtype=np.intp)
        return StoredCrops(self.folder, list(map(str, names)), shard, row)


def read_nuclei(folder: Path) -> Nuclei:
    """Read what `write_nuclei` wrote."""
    path = folder / TABLE
    if not path.is_file():
        raise FathomError(f"{path} is missing: run the stage 'crop' first")
    table = pd.read_parquet(path)
    return Nuclei(folder, table, table[table["left_out"] == ""].reset_index(drop=True))


def write_nuclei(
    folder: Path, table: pd.DataFrame, shards: Mapping[str, Crops] = MappingProxyType({})
) -> None:
    """Write the table (`NUCLEUS_COLUMNS`) and the shards, file name to crops.

    Shards that were written one by one (`write_shard`) are not given.
    """
    for name, crops in shards.items():
        write_shard(folder, name, crops)
    write_table(folder / TABLE, table[list(NUCLEUS_COLUMNS)])


def write_shard(folder: Path, name: str, crops: Crops) -> None:
    """Write one shard; `write_nuclei` comes last, so that a folder with a table is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / name) as part, part.open("wb") as file:
        np.save(file, crops)


def data_sha256(nuclei: Nuclei) -> str:
    """Return the SHA-256 of a study's nuclei: of the table, then of the shards by name."""
    digest = hashlib.sha256()
    for path in (nuclei.folder / TABLE, *sorted(nuclei.folder.glob("*.npy"))):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
