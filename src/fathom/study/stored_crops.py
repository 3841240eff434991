"""Crops that stay in their shards: a million nuclei of 48 px are 2.2 GiB, of which few are wanted.

`StoredCrops` stands wherever an array of crops is only read by rows. A shard is mapped while its
rows are copied and no longer, so that what was read does not stay in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from fathom.ground.arrays import Bools, Positions

Crops = npt.NDArray[np.uint8]  # (n, crop_px, crop_px, channels), background 0

AT_ONCE = 1000  # crops of a batch

Number = TypeVar("Number", bound=np.generic)


class CropRows(Protocol):
    """Crops by their rows: `Crops`, or `StoredCrops`."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice | Positions, /) -> Crops: ...


@dataclass(frozen=True, eq=False)
class StoredCrops:
    """Crops of several shards as if they were one array.

    Indexed by a row, a slice or (n,) rows they are `Crops`; a NumPy function is given all of them.

    folder : of the shards
    names : file names of the shards, each of the shape of the first
    shard : (n,), the place in `names` of each crop's shard
    row : (n,), the crop's row in it
    """

    folder: Path
    names: Sequence[str]
    shard: Positions
    row: Positions

    @property
    def shape(self) -> tuple[int, ...]:
        """Return that of the array."""
        return len(self), *self._mapped(0).shape[1:]

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, rows: int | slice | Positions) -> Crops:
        """Return crops as an array indexed by `rows` would."""
        shard, row = self.shard[rows], self.row[rows]
        if np.ndim(row) == 0:
            return np.array(self._mapped(int(shard))[row])
        found = np.empty((len(row), *self.shape[1:]), dtype=np.uint8)
        order = np.argsort(shard, kind="stable")
        read, starts = np.unique(shard[order], return_index=True)
        for one, here in zip(read, np.split(order, starts)[1:], strict=True):
            found[here] = self._mapped(one)[row[here]]
        return found

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Crops:
        return np.asarray(self[:], dtype=dtype)

    def narrowed(self, rows: Positions) -> Self:
        """Return some of them, without reading any."""
        return replace(self, shard=self.shard[rows], row=self.row[rows])

    def _mapped(self, shard: int) -> Crops:
        mapped: Crops = np.load(self.folder / self.names[shard], mmap_mode="r")
        return mapped


def narrowed(crops: CropRows, rows: Positions) -> CropRows:
    """Return some of the crops; stored ones stay where they are."""
    return crops.narrowed(rows) if isinstance(crops, StoredCrops) else crops[rows]


def in_batches(crops: CropRows) -> Iterator[Crops]:
    """Yield all crops in their order, `AT_ONCE` at a time; an empty batch where there are none."""
    for start in range(0, max(len(crops), 1), AT_ONCE):
        yield crops[start : start + AT_ONCE]


def by_batches(
    crops: CropRows, measure: Callable[[Crops], npt.NDArray[Number]]
) -> npt.NDArray[Number]:
    """Return what is measured of each crop, of a batch at a time."""
    return np.concatenate([measure(some) for some in in_batches(crops)])


def shows_something(crops: CropRows) -> Bools:
    """Return which crops are not blank: (n,)."""
    return by_batches(crops, lambda some: np.asarray(some.any(axis=(1, 2, 3))))


def save_crops(path: Path, crops: CropRows) -> None:
    """Write all crops as one .npy file, a batch at a time."""
    header = {"descr": "|u1", "fortran_order": False, "shape": tuple(crops.shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for some in in_batches(crops):
            file.write(np.ascontiguousarray(some).data)
