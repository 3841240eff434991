"""The new slides of params.yaml: what is supposed of them, and which classes they may have."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from fathom.datasets.layout import (
    ANNOTATION_COLUMNS,
    ANNOTATIONS,
    IMAGE_COLUMNS,
    IMAGES,
    OPTIONAL_IMAGE_COLUMNS,
)
from fathom.datasets.tables import read_rows
from fathom.ground.errors import FathomError
from fathom.ground.resolution import COARSEST_UM, FINEST_UM, is_plausible
from fathom.ground.section import Section

NONE = Path("data/none")  # a data set without an image, for a study without new slides


def _width(um_per_px: float) -> float:
    if not is_plausible(um_per_px):
        raise ValueError(
            f"no light microscope has such pixels: give {FINEST_UM} to {COARSEST_UM} um, or null"
        )
    return um_per_px


class NewSlides(Section):
    """The data set that the best model is scored on, and what is supposed of it."""

    key: ClassVar[str] = "new_slides"
    dataset: str  # its folder
    # Of images of which neither images.csv nor the file says it; None: those are refused.
    assumed_um_per_px: Annotated[float, AfterValidator(_width)] | None


def listed_classes(folder: Path) -> tuple[str, ...]:
    """Return the classes that the tables of a data set name, sorted, without a look at its images.

    A table that cannot be read names none: `fathom.datasets.check` says what is wrong with it.
    """
    rows = []
    if (folder / IMAGES).is_file():
        rows += read_rows(folder / IMAGES, IMAGE_COLUMNS, OPTIONAL_IMAGE_COLUMNS)[0]
    if (folder / ANNOTATIONS).is_file():
        rows += read_rows(folder / ANNOTATIONS, ANNOTATION_COLUMNS)[0]
    return tuple(sorted({row.get("label") for row in rows} - {""}))


def require_known(folder: Path, classes: Iterable[str], known: Iterable[str], whose: str) -> None:
    """Raise `FathomError` where new slides in `folder` have classes beside the `known` ones.

    `whose` says who knows those: the model, or the study.
    """
    there = sorted(set(known))
    if unknown := sorted(set(classes) - set(there)):
        raise FathomError(
            f"{folder}: {whose} does not know the class {unknown[0]!r}, only "
            f"{' and '.join(map(repr, there))}. Set new_slides.dataset in params.yaml to a data "
            f"set with these classes or without labels, or to {NONE.as_posix()}, where nothing is "
            "to be scored"
        )
