"""The audit of a data set as it lies on disk, before anything refuses to read it.

Every image is measured, however many are damaged: all of it is found in one go.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.audit.findings import finding_table, write_findings
from fathom.audit.group_checks import audit_spellings
from fathom.audit.image_checks import audit_images
from fathom.audit.image_traits import image_traits
from fathom.audit.params import Audit
from fathom.audit.pictures import draw_images
from fathom.datasets.layout import IMAGES
from fathom.ground.errors import FathomError
from fathom.ground.output import write_table

TRAITS = "images.parquet"
_COLUMNS = ["image", "patient"]


@dataclass(frozen=True, eq=False)
class AuditedImages:
    """What was found in the images of a data set, and what was measured of them."""

    findings: pd.DataFrame  # fathom.audit.findings.FINDING_COLUMNS
    traits: pd.DataFrame  # fathom.audit.image_traits.TRAIT_COLUMNS


def audit_image_files(folder: Path, params: Audit) -> AuditedImages:
    """Audit the images that the table of the data set in `folder` lists.

    Raises `FathomError` where the table cannot be read at all.
    """
    images = listed_images(folder)
    traits = image_traits(folder, images["image"].tolist())
    found = [*audit_images(traits, images, params), *audit_spellings(images)]
    return AuditedImages(finding_table(found, params, complete=False), traits.table)


def listed_images(folder: Path) -> pd.DataFrame:
    """Return image and patient of a data set's table, as text, each image once.

    Read less strictly than `fathom.datasets.dataset.read_dataset` does: white space around a name
    is one of the things to find.
    """
    path = folder / IMAGES
    if not path.is_file():
        raise FathomError(f"{path} is missing: it lists the images of a data set")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as error:  # what pandas raises of a file that is no table, or no text
        raise FathomError(f"{path} cannot be read as a table: {error}") from None
    if missing := [column for column in _COLUMNS if column not in table]:
        there = ", ".join(table.columns)
        raise FathomError(f"{path}: column '{missing[0]}' is missing; there is only: {there}")
    return table[_COLUMNS].drop_duplicates("image", ignore_index=True)


def write_image_audit(out: Path, dataset: Path, audited: AuditedImages) -> None:
    """Write the findings (three forms), their pictures, and the traits."""
    write_findings(out, audited.findings)
    write_table(out / TRAITS, audited.traits)
    draw_images(out, audited.findings, dataset)


def read_traits(folder: Path) -> pd.DataFrame:
    """Read the traits of the images that `write_image_audit` wrote into `folder`."""
    path = folder / TRAITS
    if not path.is_file():
        raise FathomError(f"{path} is missing: run the stage 'audit_images' first")
    return pd.read_parquet(path)
