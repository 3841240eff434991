"""Simulated fluorescence micrographs with their true label images, and data sets made of them.

The nuclei are those of `fathom.simulation.simulated_nuclei`, with the same seed the same ones,
placed in one square field a slide: some against a neighbour, with debris, haze and uneven light
around them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
from scipy import ndimage

from fathom.datasets.layout import ANNOTATIONS, IMAGES, MASKS, labels_path
from fathom.ground.arrays import Floats
from fathom.ground.csv_file import write_csv
from fathom.ground.errors import FathomError
from fathom.ground.images import Labels, write_labels
from fathom.ground.output import write_table, written_whole
from fathom.simulation.simulated_chromatin import CROP_PX, Emitted, emit_nuclei, random_field, spots
from fathom.simulation.simulated_nuclei import TRUTH, blurred, expose, places, truth
from fathom.simulation.simulation import Patient, Simulation, draw_patients, identity_table

Plane = npt.NDArray[np.float32]  # (field_px, field_px)

GAP_PX = 3  # at least, between nuclei that are not meant to touch
_SLIDE = 2  # the first number after the seed; `fathom.simulation.simulation` has 0 and 1
_TRIES = 1000  # at a free place for one nucleus
_FULL_WELL = 65535


@dataclass(frozen=True)
class Field:
    """What surrounds the nuclei of a slide (`DEFAULT_FIELD` is a point to start from)."""

    field_px: int
    """Side of the micrograph."""
    touching_share: float
    """Share of the nuclei that are put against one that is there already, 0..1."""
    debris: int
    """Bright specks a slide, off the nuclei."""
    haze: float
    """Mean of the background's light, where a nucleus of latents 0 is 1; it varies by a third."""
    offset: int
    """Counts of the camera without light."""
    counts: int
    """Counts of light 1; what exceeds 65535 is clipped."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for name in ("debris", "haze", "offset"):
            if getattr(self, name) < 0:
                raise FathomError(f"field: {name} = {getattr(self, name)} is not 0 or more")
        for name in ("field_px", "counts"):
            if getattr(self, name) < 1:
                raise FathomError(f"field: {name} = {getattr(self, name)} is not 1 or more")
        if not 0 <= self.touching_share <= 1:
            raise FathomError(f"field: touching_share = {self.touching_share} is not in 0..1")


DEFAULT_FIELD = Field(
    field_px=640, touching_share=0.2, debris=10, haze=0.15, offset=200, counts=4000
)


@dataclass(frozen=True, eq=False)
class SimulatedSlide:
    """One micrograph and all that is true of it."""

    image: str
    """Path in the data set."""
    slide: str
    patient: str
    micrograph: npt.NDArray[np.uint16]
    """(field_px, field_px)"""
    labels: Labels
    """(field_px, field_px) int32, 0 = background, 1..n the rows of `nuclei`"""
    nuclei: pd.DataFrame
    """nucleus, slide, patient, image, label, positive, label_number, touching (shares an edge or a
    corner with another), annotation_x and annotation_y (a pixel inside), y, x, top, left, bottom,
    right, area_px, `latent_<name>` and the measures of `Chromatin`."""


def simulate_slides(simulation: Simulation, field: Field, seed: int) -> Iterator[SimulatedSlide]:
    """Yield every slide of every patient, the same bytes for the same seed."""
    for patient in range(simulation.patients):
        for slide in range(simulation.slides_per_patient):
            yield simulate_slide(simulation, field, seed, patient, slide)


def simulate_slide(
    simulation: Simulation, field: Field, seed: int, patient: int, slide: int
) -> SimulatedSlide:
    """Return slide number `slide` of patient number `patient`, from 0, as in `simulate_slides`.

    With another `blur_px`, `noise`, `illumination` or `Field` it is the same slide, seen otherwise.
    """
    patients = draw_patients(simulation, seed)
    owner = patients[patient]
    numbers = range(slide, simulation.nuclei_per_patient, simulation.slides_per_patient)
    if not numbers:
        raise FathomError(
            f"simulation: {simulation.nuclei_per_patient} nuclei a patient leave slide {slide + 1} "
            f"of {simulation.slides_per_patient} empty"
        )
    emitted = emit_nuclei(simulation, seed, patients, [(patient, number) for number in numbers])
    place, see = (np.random.default_rng([seed, _SLIDE, patient, slide, use]) for use in (0, 1))
    corner = _arranged(emitted.chromatin.mask, field, place)
    light, labels = _laid_out(emitted, corner, field)
    light += _debris(labels, field, simulation.crop_px / CROP_PX, place)
    micrograph = _photographed(light, simulation, field, owner, owner.light[slide], see)
    identity = identity_table(simulation, owner).iloc[list(numbers)].reset_index(drop=True)
    middle = corner + (simulation.crop_px - 1) // 2  # inside: outlines are stars around it
    nuclei = identity.assign(
        label_number=np.arange(1, len(identity) + 1),
        touching=_touching(labels),
        annotation_x=middle[:, 1],
        annotation_y=middle[:, 0],
    )
    nuclei = pd.concat(
        [nuclei, places(emitted.chromatin.mask, corner), truth(emitted)], axis="columns"
    )
    first = identity.iloc[0]
    return SimulatedSlide(
        str(first["image"]), str(first["slide"]), owner.name, micrograph, labels, nuclei
    )


def write_dataset(
    folder: Path,
    simulation: Simulation,
    field: Field,
    seed: int,
    alter: Callable[[SimulatedSlide], SimulatedSlide] = lambda slide: slide,
) -> None:
    """Write a data set (docs/own-data.md) with annotations and masks; `truth.parquet` is beside.

    `alter` gets every slide before it is written and returns what is written instead: a fault is
    planted there.
    """
    rows, annotations, nuclei = [], [], []
    for slide in map(alter, simulate_slides(simulation, field, seed)):
        _write_micrograph(folder / slide.image, slide.micrograph)
        write_labels(labels_path(folder / MASKS, slide.image), slide.labels)
        rows.append({"image": slide.image, "slide": slide.slide, "patient": slide.patient})
        points = slide.nuclei[["image", "annotation_x", "annotation_y", "label"]]
        annotations.append(points.rename(columns={"annotation_x": "x", "annotation_y": "y"}))
        nuclei.append(slide.nuclei)
    write_csv(folder / IMAGES, pd.DataFrame(rows), as_it_is=True)
    write_csv(folder / ANNOTATIONS, pd.concat(annotations), as_it_is=True)
    write_table(folder / TRUTH, pd.concat(nuclei, ignore_index=True))


def _arranged(
    masks: npt.NDArray[np.bool_], field: Field, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the first pixel (y, x) of each nucleus' square, (n, 2): nuclei share no pixel."""
    side = masks.shape[-1]
    room = field.field_px - side
    if room < 0:
        raise FathomError(f"field: field_px = {field.field_px} is less than crop_px = {side}")
    taken = np.zeros((field.field_px, field.field_px), dtype=np.bool_)
    corners: list[npt.NDArray[np.int64]] = []
    for mask in masks:
        corner = None
        if corners and rng.random() < field.touching_share:
            corner = _against(taken, mask, corners[rng.integers(len(corners))], rng)
        if corner is None:
            corner = _free(taken, mask, rng)
        if corner is None:
            raise FathomError(
                f"field: {len(masks)} nuclei of crop_px = {side} find no place in field_px = "
                f"{field.field_px}; make it larger, or the nuclei fewer"
            )
        taken[_square(corner, side)] |= mask
        corners.append(corner)
    return np.stack(corners)


