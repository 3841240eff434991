"""What the table of images says of them, and their label images: scales, and nuclei in pieces."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from fathom.audit.findings import Finding, in_words
from fathom.datasets.label_pieces import largest_pieces
from fathom.datasets.layout import mask_paths
from fathom.datasets.tables import one_scale
from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import file_fingerprint
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of
from fathom.ground.images import read_labels


def audit_scales(images: pd.DataFrame) -> Iterator[Finding]:
    """Yield one finding where the images, with um_per_px, NaN where unknown, have several scales.

    One nucleus is twice as wide at half the um a pixel: a network would learn the microscope.
    """
    known = images.dropna(subset="um_per_px")
    if one_scale(known["um_per_px"]):
        return
    counts = known["um_per_px"].value_counts()
    usual = counts.index[0]
    shown = in_words({f"{scale:g}": int(count) for scale, count in counts.sort_index().items()})
    yield Finding(
        "mixed_scales",
        "images.csv",
        f"the images have {len(counts)} scales (um_per_px and count of images: {shown}); one "
        "nucleus is of several sizes in them. Resample the images to one scale",
        1.0,
        tuple(known.loc[known["um_per_px"] != usual, "image"]),
    )


def audit_label_images(
    folder: Path, images: pd.DataFrame, store: ImageStore = NOWHERE
) -> Iterator[Finding]:
    """Yield label images, of masks/, in which nuclei are in several pieces.

    Those that the store knows are not looked at again.
    """
    for image in images["image"]:
        for path in mask_paths(folder, image)[:1]:
            try:
                made = store.of(key_of(__name__, file_fingerprint(path)), partial(_pieces, path))
            except FathomError:
                continue  # `fathom check` and every stage refuse it
            if lost := made.notes["lost"]:
                what = (
                    f"of its label image, {lost} px lie apart from their nuclei's largest pieces, "
                    f"{made.notes['whole']} px; they are not used"
                )
                yield Finding("labels_in_pieces", image, what, 1.0, (image,))


def _pieces(path: Path) -> Made:
    """Return how many px of a label image lie in nuclei's largest pieces, and how many apart."""
    whole, lost = largest_pieces(read_labels(path))
    return Made({}, {"lost": lost, "whole": int((whole > 0).sum())})
