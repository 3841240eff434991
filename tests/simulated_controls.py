"""Simulated slides cut into nuclei, with or without a shortcut planted in them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from fathom.datasets.dataset import DataSet, read_dataset
from fathom.datasets.layout import MASKS
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop
from fathom.simulation.simulated_slides import DEFAULT_FIELD, SimulatedSlide, write_dataset
from fathom.simulation.simulation import DEFAULT
from fathom.study.nuclei import Nuclei, read_nuclei

CROP = Crop(crop_px=32, normalisation="slide", low_percentile=0.1, high_percentile=99.9)
NOTHING = replace(
    DEFAULT, patients=8, nuclei_per_patient=36, crop_px=32, separation=0.0, positive_share=0.5
)
FIELD = replace(DEFAULT_FIELD, field_px=380, touching_share=0.1)


def cut(folder: Path, simulation=NOTHING, seed=0, alter=lambda slide: slide):
    """Write a simulated data set and its nuclei; return data set, label images and nuclei."""
    write_dataset(folder / "set", simulation, FIELD, seed, alter)
    (folder / "set" / "truth.parquet").unlink()
    dataset: DataSet = read_dataset(folder / "set")
    labels = dataset.folder / MASKS
    crop_dataset(dataset, labels, Classes(positive="positive"), CROP, folder / "nuclei")
    nuclei: Nuclei = read_nuclei(folder / "nuclei")
    return dataset, labels, nuclei


def marked(slide: SimulatedSlide) -> SimulatedSlide:
    """Put a bright mark up and to the left of every positive nucleus, outside of its crop."""
    micrograph = slide.micrograph.copy()
    boxes = slide.nuclei.loc[slide.nuclei["positive"], ["top", "left", "bottom", "right"]]
    for top, left, bottom, right in boxes.to_numpy():
        y, x = (top + bottom) // 2 - 24, (left + right) // 2 - 24
        spot = np.s_[max(y, 0) : max(y + 6, 0), max(x, 0) : max(x + 6, 0)]
        micrograph[spot] = np.where(slide.labels[spot] == 0, 20_000, micrograph[spot])
    return replace(slide, micrograph=micrograph)
