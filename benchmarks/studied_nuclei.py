"""The nuclei that cases of the diagnosis are made on: simulated ones, and real ones.

Simulated: 12 patients of 24 nuclei (docs/simulator.md). Real: 24 nuclei from each of 12 slides of
the default data, 288 at most, with labels drawn at random within a slide; the texture of the
positive ones is changed by a known amount, and nothing else (`fathom.texture.planted_texture`). A
slide then stands for a patient. Faults of the data are planted into either kind, and the audit of
the product looks at them (`faults_of`), as the pipeline has it look at a study's nuclei.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from fathom.audit.audit import audit
from fathom.audit.findings import FINDING_COLUMNS
from fathom.audit.image_audit import AuditedImages
from fathom.audit.image_traits import TRAIT_COLUMNS
from fathom.audit.params import Audit
from fathom.baselines.features import IDENTITY, feature_table
from fathom.baselines.params import Features
from fathom.diagnosis.case import DataFaults, data_faults
from fathom.ground.errors import FathomError
from fathom.ground.section import read_section
from fathom.simulation.simulated_nuclei import simulate_nuclei
from fathom.simulation.simulation import DEFAULT
from fathom.study.accounts import ACCOUNT_COLUMNS
from fathom.study.nuclei import read_nuclei, write_nuclei
from fathom.study.stored_crops import Crops
from fathom.texture.planted_texture import pattern, random_labels, rearranged

PROJECT = Path(__file__).parents[1]
PARAMS = PROJECT / "params.yaml"
REAL = PROJECT / "data" / "nuclei"  # what the stage `crop` leaves of the default data
CROP_PX = 48
PATIENTS = 12
NUCLEI_PER_PATIENT = 24
WAVELENGTH_PX = 4.0  # of the texture that is planted


@dataclass(frozen=True)
class Nuclei:
    """Which nuclei; the same again for the same seed."""

    real: bool = False
    per_patient: int = NUCLEI_PER_PATIENT  # real: at most
    # Simulated: d' of the classes, and what tells them apart. Real: strength of the change.
    separation: float = 6.0
    cue: str = "texture"
    strength: float = 1.0
    fault: str | None = None  # a key of `FAULTS`

    def __str__(self) -> str:
        """Say what they are, in the words of a table."""
        if self.real:
            kind = f"real, texture {self.strength:g}"
        else:
            kind = f"simulated, {self.cue} {self.separation:g}"
        return kind + (f", {self.fault}" if self.fault else "")


@dataclass(frozen=True, eq=False)
class Studied:
    """Crops, (n, 48, 48, 1) uint8, and their table, `fathom.study.nuclei.NUCLEUS_COLUMNS`."""

    crops: Crops
    table: pd.DataFrame

    @property
    def positive(self) -> np.ndarray:
        """Return the class of each nucleus, (n,) bool."""
        return self.table["positive"].to_numpy(dtype=bool)

    @property
    def patient(self) -> np.ndarray:
        """Return the number of each nucleus' patient, (n,) int from 0."""
        return pd.factorize(self.table["patient"])[0]

    def relabelled(self, positive: np.ndarray) -> "Studied":
        """Return the same crops under other labels."""
        label = np.where(positive, "positive", "negative")
        return replace(self, table=self.table.assign(positive=positive, label=label))


def are_there(nuclei: Nuclei) -> bool:
    """Whether the nuclei can be had: real ones are not part of the project."""
    return not nuclei.real or (REAL / "nuclei.parquet").is_file()


@cache
def studied(nuclei: Nuclei, seed: int) -> Studied:
    """Return the nuclei of a seed, with the fault that is planted in them."""
    found = _real(nuclei, seed) if nuclei.real else _simulated(nuclei, seed)
    return FAULTS[nuclei.fault](found, seed) if nuclei.fault else found


def _simulated(nuclei: Nuclei, seed: int) -> Studied:
    simulation = replace(
        DEFAULT,
        patients=PATIENTS,
        nuclei_per_patient=nuclei.per_patient,
        separation=nuclei.separation,
        cue=nuclei.cue,
    )
    found = simulate_nuclei(simulation, seed)
    return Studied(found.crops, found.table)


