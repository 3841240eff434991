"""Nuclei as they come from a slide, a tile's at a time, and what all their writers share.

A writer takes batches as they come, and ends whole or not at all.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.ground.images import Labels

# A tile has tens of nuclei; row groups of so few are slow to read. A row takes 300 bytes.
ROWS = 16_384


@dataclass(frozen=True)
class NucleiBatch:
    """The nuclei of one tile; each nucleus of a slide is in exactly one batch.

    table : one row a nucleus, `fathom.results.nuclei_table.SCORE_COLUMNS`
        Positions in px of the slide's view; label_number is unique on the slide.
    masks : of each row, (bottom - top, right - left) bool
        The nucleus inside its bounding box.
    """

    table: pd.DataFrame
    masks: Sequence[npt.NDArray[np.bool_]]

    @classmethod
    def of_labels(cls, table: pd.DataFrame, labels: Labels) -> Self:
        """Return the nuclei of a whole label image, (H, W) int32, 0 = background, as one batch."""
        boxes = table[["label_number", "top", "left", "bottom", "right"]].to_numpy().tolist()
        masks = [
            labels[top:bottom, left:right] == number for number, top, left, bottom, right in boxes
        ]
        return cls(table, masks)


class NucleiWriter(ABC):
    """A file in the making: batches are added, `finish` writes what comes last, `close` closes it.

    It is written under the name it is given: `fathom.ground.output.written_whole` is the caller's.
    """

    @abstractmethod
    def add(self, batch: NucleiBatch) -> None:
        """Write the nuclei of a batch, or keep them for `finish`."""

    @abstractmethod
    def finish(self) -> None:
        """Write what comes last."""

    @abstractmethod
    def close(self) -> None:
        """Release the file, finished or not; nothing happens the second time."""


class RowWriter(NucleiWriter):
    """A writer of tables, which gathers `ROWS` rows before it writes them."""

    def __init__(self) -> None:
        self._waiting: list[pd.DataFrame] = []

    @abstractmethod
    def write_rows(self, table: pd.DataFrame) -> None:
        """Append rows of `fathom.results.nuclei_table.SCORE_COLUMNS`."""

    def add(self, batch: NucleiBatch) -> None:
        """Gather the rows, and write them by `ROWS`: how they were divided leaves no trace."""
        if len(batch.table):
            self._waiting.append(batch.table)
        if sum(map(len, self._waiting)) >= ROWS:
            rows = pd.concat(self._waiting, ignore_index=True)
            whole = len(rows) - len(rows) % ROWS
            for start in range(0, whole, ROWS):
                self.write_rows(rows.iloc[start : start + ROWS])
            self._waiting = [rows.iloc[whole:]]

    def finish(self) -> None:
        """Write the rows that wait."""
        if any(map(len, self._waiting)):
            self.write_rows(pd.concat(self._waiting, ignore_index=True))
        self._waiting.clear()
