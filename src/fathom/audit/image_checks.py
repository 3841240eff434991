"""Images that are damaged, or differ from the rest of their set as no specimen would."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fathom.audit.findings import Finding
from fathom.audit.image_traits import ImageTraits
from fathom.audit.near_duplicate_images import near_duplicate_images
from fathom.audit.params import Audit, Check
from fathom.datasets.modality import GREY_BRIGHT_FIELD

_FEWEST = 4  # images: of fewer there is no rest of the set to differ from


def audit_images(traits: ImageTraits, images: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    """Yield what is wrong with the images; `images` has image and patient, a row for each trait."""
    table = traits.table
    for image, error in zip(table["image"], table["error"], strict=True):
        if error:
            yield Finding("unreadable_image", str(image), error, 1.0, (str(image),))
    sound = table[table["error"] == ""]
    for check, confidence, say in _JUDGES:
        sure = confidence(sound, params)
        for row, certain in zip(sound.to_dict("records"), sure.tolist(), strict=True):
            if certain > 0:
                image = str(row["image"])
                yield Finding(check, image, say(row, sound), min(certain, 1.0), (image,))
    yield from _duplicates(traits, images, params)


Judge = Callable[[pd.DataFrame, Audit], npt.NDArray[np.float64]]  # confidence, 0 = nothing is wrong
Traits = dict[Hashable, Any]  # a row of `fathom.audit.image_traits.TRAIT_COLUMNS`


def _truncated(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    del params
    return np.where(sound["blank_rows"] > 0, 1.0, 0.0)


def _blank(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    return np.where(sound["contrast"] < params.least_contrast, 1.0, 0.0)


def _bit_depth(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    """Be as sure as the rest is of one kind."""
    del params
    kind = sound["bits"].astype(str) + sound["channels"].astype(str)
    share = kind.map(kind.value_counts(normalize=True)).to_numpy(dtype=np.float64)
    usual = share.max(initial=0.0)
    return np.where(share < usual, usual, 0.0)


def _grey_range(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    if len(sound) < _FEWEST:
        return np.zeros(len(sound))
    away = np.maximum(_bits_away(sound["span"]), _bits_away(sound["levels"]))
    return np.where(away >= params.range_bits, 1 - 2.0**-away, 0.0)


def _grey_bright_field(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    del params
    return np.where(sound["grey_bright_field"] > 0, 1.0, 0.0)


def _white(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    return np.where(sound["white_share"] >= params.white_share, 1.0, 0.0)


def _black(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    return np.where(sound["black_share"] >= params.black_share, 1.0, 0.0)


def _blurred(sound: pd.DataFrame, params: Audit) -> npt.NDArray[np.float64]:
    return blurred_images(sound["sharpness"].to_numpy(dtype=np.float64), params)


def blurred_images(sharpness: npt.NDArray[np.float64], params: Audit) -> npt.NDArray[np.float64]:
    """Return how surely each of a set is out of focus, 0 where it is not.

    Both must hold: the logarithm lies `blur_z` robust SDs (1.4826 MAD) below the median, and the
    measure is `blur_ratio` of the median's or less. The first alone would blame the last of a very
    even set, the second alone any of a very uneven one.
    """
    if len(sharpness) < _FEWEST:
        return np.zeros(len(sharpness))
    logarithm = np.log(np.maximum(sharpness, 1e-12))
    below = np.median(logarithm) - logarithm
    sd = 1.4826 * np.median(np.abs(below))
    z = below / max(float(sd), 1e-3)
    outlying = (z >= params.blur_z) & (below >= -np.log(params.blur_ratio))
    return np.where(outlying, 1 - 1 / np.maximum(z, 1) ** 2, 0.0)  # Chebyshev's inequality


def _bits_away(values: pd.Series) -> npt.NDArray[np.float64]:
    bits = np.log2(np.maximum(values.to_numpy(dtype=np.float64), 1))
    return np.asarray(np.abs(bits - np.median(bits)), dtype=np.float64)


def _say_truncated(row: Traits, _: pd.DataFrame) -> str:
    return (
        f"its last {row['blank_rows']} rows hold one value: it was not written, or not copied, "
        "to its end"
    )


def _say_blank(row: Traits, _: pd.DataFrame) -> str:
    return f"nothing in it rises more than {row['contrast']:.1f} SDs of the noise: it shows nothing"


def _say_bit_depth(row: Traits, sound: pd.DataFrame) -> str:
    usual = sound[["bits", "channels"]].mode().iloc[0]
    return (
        f"has {row['bits']:.0f} bits and {row['channels']:.0f} channel(s), the others "
        f"{usual['bits']:.0f} bits and {usual['channels']:.0f}"
    )


def _say_range(row: Traits, sound: pd.DataFrame) -> str:
    return (
        f"its grey values span {row['span']:.0f} in {row['levels']:.0f} levels, those of the "
        f"median image {sound['span'].median():.0f} in {sound['levels'].median():.0f}: another "
        "bit depth or exposure"
    )


def _say_grey_bright_field(*_: object) -> str:
    return f"{GREY_BRIGHT_FIELD}; look at its labels, or give label images (segmentation.method)"


def _say_white(row: Traits, _: pd.DataFrame) -> str:
    return f"{row['white_share']:.2%} of its pixels are heaped on its brightest value"


def _say_black(row: Traits, _: pd.DataFrame) -> str:
    return f"{row['black_share']:.2%} of its pixels are heaped on its darkest value"


def _say_blurred(row: Traits, sound: pd.DataFrame) -> str:
    return f"its sharpness is {row['sharpness']:.2f}, the median {sound['sharpness'].median():.2f}"


_JUDGES: tuple[tuple[Check, Judge, Callable[[Traits, pd.DataFrame], str]], ...] = (
    ("truncated_image", _truncated, _say_truncated),
    ("blank_image", _blank, _say_blank),
    ("bit_depth", _bit_depth, _say_bit_depth),
    ("grey_range", _grey_range, _say_range),
    ("grey_bright_field", _grey_bright_field, _say_grey_bright_field),
    ("saturated_image", _white, _say_white),
    ("black_clipped_image", _black, _say_black),
    ("blurred_image", _blurred, _say_blurred),
)


def _duplicates(traits: ImageTraits, images: pd.DataFrame, params: Audit) -> Iterator[Finding]:
    names = images["image"].tolist()
    patients = images["patient"].tolist()
    found = near_duplicate_images(traits.thumbnails, params.image_correlation)
    for pair in found.to_dict("records"):
        first, second = int(pair["first"]), int(pair["second"])
        across = patients[first] != patients[second]
        yield Finding(
            "duplicate_images_across_patients" if across else "duplicate_images",
            f"{names[first]}|{names[second]}",
            f"show one field ({pose(pair)}); their patients are '{patients[first]}' and "
            f"'{patients[second]}'",
            min(float(pair["correlation"]), 1.0),
            (names[first], names[second]),
        )


def pose(pair: Traits) -> str:
    """Say how two pictures lie to each other: `turned by 90 degrees, mirrored, r = 0.99`."""
    turned = int(pair["turned"]) * 90
    parts = [f"turned by {turned} degrees"] * (turned > 0) + ["mirrored"] * bool(pair["mirrored"])
    return ", ".join([*parts, f"r = {pair['correlation']:.3f}"])