def _real(nuclei: Nuclei, seed: int) -> Studied:
    """Draw slides and nuclei, draw labels, and change the texture of the positive ones."""
    given = read_nuclei(REAL)
    rng = np.random.default_rng([seed, PATIENTS])
    slides = rng.permutation(sorted(given.kept["slide"].unique()))[:PATIENTS]
    by_slide = given.kept.groupby("slide").indices
    rows = np.concatenate(
        [np.sort(rng.permutation(by_slide[slide])[: nuclei.per_patient]) for slide in slides]
    )
    table = given.kept.iloc[rows].reset_index(drop=True)
    crops = given.crops()[rows]
    positive = random_labels(table["slide"].to_numpy(dtype=str), len(table) // 2, seed)
    for row in np.flatnonzero(positive):
        field = pattern(CROP_PX, WAVELENGTH_PX, np.random.default_rng([seed, int(row)]))
        crops[row] = rearranged(crops[row], field, nuclei.strength)
    table = table.assign(patient=table["slide"], image=table["slide"])
    return Studied(crops, _in_shards(table)).relabelled(positive)


def _in_shards(table: pd.DataFrame) -> pd.DataFrame:
    number = pd.factorize(table["slide"], sort=True)[0]
    return table.assign(
        shard=[f"{one:05d}.npy" for one in number], row=table.groupby("slide").cumcount()
    )


def _mark(given: Studied, _seed: int) -> Studied:
    """Put a grey square of 3 px into the corner of each positive crop."""
    crops = given.crops.copy()
    crops[given.positive, 1:4, 1:4] = 90
    return replace(given, crops=crops)


def _both_labels(given: Studied, _seed: int) -> Studied:
    """Show the first half of each patient's nuclei twice, once under each label."""
    half = given.table.groupby("patient").cumcount().to_numpy() % NUCLEI_PER_PATIENT
    first = np.flatnonzero(half < NUCLEI_PER_PATIENT // 2)
    return _twice(given, first, given.table["patient"].to_numpy()[first], ~given.positive[first])


def _copies(given: Studied, _seed: int) -> Studied:
    """Put the first half of each patient's nuclei among those of the next patient, too."""
    patients = list(dict.fromkeys(given.table["patient"]))
    following = dict(zip(patients, [*patients[1:], patients[0]], strict=True))
    half = given.table.groupby("patient").cumcount().to_numpy() % NUCLEI_PER_PATIENT
    first = np.flatnonzero(half < NUCLEI_PER_PATIENT // 2)
    onto = given.table["patient"].iloc[first].map(following).to_numpy()
    return _twice(given, first, onto, given.positive[first])


def _twice(given: Studied, rows: np.ndarray, patient: np.ndarray, positive: np.ndarray) -> Studied:
    """Keep `rows` and, in place of all others, the same once more, of `patient`, so labelled."""
    once = given.table.iloc[rows]
    slide_of = dict(zip(given.table["patient"], given.table["slide"], strict=True))
    again = once.assign(
        nucleus=once["nucleus"] + " again",
        patient=patient,
        slide=[slide_of[one] for one in patient],
        image=[slide_of[one] for one in patient],
    )
    table = pd.concat([once, again], ignore_index=True)
    labels = np.concatenate([given.positive[rows], positive])
    order = np.argsort(pd.factorize(table["patient"])[0], kind="stable")
    crops = np.concatenate([given.crops[rows]] * 2)[order]
    table = _in_shards(table.iloc[order].reset_index(drop=True))
    return Studied(crops, table).relabelled(labels[order])


def _flipped(given: Studied, seed: int) -> Studied:
    """Label three of ten nuclei wrongly."""
    wrong = np.random.default_rng([seed, 1]).random(len(given.table)) < 0.3
    return given.relabelled(given.positive ^ wrong)


def _mispaired(given: Studied, seed: int) -> Studied:
    """Bring the labels into another order than the crops."""
    return given.relabelled(np.random.default_rng([seed, 2]).permutation(given.positive))


def _black(given: Studied, _seed: int) -> Studied:
    return replace(given, crops=np.zeros_like(given.crops))


FAULTS: dict[str, Callable[[Studied, int], Studied]] = {
    "a mark in positive crops": _mark,
    "nuclei under both labels": _both_labels,
    "copies in another patient": _copies,
    "wrong labels": _flipped,
    "labels in another order": _mispaired,
    "black crops": _black,
}


@cache
def faults_of(nuclei: Nuclei, seed: int) -> DataFaults:
    """Return what the audit finds of the nuclei, as a verdict is told; a refusal is a fault too.

    There are no micrographs and no annotations to look at.
    """
    given = studied(nuclei, seed)
    params, features = read_section(Audit, PARAMS), read_section(Features, PARAMS)
    images = AuditedImages(pd.DataFrame(columns=FINDING_COLUMNS), _empty(TRAIT_COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = given.table.groupby("shard").indices
        write_nuclei(folder, given.table, {str(k): given.crops[at] for k, at in shards.items()})
        written = read_nuclei(folder)
        try:
            measured = feature_table(written, features).drop(columns=list(IDENTITY))
            found = audit(
                images, written, _empty(ACCOUNT_COLUMNS), written.crops(), measured, params
            )
        except FathomError as error:
            return DataFaults(errors=(f"refused: {error}".replace(f"{folder}: ", ""),))
    return data_faults(found.findings)


def _empty(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=object) for column in columns})
