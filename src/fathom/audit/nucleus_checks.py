"""Nuclei that show nothing, too much or nothing sharp, that are there twice or under two labels."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.audit.findings import Finding
from fathom.audit.image_checks import blurred_images
from fathom.audit.near_duplicates import near_duplicates
from fathom.audit.params import Audit
from fathom.ground.arrays import Bools
from fathom.ground.image_store import NOWHERE, ImageStore
from fathom.study.nuclei import CONFLICT, Nuclei
from fathom.study.stored_crops import CropRows, Crops, by_batches, narrowed

_IDENTITY = ("nucleus", "slide", "patient", "label")


def how_looked_for(params: Audit) -> dict[str, str | int | float]:
    """Return what the certificate of a split says of the search for near-duplicates."""
    return {
        "method": "the audit's near-duplicates: exact, turned, mirrored, shifted, re-encoded, "
        "of another brightness",
        "nucleus_correlation": params.nucleus_correlation,
        "nucleus_z": params.nucleus_z,
    }


def near_duplicate_table(
    nuclei: Nuclei, crops: CropRows, params: Audit, store: ImageStore = NOWHERE
) -> pd.DataFrame:
    """Return the pairs of crops that are one nucleus, by name: for findings, and to bind groups.

    The columns nucleus, slide, patient and label of both (`first_nucleus` ...), correlation, z,
    turned, mirrored and exact (`fathom.audit.near_duplicates.near_duplicates`). Debris is left out:
    one speck of a few pixels is like any other. An image that the store knows is not described
    again.
    """
    told = np.flatnonzero(_pixels(crops) >= params.smallest_px)
    compared = crops if len(told) == len(crops) else narrowed(crops, told)
    images = nuclei.kept.iloc[told].groupby("image", sort=False).indices.values()
    found = near_duplicates(
        compared,
        params.nucleus_correlation,
        params.nucleus_z,
        params.seed,
        list(map(np.asarray, images)),
        store,
    )
    sides = []
    for side in ("first", "second"):
        rows = nuclei.kept.loc[told[found[side]], list(_IDENTITY)].reset_index(drop=True)
        sides.append(rows.add_prefix(f"{side}_"))
    return pd.concat([*sides, found.drop(columns=["first", "second"])], axis="columns")


def audit_nuclei(nuclei: Nuclei, crops: CropRows, params: Audit) -> Iterator[Finding]:
    """Yield what is wrong with single nuclei, one finding a slide, and with annotations."""
    kept = nuclei.kept
    inside = np.maximum(_pixels(crops), 1)
    white = by_batches(crops, _white) / inside
    blank = by_batches(crops, _one_grey)
    slides = kept["slide"].value_counts()
    for slide, rows in kept[inside < params.smallest_px].groupby("slide", sort=True):
        what = f"{len(rows)} nuclei have fewer than {params.smallest_px} pixels: that is debris"
        yield Finding("debris", f"slide {slide}", what, 1.0, tuple(rows["nucleus"]))
    for slide, rows in kept[blank].groupby("slide", sort=True):
        what = f"{len(rows)} nuclei have one grey value throughout"
        yield Finding("blank_nuclei", f"slide {slide}", what, 1.0, tuple(rows["nucleus"]))
    for slide, rows in kept[white >= params.saturated_share].groupby("slide", sort=True):
        if len(rows) >= params.saturated_nuclei * slides[slide]:
            what = (
                f"{len(rows)} of {slides[slide]} nuclei are white in {params.saturated_share:.0%} "
                "or more of their pixels"
            )
            yield Finding("saturated_nuclei", f"slide {slide}", what, 1.0, tuple(rows["nucleus"]))
    yield from _blurred(kept, params)
    conflicts = nuclei.table.loc[nuclei.table["left_out"] == CONFLICT, "nucleus"]
    if len(conflicts):
        what = f"{len(conflicts)} nuclei hold annotations of both classes, and are left out"
        where = "annotations.csv"
        yield Finding("conflicting_annotations", where, what, 1.0, tuple(conflicts))


def _pixels(crops: CropRows) -> npt.NDArray[np.int64]:
    """Return how many pixels of each crop are in its nucleus: (n,)."""
    return by_batches(
        crops, lambda some: np.asarray(some.any(axis=-1).sum(axis=(1, 2)), dtype=np.int64)
    )


def _white(crops: Crops) -> npt.NDArray[np.int64]:
    """Return how many pixels of each crop are white."""
    white = (crops == np.iinfo(np.uint8).max).all(axis=-1)
    return np.asarray(white.sum(axis=(1, 2)), dtype=np.int64)


def _one_grey(crops: Crops) -> Bools:
    """Return which crops have one grey value throughout their nucleus."""
    darkest = np.where(crops > 0, crops, 255).min(axis=(1, 2, 3))
    return np.asarray(~(crops.max(axis=(1, 2, 3)) > darkest))


def _blurred(kept: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Find slides most of whose nuclei are blurred: single nuclei differ in texture too much."""
    focus = kept.groupby("slide", sort=True)["focus"].median()
    usual = float(focus.median())
    sure = blurred_images(focus.to_numpy(dtype=np.float64), params)
    for slide, value, certain in zip(focus.index, focus, sure, strict=True):
        if certain > 0:
            here = kept[(kept["slide"] == slide) & (kept["focus"] < params.blurred_share * usual)]
            yield Finding(
                "blurred_nuclei",
                f"slide {slide}",
                f"its nuclei's median focus is {value:.3g}, that of the median slide {usual:.3g}",
                float(certain),
                tuple(here["nucleus"]),
            )


def audit_pairs(pairs: pd.DataFrame) -> Iterator[Finding]:
    """Yield the near-duplicates, one finding for two slides; those with two labels once more."""
    slides = pairs[["first_slide", "second_slide"]].to_numpy(dtype=str)
    where = ["|".join(sorted(pair)) for pair in slides]
    across = pairs["first_patient"] != pairs["second_patient"]
    labels = pairs["first_label"] != pairs["second_label"]
    for check, chosen, what in (
        (
            "duplicate_nuclei_across_patients",
            across,
            "are there twice, under two patients: a split by patient leaks",
        ),
        ("duplicate_nuclei", ~across, "are there twice"),
        ("one_nucleus_two_labels", labels, "are there twice, once under each label"),
    ):
        for place, here in pairs[chosen].groupby(np.array(where, dtype=object)[chosen], sort=True):
            names = sorted({*here["first_nucleus"], *here["second_nucleus"]})
            text = f"{len(here)} nuclei {what} ({here['exact'].sum()} pixel for pixel)"
            sure = min(float(here["correlation"].mean()), 1.0)
            yield Finding(check, str(place), text, sure, tuple(names))  # type: ignore[arg-type]
