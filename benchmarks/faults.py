"""Faults to plant in a simulated data set: each kind in five strengths, from faint to gross.

A fault is a function of the simulated slides (or of the data set's tables or files, or of the
crops, where that is where it happens) and of its strength. Patients, slides and nuclei that it
touches are always the same ones for a seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from fault_copies import Slides, copied, jpeg

from fathom.audit.params import Check
from fathom.ground.images import read_micrograph
from fathom.simulation.simulated_slides import DEFAULT_FIELD, simulate_slide
from fathom.simulation.simulation import Simulation
from fathom.study.nuclei import read_nuclei

SEED = 7  # which nuclei a fault falls on


def unchanged(thing, *_):
    """Leave the slides, the folder or the crops as they are."""
    return thing


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    kind: str
    strengths: tuple[object, ...]
    """Five, from faint to gross."""
    unit: str
    checks: tuple[Check, ...]
    """A finding of one of these is the fault found."""
    of_slides: Callable[[Slides, object, Simulation, int], Slides] = unchanged
    of_folder: Callable[[Path, object], object] = unchanged
    of_crops: Callable[[Path, object], object] = unchanged
    whole_patients: bool = False
    """Whether it needs a study whose label is one of patients."""


def _flip_labels(slides: Slides, share: object, _: Simulation, __: int) -> Slides:
    rng = np.random.default_rng(SEED)
    other = {"negative": "positive", "positive": "negative"}
    changed = []
    for slide in slides:
        wrong = rng.random(len(slide.nuclei)) < float(str(share))
        label = slide.nuclei["label"].mask(wrong, slide.nuclei["label"].map(other))
        changed.append(replace(slide, nuclei=slide.nuclei.assign(label=label)))
    return changed


def _brighten_class(slides: Slides, gain: object, _: Simulation, __: int) -> Slides:
    changed = []
    for slide in slides:
        numbers = np.flatnonzero(slide.nuclei["positive"]) + 1
        offset = DEFAULT_FIELD.offset
        inside = np.isin(slide.labels, numbers)
        bright = (slide.micrograph.astype(np.float64) - offset) * float(str(gain)) + offset
        pixels = np.where(inside, np.clip(np.rint(bright), 0, 65535), slide.micrograph)
        changed.append(replace(slide, micrograph=pixels.astype(np.uint16)))
    return changed


def _mark_crops(nuclei: Path, share: object) -> None:
    """Put a grey square of 3 px into the corner of positive nuclei's crops."""
    rng = np.random.default_rng(SEED)
    kept = read_nuclei(nuclei).kept
    marked = kept[kept["positive"] & (rng.random(len(kept)) < float(str(share)))]
    for shard, rows in marked.groupby("shard"):
        crops = np.load(nuclei / str(shard))
        crops[rows["row"].to_numpy(), 1:4, 1:4] = 90
        np.save(nuclei / str(shard), crops)


def _other_camera(slides: Slides, gain: object, _: Simulation, __: int) -> Slides:
    """Take the patients of the positive class with a camera of another gain."""
    return [
        replace(
            slide,
            micrograph=np.clip(np.rint(slide.micrograph * float(str(gain))), 0, 65535).astype(
                np.uint16
            ),
        )
        if slide.nuclei["positive"].all()
        else slide
        for slide in slides
    ]


def _defocus(slides: Slides, sigma: object, simulation: Simulation, seed: int) -> Slides:
    """Take one slide once more, out of focus: blurred before the camera adds its noise."""
    blurred = replace(simulation, blur_px=float(np.hypot(simulation.blur_px, float(str(sigma)))))
    return [simulate_slide(blurred, DEFAULT_FIELD, seed, 0, 0), *slides[1:]]


def _clip(slides: Slides, percentile: object, _: Simulation, __: int) -> Slides:
    top = np.percentile(slides[0].micrograph, float(str(percentile)))
    clipped = np.minimum(slides[0].micrograph, top).astype(np.uint16)
    return [replace(slides[0], micrograph=clipped), *slides[1:]]


