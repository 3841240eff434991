"""What the table of images says of them: scales, names of patients and slides, label images."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from fathom.audit.findings import Finding, in_words
from fathom.audit.params import Check
from fathom.datasets.layout import mask_paths
from fathom.datasets.masks import largest_pieces, read_mask
from fathom.datasets.spellings import alike, rounded
from fathom.datasets.tables import one_scale
from fathom.ground.errors import FathomError
from fathom.ground.fingerprint import file_fingerprint
from fathom.ground.image_store import NOWHERE, ImageStore, Made, key_of


def audit_scales(images: pd.DataFrame) -> Iterator[Finding]:
    """Yield what is wrong with the scales: several, some unknown, table and file that differ.

    `images` has um_per_px, as the table says it, and um_per_px_of_file, NaN where unknown. What the
    table says counts. One nucleus is twice as wide at half the um a pixel: a network would learn
    the microscope.
    """
    images = images.assign(scale=images["um_per_px"].fillna(images["um_per_px_of_file"]))
    known = images.dropna(subset="scale")
    if not one_scale(known["scale"]):
        yield _mixed(known)
    if 0 < len(known) < len(images):
        yield Finding(
            "unknown_scales",
            "images.csv",
            f"of {len(images) - len(known)} of {len(images)} images neither the column um_per_px "
            "nor the file says the scale: they may be of another, and a model of this study will "
            "name none, so that new slides are not resampled to it. Fill in the column",
            1.0,
            tuple(images.loc[images["scale"].isna(), "image"]),
        )
    both = known.dropna(subset=["um_per_px", "um_per_px_of_file"])
    pairs = zip(both["um_per_px"], both["um_per_px_of_file"], strict=True)
    other = both[[not one_scale(pair) for pair in pairs]]
    if len(other):
        first = other.iloc[0]
        yield Finding(
            "contradicting_scales",
            "images.csv",
            f"of {len(other)} images the column um_per_px contradicts the file "
            f"({first['image']}: {first['um_per_px']:g}, the file says "
            f"{first['um_per_px_of_file']:g}); the column counts. Mend it, or waive this",
            1.0,
            tuple(other["image"]),
        )


def _mixed(known: pd.DataFrame) -> Finding:
    # Files hold a scale as a fraction or in other units: what differs behind that is one scale.
    written = known["scale"].map("{:.3g}".format)
    counts = written.value_counts()
    usual = counts.index[0]
    shown = in_words({scale: int(counts[scale]) for scale in sorted(counts.index, key=float)})
    return Finding(
        "mixed_scales",
        "images.csv",
        f"the images have {len(counts)} scales (um_per_px and count of images: {shown}); one "
        "nucleus is of several sizes in them. Resample the images to one scale",
        1.0,
        tuple(known.loc[written != usual, "image"]),
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
    whole, lost = largest_pieces(read_mask(path))
    return Made({}, {"lost": lost, "whole": int((whole > 0).sum())})


def audit_spellings(images: pd.DataFrame) -> Iterator[Finding]:
    """Yield names of patients, and of slides, that differ as careless typing makes them differ.

    Or as a spreadsheet does. `images` has image, slide and patient, as they stand in the table. A
    slide belongs to one patient: only the slides of one are compared.
    """
    yield from _spellings(images, "patient", "patient_spellings")
    for _, of_patient in images.groupby("patient", sort=True):
        yield from _spellings(of_patient, "slide", "slide_spellings")


def _spellings(images: pd.DataFrame, column: str, check: Check) -> Iterator[Finding]:
    for names in alike(images[column]):
        rows = images.loc[images[column].isin(names), "image"]
        quoted = " and ".join(map(repr, names))
        what = f"{quoted} may be one {column}: a split by {column} would set them apart"
        yield Finding(check, "|".join(names), what, 1.0, tuple(rows))
    for name in sorted({name for name in images[column] if rounded(name)}):
        rows = images.loc[images[column] == name, "image"]
        what = f"'{name}' is a number that a spreadsheet rounded: several {column}s may be in it"
        yield Finding(check, name, what, 1.0, tuple(rows))
