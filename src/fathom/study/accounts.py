"""What became of all that the tables of a data set list: the accounts of the stage `crop`.

One row an image, and every sum closes. `annotations` are those in nuclei that were kept, in nuclei
that were left out (by reason), and in no nucleus. `nuclei` are those kept and those left out.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fathom.ground.errors import FathomError
from fathom.ground.output import write_table
from fathom.study.nuclei import CONFLICT, TOO_LARGE, TOUCHES_BORDER, UNLABELLED

REASONS: Mapping[str, str] = {
    "touches_border": TOUCHES_BORDER,
    "larger_than_crop": TOO_LARGE,
    "two_labels": CONFLICT,
    "no_label": UNLABELLED,
}
# How coordinates are misread, and what is said of it: the point (x, y) of the table was meant so.
READINGS: Mapping[str, str] = {
    "exchanged": "x and y are exchanged",
    "upwards": "y is counted upwards, from the lower edge",
    "leftwards": "x is counted from the right edge",
    "turned_180": "x and y are counted from the lower right corner",
    "turned_90": "they are of the image turned by 90 degrees",
    "turned_270": "they are of the image turned by 270 degrees",
    "turned_mirrored": "x and y are exchanged, and counted from the lower right corner",
    "micrometres": "they are micrometres, not pixels",
    "times_2": "they are of an image of half the resolution",
    "times_3": "they are of an image of a third of the resolution",
    "times_4": "they are of an image of a quarter of the resolution",
    "times_8": "they are of an image of an eighth of the resolution",
    "times_1_2": "they are of an image of twice the resolution",
    "times_1_3": "they are of an image of three times the resolution",
    "times_1_4": "they are of an image of four times the resolution",
    "times_1_8": "they are of an image of eight times the resolution",
}
ANNOTATION_COUNTS = (
    "annotations",
    "annotations_kept",
    *(f"annotations_{key}" for key in REASONS if key != "no_label"),
    "annotations_in_no_nucleus",
)
NUCLEUS_COUNTS = ("nuclei", "kept", "kept_positive", *(f"left_out_{key}" for key in REASONS))
ACCOUNT_COLUMNS = (
    "image",  # str
    "slide",  # str
    "patient",  # str
    *NUCLEUS_COUNTS,  # int
    *ANNOTATION_COUNTS,  # int
    "covered",  # float, share of the image's pixels that are in nuclei
    # int, annotations that lie in a nucleus of their own under another reading and not as they are
    # written, and the reverse
    *(f"gained_{reading}" for reading in READINGS),
    *(f"lost_{reading}" for reading in READINGS),
)


def totals(accounts: pd.DataFrame) -> dict[str, int]:
    """Return the sums over all images, for `metrics/crop.json`.

    `slides`, `patients` and `images` are those that a nucleus was kept of, `..._listed` all.
    """
    giving = accounts[accounts["kept"] > 0]
    groups = {
        name: int(table[column].nunique())
        for column in ("image", "slide", "patient")
        for name, table in ((f"{column}s", giving), (f"{column}s_listed", accounts))
    }
    counts = {name: int(accounts[name].sum()) for name in (*NUCLEUS_COUNTS, *ANNOTATION_COUNTS)}
    return {"found": counts.pop("nuclei"), **counts, **groups}


def best_reading(accounts: pd.DataFrame) -> tuple[str, int] | None:
    """Return what puts most more annotations into nuclei, in words, and how many; None: nothing.

    That is a hint, no finding: `fathom.audit.account_checks` tests whether chance explains it.
    """
    more = {
        reading: int((accounts[f"gained_{reading}"] - accounts[f"lost_{reading}"]).sum())
        for reading in READINGS
    }
    best = max(more, key=lambda reading: more[reading])
    return (READINGS[best], more[best]) if more[best] > 0 else None


def write_accounts(path: Path, accounts: pd.DataFrame) -> None:
    """Write the accounts (`ACCOUNT_COLUMNS`), a row an image."""
    write_table(path, accounts[list(ACCOUNT_COLUMNS)])


def read_accounts(path: Path) -> pd.DataFrame:
    """Read what `write_accounts` wrote."""
    if not path.is_file():
        raise FathomError(f"{path} is missing: run the stage 'crop' first")
    table = pd.read_parquet(path)
    if tuple(table.columns) != ACCOUNT_COLUMNS:
        raise FathomError(f"{path} is of another version of fathom: run the stage 'crop' again")
    return table
