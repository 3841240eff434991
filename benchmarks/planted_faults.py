"""What the audit finds of faults that were planted, and what it says of clean data.

    python benchmarks/planted_faults.py docs/audit-faults.md [seed]

Simulated data sets of 20 patients, a slide of 40 nuclei each
(`fathom.simulation.simulated_slides`), with params.yaml's settings but for the segmentation, which
is the true one. A fault is planted in one of them at a time, in five strengths; ten further sets,
each of another seed and setting, are clean. The thresholds of params.yaml were set on seeds below
100; the committed table is of seed 100.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pandas as pd
import tifffile
from faults import FAULTS, NOTHING, Fault, unchanged
from joblib import Parallel, delayed

from fathom.audit.audit import audit
from fathom.audit.image_audit import audit_image_files
from fathom.audit.params import Audit
from fathom.baselines.features import features_of
from fathom.baselines.params import Features
from fathom.datasets.check import check_dataset
from fathom.datasets.dataset import read_dataset
from fathom.datasets.layout import ANNOTATIONS, MASKS, labels_path
from fathom.ground.images import write_labels
from fathom.ground.progress import track
from fathom.ground.section import read_section
from fathom.imaging.crop_dataset import crop_dataset
from fathom.imaging.params import Classes, Crop
from fathom.simulation.simulated_slides import DEFAULT_FIELD, SimulatedSlide, write_dataset
from fathom.simulation.simulation import DEFAULT, Simulation
from fathom.study.nuclei import read_nuclei
from fathom.study.stored_crops import Crops

BASE = replace(DEFAULT, patients=20, slides_per_patient=1, nuclei_per_patient=40)
WHOLE_PATIENTS = replace(BASE, label_clustering=1.0)
CLEAN: tuple[Simulation, ...] = (
    BASE,
    WHOLE_PATIENTS,
    replace(BASE, cue="chromocentres"),
    replace(BASE, cue="size"),
    replace(BASE, cue="placement"),
    replace(BASE, separation=1.0),
    replace(BASE, separation=0.0, noise=0.1),
    replace(BASE, blur_px=1.8),
    replace(BASE, illumination=0.5, stain_variation=0.3),
    replace(BASE, patient_effect=0.8, label_clustering=0.2, positive_share=0.3),
)


@dataclass(frozen=True, eq=False)
class Study:
    """A simulated data set as it lies on disk, before anything is planted in it."""

    simulation: Simulation
    seed: int
    slides: tuple[SimulatedSlide, ...]
    folder: Path

    @classmethod
    def written(cls, simulation: Simulation, seed: int, folder: Path) -> Self:
        """Simulate the slides and write the data set."""
        slides: list[SimulatedSlide] = []

        def kept(slide: SimulatedSlide) -> SimulatedSlide:
            slides.append(slide)
            return slide

        write_dataset(folder, simulation, DEFAULT_FIELD, seed, kept)
        (folder / "truth.parquet").unlink()
        return cls(simulation, seed, tuple(slides), folder)

    def planted(self, folder: Path, fault: Fault, strength: object) -> None:
        """Write a copy of the data set in which slides are as the fault makes them."""
        shutil.copytree(self.folder, folder)
        remade = fault.of_slides(list(self.slides), strength, self.simulation, self.seed)
        points = []
        for slide, before in zip(remade, self.slides, strict=True):
            if slide is not before:
                tifffile.imwrite(folder / slide.image, slide.micrograph, compression="zlib")
                write_labels(labels_path(folder / MASKS, slide.image), slide.labels)
            columns = ["image", "annotation_x", "annotation_y", "label"]
            points.append(slide.nuclei[columns].set_axis(["image", "x", "y", "label"], axis=1))
        pd.concat(points).to_csv(folder / ANNOTATIONS, index=False)
        fault.of_folder(folder, strength)


def audited(study: Study, fault: Fault, strength: object) -> pd.DataFrame:
    """Plant the fault, run what the stages `audit_images`, `crop` and `audit` do; the findings."""
    with tempfile.TemporaryDirectory() as name:
        folder, nuclei = Path(name) / "set", Path(name) / "nuclei"
        study.planted(folder, fault, strength)
        params = read_section(Audit)
        images = audit_image_files(folder, params)
        if refused := check_dataset(folder):
            if fault.of_folder is unchanged:
                raise RuntimeError(f"{fault.kind} makes a data set that is refused: {refused[0]}")
            return images.findings
        dataset = read_dataset(folder)
        classes = Classes(positive="positive")
        accounts = crop_dataset(dataset, folder / MASKS, classes, read_section(Crop), nuclei)
        fault.of_crops(nuclei, strength)
        table = read_nuclei(nuclei)
        crops = table.crops()
        return audit(images, table, accounts, crops, _features(crops[:]), params).findings


_MEASURED: dict[bytes, dict[str, float]] = {}


def _features(crops: Crops) -> pd.DataFrame:
    """Measure the crops that were not measured before: a fault leaves most as they are."""
    params = read_section(Features)
    for crop in crops:
        key = crop.tobytes()
        if key not in _MEASURED:
            _MEASURED[key] = features_of(crop, params)
    return pd.DataFrame([_MEASURED[crop.tobytes()] for crop in crops])


def main(page: Path, seed: int) -> None:
    """Audit every planted fault and every clean set, on all cores, and write the table."""
    tasks = [(fault, strength) for fault in FAULTS for strength in fault.strengths]
    with tempfile.TemporaryDirectory() as name:
        usual = Study.written(BASE, seed, Path(name) / "usual")
        whole = Study.written(WHOLE_PATIENTS, seed, Path(name) / "whole")
        clean = Parallel(n_jobs=-1, return_as="generator")(
            delayed(_clean)(simulation, seed + number, Path(name) / f"clean{number}")
            for number, simulation in enumerate(CLEAN, start=1)
        )
        of_clean = list(track(clean, "clean sets", len(CLEAN)))
        found = Parallel(n_jobs=-1, return_as="generator")(
            delayed(audited)(whole if fault.whole_patients else usual, fault, strength)
            for fault, strength in tasks
        )
        of_faults = list(track(found, "planted faults", len(tasks)))
    planted: dict[str, list[pd.DataFrame]] = {fault.kind: [] for fault in FAULTS}
    for (fault, _), table in zip(tasks, of_faults, strict=True):
        planted[fault.kind].append(table)
    lines = ["# Planted faults", "", f"Seed {seed}.", ""]
    lines += [*_planted_lines(planted), "", *_clean_lines(of_clean)]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(page.read_text(encoding="utf-8"))


def _clean(simulation: Simulation, seed: int, folder: Path) -> pd.DataFrame:
    return audited(Study.written(simulation, seed, folder), NOTHING, None)


def _planted_lines(planted: dict[str, list[pd.DataFrame]]) -> list[str]:
    lines = [
        "| fault | five strengths | found | missed | other errors | other warnings |",
        "| --- | --- | --- | --- | --: | --: |",
    ]
    for fault in FAULTS:
        tables = planted[fault.kind]
        hits = [bool(table["check"].isin(fault.checks).any()) for table in tables]
        found = [str(s).strip() for s, hit in zip(fault.strengths, hits, strict=True) if hit]
        missed = [str(s).strip() for s, hit in zip(fault.strengths, hits, strict=True) if not hit]
        others = pd.concat([table[~table["check"].isin(fault.checks)] for table in tables])
        counts = others["severity"].value_counts()
        strengths = ", ".join(f"`{strength}`" for strength in fault.strengths)
        lines.append(
            f"| {fault.kind} | {strengths} {fault.unit} | {len(found)} | "
            f"{', '.join(missed) or '-'} | {counts.get('error', 0)} | {counts.get('warning', 0)} |"
        )
    return lines


def _clean_lines(clean: list[pd.DataFrame]) -> list[str]:
    lines = ["| clean set | errors | warnings | which |", "| --- | --: | --: | --- |"]
    for simulation, table in zip(CLEAN, clean, strict=True):
        differs = [
            f"{name} {value}"
            for name, value in vars(simulation).items()
            if value != getattr(BASE, name)
        ]
        counts = table["severity"].value_counts()
        names = ", ".join(f"`{name}`" for name in table["name"])
        lines.append(
            f"| {', '.join(differs) or 'as it is'} | {counts.get('error', 0)} | "
            f"{counts.get('warning', 0)} | {names} |"
        )
    return lines


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 100)
