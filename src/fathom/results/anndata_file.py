"""Nuclei as AnnData (`.h5ad`), for scanpy, squidpy and the rest of scverse.

Written by h5py as AnnData's own format page describes it (anndata 0.8 and newer, "On-disk format"):
the library itself would want the whole table in memory. There is no `X`: nothing here is a count.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.ground.errors import FathomError
from fathom.models.onnx_model import Colour
from fathom.results.coordinates import PixelGrid
from fathom.results.nuclei_table import COORDINATE_COLUMNS, SCORE_SCHEMA, with_coordinates
from fathom.results.nuclei_writer import RowWriter

CATEGORIES = ("image", "left_out", "class")  # columns of obs with few values
NAMES = "nucleus"  # the index of obs
CHUNK_ROWS = 8192
ROW_BYTES = 256  # of the numbers of a row and of what HDF5 needs for its name, rounded up
HEAD_BYTES = 2**20  # of all that does not grow with the rows, rounded up

Element: TypeAlias = Any  # a file, a group or a dataset of h5py, which has no types


class AnnDataWriter(RowWriter):
    """An AnnData file.

    - `obs`, by the nuclei's names: `SCORE_SCHEMA` and `COORDINATE_COLUMNS`; class,
      left_out and image categorical.
    - `obsm["spatial"]`: (n, 2) float64, x and y of the centroid in the full-resolution image, px,
      pixel centres at whole numbers: squidpy draws the image so.
    - `uns["fathom"]`: what the file was made with; `uns["class_colors"]`: scanpy draws with them.

    Raises `FathomError` where h5py is not installed. The same rows give the same bytes.
    """

    def __init__(
        self,
        path: Path,
        grid: PixelGrid,
        about: Mapping[str, object],
        colours: Mapping[str, Colour],
    ) -> None:
        super().__init__()
        try:
            import h5py  # noqa: PLC0415 - an extra
        except ImportError:
            raise FathomError(
                "AnnData files need the package h5py, which is not installed: "
                "pip install 'fathom[anndata]', or do not ask for them"
            ) from None
        self._grid = grid
        self._classes = tuple(colours)
        self._text = h5py.string_dtype()
        self._values: dict[str, list[str]] = {name: [] for name in CATEGORIES}
        self._values["class"] = list(self._classes)
        self._path = path
        # No cache of chunks, which are written once: those of 24 columns came to 130 MB.
        self._file = h5py.File(path, "w", libver=("v108", "v110"), rdcc_nbytes=0)
        self._reserve(HEAD_BYTES)
        _encode(self._file, "anndata", "0.1.0")
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            _encode(self._file.create_group(name), "dict", "0.1.0")
        self._start_obs()
        self._start_var()
        self._spatial = self._growing(self._file["obsm"], "spatial", np.float64, (2,))
        self._write_uns(about, colours)

    def write_rows(self, table: pd.DataFrame) -> None:
        """Append rows to every column."""
        rows = with_coordinates(table, self._grid)
        names = sum(len(name.encode()) for name in rows[NAMES])
        self._reserve(2 * (names + ROW_BYTES * len(rows)) + HEAD_BYTES)
        for name, column in self._columns.items():
            values = self._codes(name, rows[name]) if name in CATEGORIES else rows[name].to_numpy()
            _append(column, values)
        _append(self._spatial, rows[["x_full", "y_full"]].to_numpy(dtype=np.float64))

    def finish(self) -> None:
        """Write the rows that wait, and the categories that came up."""
        super().finish()
        for name, values in self._values.items():
            self._strings(self._file["obs"][name], "categories", values)

    def close(self) -> None:
        """Release the file, and what was reserved of the disk and not used."""
        if self._file:
            self._file.flush()
            size = self._file.id.get_filesize()
            self._file.close()
            os.truncate(self._path, size)

    def _reserve(self, size: int) -> None:
        """Make sure of `size` more bytes on the disk, or raise `OSError`.

        HDF5 does not survive a write that fails: it prints traces and cannot close the file.
        """
        end = self._file.id.get_filesize()
        with self._path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, end + size)

    def _start_obs(self) -> None:
        obs = self._file.create_group("obs")
        _encode(obs, "dataframe", "0.2.0")
        names = [name for name in (*SCORE_SCHEMA, *COORDINATE_COLUMNS) if name != NAMES]
        obs.attrs["_index"] = NAMES
        obs.attrs.create("column-order", names, dtype=self._text)
        self._columns = {NAMES: self._growing(obs, NAMES, self._text, encoding="string-array")}
        for name in names:
            if name in CATEGORIES:
                group = obs.create_group(name)
                _encode(group, "categorical", "0.2.0")
                group.attrs["ordered"] = False
                self._columns[name] = self._growing(group, "codes", np.int8)
            else:
                dtype = SCORE_SCHEMA[name].to_pandas_dtype() if name in SCORE_SCHEMA else np.float64
                self._columns[name] = self._growing(obs, name, dtype)

    def _start_var(self) -> None:
        var = self._file.create_group("var")
        _encode(var, "dataframe", "0.2.0")
        var.attrs["_index"] = "_index"
        var.attrs.create("column-order", [], shape=(0,), dtype=self._text)
        self._strings(var, "_index", [])

    def _write_uns(self, about: Mapping[str, object], colours: Mapping[str, Colour]) -> None:
        uns = self._file["uns"]
        hexadecimal = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours.values()]
        self._strings(uns, "class_colors", hexadecimal)
        ours = uns.create_group("fathom")
        _encode(ours, "dict", "0.1.0")
        for name, value in about.items():
            if value is not None:
                kind = "string" if isinstance(value, str) else "numeric-scalar"
                dtype = self._text if isinstance(value, str) else None
                _encode(ours.create_dataset(name, data=value, dtype=dtype), kind, "0.2.0")

    def _growing(
        self,
        group: Element,
        name: str,
        dtype: npt.DTypeLike,
        row_shape: tuple[int, ...] = (),
        encoding: str = "array",
    ) -> Element:
        """Create an empty dataset, (0, *row_shape), that rows can be appended to."""
        dataset = group.create_dataset(
            name,
            shape=(0, *row_shape),
            maxshape=(None, *row_shape),
            chunks=(CHUNK_ROWS, *row_shape),
            dtype=dtype,
            compression="gzip",
            shuffle=True,
        )
        _encode(dataset, encoding, "0.2.0")
        return dataset

    def _strings(self, group: Element, name: str, values: Sequence[str]) -> None:
        dataset = group.create_dataset(name, data=list(values), shape=len(values), dtype=self._text)
        _encode(dataset, "string-array", "0.2.0")

    def _codes(self, name: str, column: pd.Series) -> npt.NDArray[np.int8]:
        """Return the place of each value among the column's categories, -1 where it is missing."""
        known = self._values[name]
        known += [str(value) for value in column.dropna().unique() if value not in known]
        if len(known) > np.iinfo(np.int8).max:
            raise ValueError(f"{name} has more than {np.iinfo(np.int8).max} values")
        return pd.Categorical(column, categories=known).codes.astype(np.int8)


def _encode(element: Element, kind: str, version: str) -> None:
    element.attrs["encoding-type"] = kind
    element.attrs["encoding-version"] = version


def _append(dataset: Element, values: npt.NDArray[Any]) -> None:
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values
