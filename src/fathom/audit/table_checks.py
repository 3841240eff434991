"""What the table of images and their files say of scales; nuclei of label images in pieces."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from fathom.audit.findings import Finding, in_words
from fathom.datasets.label_pieces import largest_pieces
from fathom.datasets.layout import mask_paths
from fathom.datasets.masks import read_mask
from fathom.datasets.tables import one_scale
from fathom.ground.errors import FathomError


def audit_scales(images: pd.DataFrame) -> Iterator[Finding]:
    """Yield where images have several scales, some has two, or those of some are not known.

    One nucleus is twice as wide at half the um a pixel: a network would learn the microscope.
    `images` has image, um_per_px, by the table, and file_um_per_px, by the file; NaN where unknown.
    The table goes before the file.
    """
    yield from _contradictions(images)
    scales = images.assign(um_per_px=images["um_per_px"].fillna(images["file_um_per_px"]))
    known = scales.dropna(subset="um_per_px")
    if 0 < len(known) < len(scales):
        unknown = scales.loc[scales["um_per_px"].isna(), "image"]
        yield Finding(
            "mixed_scales",
            "unknown",
            f"of {len(unknown)} of {len(scales)} images neither the table nor the file says the "
            "scale: whether they are of the others' cannot be told. Fill in um_per_px in "
            "images.csv",
            1.0,
            tuple(unknown),
        )
    if one_scale(known["um_per_px"]):
        return
    counts = known["um_per_px"].round(6).value_counts()
    usual = counts.index[0]
    shown = in_words({f"{scale:g}": int(count) for scale, count in counts.sort_index().items()})
    yield Finding(
        "mixed_scales",
        "images.csv",
        f"the images have {len(counts)} scales (um_per_px and count of images: {shown}); one "
        "nucleus is of several sizes in them. Resample the images to one scale",
        1.0,
        tuple(known.loc[known["um_per_px"].round(6) != usual, "image"]),
    )


def _contradictions(images: pd.DataFrame) -> Iterator[Finding]:
    """Yield one finding of the images whose file says another scale than the table."""
    both = images.dropna(subset=["um_per_px", "file_um_per_px"])
    pairs = both[["um_per_px", "file_um_per_px"]].itertuples(index=False, name=None)
    others = both[[not one_scale(pair) for pair in pairs]]
    if others.empty:
        return
    first = others.iloc[0]
    yield Finding(
        "mixed_scales",
        "table and files",
        f"the files of {len(others)} images say another scale than images.csv, that of "
        f"{first['image']} {first['file_um_per_px']:g} um per px, and the table "
        f"{first['um_per_px']:g}; the table counts. Mend it, or waive this where the files are "
        "wrong",
        1.0,
        tuple(others["image"]),
    )


def audit_label_images(folder: Path, images: pd.DataFrame) -> Iterator[Finding]:
    """Yield label images, of masks/, in which nuclei are in several pieces."""
    for image in images["image"]:
        for path in mask_paths(folder, image)[:1]:
            try:
                whole, lost = largest_pieces(read_mask(path))
            except FathomError:
                continue  # `fathom check` and every stage refuse it
            if lost:
                what = (
                    f"of its label image, {lost} px lie apart from their nuclei's largest pieces, "
                    f"{int((whole > 0).sum())} px; they are not used"
                )
                yield Finding("labels_in_pieces", image, what, 1.0, (image,))
