"""Nuclei as they come from a slide, a tile's at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.ground.images import Labels


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