def _square(corner: npt.NDArray[np.int64], side: int) -> tuple[slice, slice]:
    return np.s_[corner[0] : corner[0] + side, corner[1] : corner[1] + side]


def _free(
    taken: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.int64] | None:
    """Return a random place at least `GAP_PX` from every nucleus."""
    side = len(mask)
    around = np.ones((2 * GAP_PX + 1, 2 * GAP_PX + 1), dtype=np.bool_)
    wide = ndimage.binary_dilation(mask, around)
    corner: npt.NDArray[np.int64]
    for corner in rng.integers(0, len(taken) - side, size=(_TRIES, 2), endpoint=True):
        if not (taken[_square(corner, side)] & wide).any():
            return corner
    return None


def _against(
    taken: npt.NDArray[np.bool_],
    mask: npt.NDArray[np.bool_],
    neighbour: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> npt.NDArray[np.int64] | None:
    """Return the place nearest to a neighbour, in a random direction, that is still free."""
    side = len(mask)
    angle = rng.uniform(0, 2 * np.pi)
    towards = np.array([np.sin(angle), np.cos(angle)])
    for distance in range(1, 2 * side):
        corner: npt.NDArray[np.int64] = neighbour + np.rint(distance * towards).astype(np.int64)
        if (corner < 0).any() or (corner > len(taken) - side).any():
            return None
        if not (taken[_square(corner, side)] & mask).any():
            return corner
    return None


def _laid_out(
    emitted: Emitted, corner: npt.NDArray[np.int64], field: Field
) -> tuple[Plane, Labels]:
    chromatin = emitted.chromatin
    light = np.zeros((field.field_px, field.field_px), dtype=np.float32)
    labels = np.zeros(light.shape, dtype=np.int32)
    pairs = zip(corner, chromatin.emission, chromatin.mask, strict=True)
    for number, (at, emission, mask) in enumerate(pairs, start=1):
        square = _square(at, len(mask))
        light[square] += emission
        labels[square][mask] = number
    return light, labels


def _debris(labels: Labels, field: Field, unit: float, rng: np.random.Generator) -> Plane:
    """Return specks: round, smaller than a nucleus, centred off the nuclei."""
    background = np.flatnonzero(labels == 0)
    at = np.stack(np.unravel_index(rng.choice(background, field.debris), labels.shape))
    y, x = at[:, None, :] - (field.field_px - 1) / 2
    width = unit * rng.uniform(0.8, 2.5, (1, field.debris))
    height = rng.uniform(0.3, 1.5, (1, field.debris))
    specks: Plane = spots(y, x, width, height, field.field_px)[0]
    return specks


def _photographed(
    light: Plane,
    simulation: Simulation,
    field: Field,
    owner: Patient,
    towards: Floats,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint16]:
    """Return what the camera counts: optics, haze, stain, illumination, noise, offset."""
    side = field.field_px
    white = rng.standard_normal((1, side, side), dtype=np.float32)
    clouds = random_field(white, np.array([side / 8]))[0]
    haze = field.haze * np.maximum(1 + clouds / 3, 0)
    across = (np.arange(side) + 0.5) / side - 0.5
    along = towards[0] * across[:, None] + towards[1] * across
    lit = (owner.gain * (blurred(light, simulation.blur_px) + haze)).astype(np.float32)
    lit *= (1 + simulation.illumination * along).astype(np.float32)
    counted = field.offset + field.counts * expose(lit, simulation.noise, rng)
    return np.clip(np.rint(counted), 0, _FULL_WELL).astype(np.uint16)


def _touching(labels: Labels) -> npt.NDArray[np.bool_]:
    """Tell for each label 1..n whether a pixel of another lies beside one of its own."""
    highest = ndimage.maximum_filter(labels, size=3)
    lowest = ndimage.minimum_filter(np.where(labels, labels, labels.max() + 1), size=3)
    meets = (labels > 0) & ((highest > labels) | (lowest < labels))
    touching = np.zeros(labels.max() + 1, dtype=np.bool_)
    touching[labels[meets]] = True
    return touching[1:]


def _write_micrograph(path: Path, micrograph: npt.NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as part:
        tifffile.imwrite(part, micrograph, compression="zlib", predictor=True, metadata=None)
