"""Which patient an image is of: the table that `fathom predict` takes beside the images."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fathom.ground.errors import FathomError

PATIENT_COLUMNS = ("image", "patient")


def read_patients(path: Path, images: Sequence[Path]) -> list[str]:
    """Return the patient of each image, in the order of `images`.

    `path` is a CSV file with the columns `image` and `patient`; others are ignored, and so are
    images that are not asked for. An image stands there as it was given to the command, or by its
    file name alone.

    Raises `FathomError` where the table cannot be read, lacks a column or an image, or has two
    patients for one.
    """
    known = _read(path)
    patients = []
    for image in images:
        named = known[known["image"].isin([image.as_posix(), image.name])]
        found = sorted(set(named["patient"]))
        if len(found) != 1:
            what = f"has {len(found)} patients: {', '.join(found)}" if found else "is missing"
            raise FathomError(
                f"{path}: the image {image.name!r} {what}; give every image one row, by its path "
                "or its file name, with one patient"
            )
        patients.append(found[0])
    return patients


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FathomError(f"{path}: there is no such table of patients")
    try:
        table = pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise FathomError(f"{path}: cannot be read as CSV ({reason})") from None
    if missing := [column for column in PATIENT_COLUMNS if column not in table.columns]:
        raise FathomError(
            f"{path}: the column {missing[0]!r} is missing, of "
            f"{' and '.join(PATIENT_COLUMNS)}; there is only: {', '.join(table.columns)}"
        )
    if (empty := table["patient"].str.strip() == "").any():
        image = table.loc[empty, "image"].iloc[0]
        raise FathomError(f"{path}: the image {image!r} has no patient; name one")
    return table
