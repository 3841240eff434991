"""Nuclei of a label image that are in several pieces: a stray pixel of the brush is no nucleus."""

import numpy as np
from skimage.measure import label

from fathom.ground.images import Labels


def largest_pieces(labels: Labels) -> tuple[Labels, int]:
    """Return the label image with the largest piece of each nucleus alone, and the px left out.

    Pixels that touch at a corner are of one piece; of equal pieces the first, row by row, counts.
    """
    pieces = label(labels, background=0, connectivity=2)
    sizes = np.bincount(pieces.ravel())
    number = np.zeros(len(sizes), dtype=np.int64)
    number[pieces.ravel()] = labels.ravel()
    largest_first = np.lexsort((-sizes, number))
    _, first = np.unique(number[largest_first], return_index=True)
    kept = np.zeros(len(sizes), dtype=bool)
    kept[largest_first[first]] = True
    whole = np.where(kept[pieces], labels, 0).astype(np.int32)
    return whole, int((labels > 0).sum() - (whole > 0).sum())
