"""Which patient an image is of: the table that `fathom predict` takes beside the images."""

from collections.abc import Sequence
from pathlib import Path

from fathom.datasets.spellings import alike, rounded
from fathom.datasets.tables import one_form, read_sound_rows
from fathom.ground.errors import FathomError

PATIENT_COLUMNS = ("image", "patient")


def read_patients(path: Path, images: Sequence[Path]) -> list[str]:
    """Return the patient of each image, in the order of `images`.

    `path` is a CSV file with the columns `image` and `patient`, read by the rules of images.csv
    (`fathom.datasets.tables`); other columns are ignored, and so are images that are not asked for.
    An image stands there as it was given to the command, or by its file name alone.

    Raises `FathomError` where the table cannot be read or has a fault of form, lacks an image or
    has two patients for one, where two of the patients may be one, spelled in two ways, and where a
    spreadsheet rounded one, who may be several.
    """
    known = _read(path)
    patients = []
    for image in images:
        names = (one_form(image.as_posix()), one_form(image.name))
        found = sorted({patient for name, patient in known if name in names})
        if len(found) != 1:
            what = f"has {len(found)} patients: {', '.join(found)}" if found else "is missing"
            raise FathomError(
                f"{path}: the image {image.name!r} {what}; give every image one row, by its path "
                "or its file name, with one patient"
            )
        patients.append(found[0])
    if unclear := next(filter(rounded, patients), None):
        raise FathomError(
            f"{path}: '{unclear}' is a number that a spreadsheet rounded, and several patients may "
            "be in it; write it in full, in a column of the format text"
        )
    if spelled := alike(patients):
        raise FathomError(
            f"{path}: {' and '.join(map(repr, spelled[0]))} may be one patient, who would be "
            f"counted {len(spelled[0])} times; spell every patient in one way"
        )
    return patients


def _read(path: Path) -> list[tuple[str, str]]:
    """Return image and patient of each row."""
    rows = read_sound_rows(path, PATIENT_COLUMNS, "table of patients")
    return [(row.get("image"), row.get("patient")) for row in rows]
