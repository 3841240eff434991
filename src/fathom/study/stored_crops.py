"""Crops that stay in their shards: a million nuclei of 48 px are 2.2 GiB, of which few are wanted.

`StoredCrops` stands wherever an array of crops is only read by rows. A shard is mapped while its
rows are copied and no longer, so that what was read does not stay in memory.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fathom.ground.arrays import Positions

Crops = npt.NDArray[np.uint8]  # (n, crop_px, crop_px, channels), background 0

AT_ONCE = 1000  # crops of a batch


class CropRows(Protocol):
    """Crops by their rows: `Crops`, or `StoredCrops`."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice | Positions, /) -> Crops: ...


class StoredCrops:
    """Crops of several shards as if they were one array.

    Indexed by a row, a slice or (n,) rows they are `Crops`; a NumPy function is given all of them.
    """

    def __init__(self, folder: Path, shards: npt.NDArray[np.object_], rows: Positions) -> None:
        """Take the shard (n,) and the row in it (n,) of each crop; `folder` has the shards."""
        self.folder = folder
        self.names, self._shard = np.unique(shards.astype(str), return_inverse=True)
        self._row = rows
        # Each shard has the shape of the first (`fathom.imaging.crop_dataset` refuses others).
        self.shape = (len(rows), *self._mapped(0).shape[1:])

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, rows: int | slice | Positions) -> Crops:
        """Return crops as an array indexed by `rows` would."""
        wanted = np.arange(len(self))[rows]
        if not isinstance(wanted, np.ndarray):
            return self[np.array([wanted])][0]
        found = np.empty((len(wanted), *self.shape[1:]), dtype=np.uint8)
        order = np.argsort(self._shard[wanted], kind="stable")
        shards, starts = np.unique(self._shard[wanted[order]], return_index=True)
        for shard, here in zip(shards, np.split(order, starts)[1:], strict=True):
            found[here] = self._mapped(shard)[self._row[wanted[here]]]
        return found

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Crops:
        return np.asarray(self[:], dtype=dtype)

    def narrowed(self, rows: Positions) -> "StoredCrops":
        """Return some of them, without reading any."""
        return StoredCrops(self.folder, self.names[self._shard[rows]], self._row[rows])

    def _mapped(self, shard: int) -> Crops:
        mapped: Crops = np.load(self.folder / str(self.names[shard]), mmap_mode="r")
        return mapped


def narrowed(crops: CropRows, rows: Positions) -> CropRows:
    """Return some of the crops; stored ones stay where they are."""
    return crops.narrowed(rows) if isinstance(crops, StoredCrops) else crops[rows]


def in_batches(crops: CropRows) -> Iterator[Crops]:
    """Yield all crops in their order, `AT_ONCE` at a time; an empty batch where there are none."""
    for start in range(0, max(len(crops), 1), AT_ONCE):
        yield crops[start : start + AT_ONCE]


def save_crops(path: Path, crops: CropRows) -> None:
    """Write all crops as one .npy file, a batch at a time."""
    header = {"descr": "|u1", "fortran_order": False, "shape": tuple(crops.shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for some in in_batches(crops):
            file.write(np.ascontiguousarray(some).data)
