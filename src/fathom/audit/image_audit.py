"""The audit of a data set as it lies on disk, before anything refuses to read it.

Every image is measured, however many are damaged: all of it is found in one go.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fathom.audit.findings import finding_table, write_findings
from fathom.audit.image_checks import audit_images
from fathom.audit.image_traits import image_traits
from fathom.audit.params import Audit
from fathom.audit.pictures import draw_images
from fathom.audit.table_checks import audit_label_images, audit_scales, audit_spellings
from fathom.datasets.layout import IMAGE_COLUMNS, IMAGES, OPTIONAL_IMAGE_COLUMNS, on_disk
from fathom.datasets.tables import read_number, read_rows
from fathom.ground.errors import FathomError
from fathom.ground.image_store import NOWHERE, ImageStore
from fathom.ground.images import stated_um_per_px
from fathom.ground.output import write_table

TRAITS = "images.parquet"
_COLUMNS = ("image", "slide", "patient")


@dataclass(frozen=True, eq=False)
class AuditedImages:
    """What was found in the images of a data set, and what was measured of them."""

    findings: pd.DataFrame  # fathom.audit.findings.FINDING_COLUMNS
    traits: pd.DataFrame  # fathom.audit.image_traits.TRAIT_COLUMNS


def audit_image_files(folder: Path, params: Audit, store: ImageStore = NOWHERE) -> AuditedImages:
    """Audit the images that the table of the data set in `folder` lists.

    What the store knows of an image is not measured again. Raises `FathomError` where the table
    cannot be read at all.
    """
    images = listed_images(folder)
    traits = image_traits(folder, images["image"].tolist(), store)
    found = [
        *audit_images(traits, images, params),
        *audit_scales(images),
        *audit_label_images(folder, images, store),
        *audit_spellings(images),
    ]
    return AuditedImages(finding_table(found, params, complete=False), traits.table)


def listed_images(folder: Path) -> pd.DataFrame:
    """Return image, slide, patient (str) and scales (float) of a data set's images, once each.

    um_per_px is that of the table, um_per_px_of_file that of the file, NaN where unknown.

    The table is read as `fathom.datasets.dataset.read_dataset` reads it, but its faults stop
    nothing here: the stage `segment` refuses them, all in one go.
    """
    path = folder / IMAGES
    if not path.is_file():
        raise FathomError(f"{path} is missing: it lists the images of a data set")
    rows, faults = read_rows(path, IMAGE_COLUMNS, OPTIONAL_IMAGE_COLUMNS)
    if faults and not any(row.get("image") and row.get("patient") for row in rows):
        raise FathomError(f"{folder}/{faults[0]}")
    cells = {column: [row.get(column) for row in rows] for column in _COLUMNS}
    table = pd.DataFrame(cells, dtype="str")
    table["um_per_px"] = [read_number(row.get("um_per_px")) or math.nan for row in rows]
    files = (on_disk(folder, image) for image in table["image"])
    table["um_per_px_of_file"] = [stated_um_per_px(file) or math.nan for file in files]
    return table[table["image"] != ""].drop_duplicates("image", ignore_index=True)


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