def _depth(slides: Slides, bits: object, _: Simulation, __: int) -> Slides:
    """Keep the upper bits; 8 and fewer are saved as 8-bit numbers."""
    number = int(str(bits))
    fewer = slides[0].micrograph >> (16 - number)
    fewer = fewer.astype(np.uint8 if number <= 8 else np.uint16)
    return [replace(slides[0], micrograph=fewer), *slides[1:]]  # type: ignore[arg-type]


def _spell(folder: Path, spelling: object) -> None:
    images = pd.read_csv(folder / "images.csv", dtype=str)
    images.loc[1, "patient"] = str(spelling)
    images.to_csv(folder / "images.csv", index=False)


def _truncate(folder: Path, missing: object) -> None:
    path = folder / pd.read_csv(folder / "images.csv")["image"].iloc[0]
    read_micrograph(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * (1 - float(str(missing))))])


def _one_class(folder: Path, patients: object) -> None:
    """Lose the annotations of one class in some patients."""
    images = pd.read_csv(folder / "images.csv", dtype=str).set_index("image")["patient"]
    points = pd.read_csv(folder / "annotations.csv", dtype=str)
    chosen = sorted(set(images))[: int(str(patients))]
    lost = points["image"].map(images).isin(chosen) & (points["label"] == "negative")
    points[~lost].to_csv(folder / "annotations.csv", index=False)


NOTHING = Fault("nothing", (), "", ())
COPIES: tuple[Check, ...] = ("duplicate_nuclei_across_patients", "duplicate_images_across_patients")
_COUNTS = (1, 2, 5, 10, 20)
FAULTS = (
    Fault("copies across patients, exact", _COUNTS, "nuclei", COPIES, copied(lambda p: p)),
    Fault("copies, rotated by 90 degrees", _COUNTS, "nuclei", COPIES, copied(np.rot90)),
    Fault("copies, flipped", _COUNTS, "nuclei", COPIES, copied(np.fliplr)),
    Fault("copies, re-encoded (JPEG 50)", _COUNTS, "nuclei", COPIES, copied(jpeg)),
    Fault("copies, 1.5 times brighter", _COUNTS, "nuclei", COPIES, copied(lambda p: 1.5 * p)),
    Fault(
        "labels flipped",
        (0.01, 0.02, 0.05, 0.1, 0.2),
        "of the labels",
        ("label_errors",),
        _flip_labels,
    ),
    Fault(
        "one class brighter",
        (1.05, 1.1, 1.2, 1.35, 1.6),
        "times",
        ("class_told_by_brightness",),
        _brighten_class,
    ),
    Fault(
        "a mark in the corner",
        (0.02, 0.05, 0.2, 0.5, 1.0),
        "of one class",
        ("class_told_by_mark",),
        of_crops=_mark_crops,
    ),
    Fault(
        "one class from one camera",
        (1.05, 1.15, 1.4, 2.0, 4.0),
        "times the gain",
        ("class_told_by_acquisition",),
        _other_camera,
        whole_patients=True,
    ),
    Fault(
        "a blurred slide",
        (0.5, 1.0, 1.5, 2.0, 3.0),
        "px",
        ("blurred_image", "blurred_nuclei"),
        _defocus,
    ),
    Fault(
        "a clipped slide",
        (99.99, 99.9, 99.5, 99.0, 97.0),
        "th percentile",
        ("saturated_image", "saturated_nuclei"),
        _clip,
    ),
    Fault(
        "wrong bit depth",
        (14, 13, 12, 10, 8),
        "bits",
        ("bit_depth", "grey_range"),
        _depth,
    ),
    Fault(
        "a patient under two spellings",
        ("pO000", "P-0", "P0", "P0000", "p_0"),
        "for p0000",
        ("patient_spellings",),
        of_folder=_spell,
    ),
    Fault(
        "a truncated file",
        (0.001, 0.01, 0.1, 0.5, 0.9),
        "missing",
        ("unreadable_image",),
        of_folder=_truncate,
    ),
    Fault(
        "patients of one class",
        (1, 2, 3, 4, 5),
        "of 20 patients",
        ("one_class_patient",),
        of_folder=_one_class,
    ),
)
