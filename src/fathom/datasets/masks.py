"""A label image of a user's: which file it is, whether it is one, and which pixels of it count.

`fathom check`, the stages of a study and `fathom predict` read them here, by one rule. Of a nucleus
in several pieces the largest counts: a stray pixel of the brush is no nucleus.
"""

from pathlib import Path

import numpy as np
from skimage.measure import label

from fathom.datasets.layout import masks_named
from fathom.ground.errors import SlideError
from fathom.ground.images import Labels, labels_of, read_labels

# Of one number alone: so large a share of its largest piece are stray pixels of the brush, and more
# is another nucleus.
_STRAY_SHARE = 0.05
_FEW = 3  # numbers: nuclei, their borders, and what else a picture of classes tells apart


def mask_named(folder: Path, name: str, image: str) -> Path | None:
    """Return the label image called `name` in a folder, of any ending that one may have.

    `image` is whose it is, for messages. Raises `SlideError` where there are several.
    """
    found = masks_named(folder, name)
    if len(found) > 1:
        raise SlideError(f"{folder}: {several_masks(found, image)}")
    return found[0] if found else None


def several_masks(found: list[Path], image: str) -> str:
    """Say that an image has more than one label image."""
    return f"'{image}' has {' and '.join(mask.name for mask in found)}; keep one"


def read_mask(path: Path) -> Labels:
    """Read a label image, (H, W) int32, 0 = background, one positive number a nucleus.

    Raises `SlideError` as `read_labels` does, and for a picture of classes.
    """
    return _numbered(read_labels(path), path)


def mask_of_array(given: object, where: Path) -> Labels:
    """Return an array as `read_mask` returns a file: (H, W) of any whole numbers, byte order."""
    return _numbered(labels_of(given, where), where)


def _numbered(labels: Labels, where: Path) -> Labels:
    """Return label images; refuse pictures of classes, such as black and white ones.

    In those, one number stands for all nuclei, so that it is in many pieces; of a nucleus, what
    lies apart is a few pixels.
    """
    numbers = np.unique(labels[labels > 0])
    if not 1 <= len(numbers) <= _FEW:
        return labels
    whole, apart = largest_pieces(labels)
    if apart <= (_STRAY_SHARE if len(numbers) == 1 else 1.0) * (whole > 0).sum():
        return labels
    pieces = label(labels, background=0, connectivity=2).max()
    what, kind = f"{len(numbers)} numbers", "picture of classes"
    if len(numbers) == 1:
        what, kind = f"one number, {numbers[0]},", "black and white picture"
    raise SlideError(
        f"{where}: holds {what} in {pieces} separate pieces: that is a {kind}; a label image has a "
        "number of its own for each nucleus"
    )


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
